//! A deletion in steps leaves nothing that was there when it began and that nobody has touched since.

use std::collections::BTreeMap;

use trellis_crdt::Kind;
use trellis_storage::slot_of;

use super::{Held, Violation};
use crate::model::{Atom, List};
use crate::sim::directory::Lists;
use crate::sim::host::Process;

/// What its node had merged of each atom of the key when a deletion began.
#[derive(Clone, Debug)]
pub(crate) struct Before(BTreeMap<Atom, List>);

impl Before {
    /// Notes what a process has of a key, of one kind or of all.
    pub(crate) fn of(process: &Process, key: &'static str, kind: Option<Kind>) -> Self {
        let is_meant = |atom: &Atom| kind.is_none_or(|kind| kind == atom.kind);
        let known = of_key(&process.lists, key).filter(|(atom, _)| is_meant(atom));
        Self(known.map(|(atom, list)| (atom, list.clone())).collect())
    }
}

fn of_key<'a>(lists: &'a Lists, key: &'static str) -> impl Iterator<Item = (Atom, &'a List)> {
    let slot = slot_of(key);
    let first = Atom { key, kind: Kind::GCounter, element: None };
    let of_key =
        lists.range((slot, first)..).take_while(move |((of, atom), _)| (*of, atom.key) == (slot, key));
    of_key.map(|((_, atom), known)| (*atom, &known.list))
}

/// Looks at what its node shows of the key when the last step is done.
pub(super) fn check(host: u8, process: &Process, before: &Before) -> Held {
    let Some(key) = before.0.keys().next().map(|atom| atom.key) else { return Ok(()) };
    let left = process.core.look_at_slot(slot_of(key), |keyspace| {
        left(before, of_key(&process.lists, key), |atom| match atom.element {
            Some(element) => {
                keyspace.contains(key, atom.kind, element.as_bytes()).is_ok_and(|(is_there, _)| is_there)
            }
            None => keyspace.read(key, Some(atom.kind)).is_ok_and(|read| read.value.is_some()),
        })
    });
    let Some((atom, list)) = left else { return Ok(()) };
    let detail = format!("n{} deleted {key} and shows {atom:?}, as it was at {list:?}", host + 1);
    Err(Violation { invariant: "a_deletion_takes_what_was_there", hosts: vec![host], detail })
}

/// The first atom that is shown and that nothing has happened to since.
fn left<'a>(
    Before(before): &Before,
    mut now: impl Iterator<Item = (Atom, &'a List)>,
    is_shown: impl Fn(&Atom) -> bool,
) -> Option<(Atom, &'a List)> {
    now.find(|(atom, list)| before.get(atom) == Some(*list) && is_shown(atom))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_a_deletion_left_out_is_seen_and_one_that_was_added_meanwhile_may_stay() {
        let atom = Atom { key: "k", kind: Kind::OrSet, element: Some("e") };
        let (old, new) = (List::from([(1, 4)]), List::from([(1, 4), (2, 1)]));
        let before = Before(BTreeMap::from([(atom, old.clone())]));
        assert_eq!(left(&before, [(atom, &old)].into_iter(), |_| true), Some((atom, &old)));
        assert_eq!(left(&before, [(atom, &old)].into_iter(), |_| false), None);
        assert_eq!(left(&before, [(atom, &new)].into_iter(), |_| true), None);
    }
}
