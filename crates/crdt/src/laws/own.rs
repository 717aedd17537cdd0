//! What holds of the kinds of this crate beyond the laws: how their atoms travel, and what collection leaves.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::case::{Case, covered};
use super::contents::taken_unless;
use super::{Broken, Lawful, Run, confirm, same, search};
use crate::atom::Atom;
use crate::codec::DecodeError;
use crate::delta::{Delta, Entry};
use crate::dot::Dot;
use crate::replica_id::ReplicaId;
use crate::value::Value;

pub(crate) use super::contents::contents;
pub(crate) use super::merging::join;

/// A kind of this crate.
pub(crate) trait Own: Lawful<Actor = ReplicaId> {
    /// Returns the dots of all pieces, content or not, in any order.
    fn dots(&self) -> Vec<Dot>;

    /// Returns the atoms that the value consists of, as they travel.
    fn entries(&self) -> Vec<Entry<'static>>;
}

/// Checks the laws, and what holds of this crate's kinds.
pub(crate) fn check<C: Own>(cases: u64) {
    super::check::<C>(cases);
    let counterexample = search(0..cases, |case: &Case<C::Operation>| {
        let run = Run::<C>::of(&case.history);
        let value = run.pick(case.places[0]);
        pieces_that_are_no_content_are_filtered_too(value, case)?;
        let made = run.made.get(usize::from(case.places[0]) % run.made.len().max(1));
        made.map_or(Ok(()), |made| {
            made.delta.entries().into_iter().try_for_each(|entry| {
                let delta = Delta { dot: made.dot, entry };
                deltas_have_one_spelling(&delta, case)
            })
        })?;
        value.entries().into_iter().try_for_each(|entry| {
            entries_have_one_spelling(&entry, case)?;
            collection_leaves_content(entry.value)
        })
    });
    if let Some(counterexample) = counterexample {
        panic!("{counterexample}");
    }
}

fn pieces_that_are_no_content_are_filtered_too<C: Own>(
    value: &C,
    case: &Case<C::Operation>,
) -> Result<(), Broken> {
    let covered = covered::<C>(case);
    let mut expected = value.dots();
    expected.retain(|dot| !covered.covers(*dot));
    same("pieces that are no content are filtered too", &taken_unless(value, &covered).dots(), &expected)
}

fn deltas_have_one_spelling<O>(delta: &Delta<'static>, case: &Case<O>) -> Result<(), Broken> {
    let mut bytes = delta.encode();
    same("a delta decodes from its bytes", &Delta::decode(&bytes).as_ref(), &Ok(delta))?;
    same("a decoded delta can be owned", &Delta::decode(&bytes).map(Delta::into_owned).as_ref(), &Ok(delta))?;
    ends_where_it_ends(&bytes, |bytes| Delta::<ReplicaId>::decode(bytes).map(drop))?;
    for damage in &case.damage {
        damage.apply(&mut bytes);
        if let Ok(decoded) = Delta::<ReplicaId>::decode(&bytes) {
            same("a damaged delta is refused or another one", &decoded.encode(), &bytes)?;
        }
    }
    Ok(())
}

fn entries_have_one_spelling<O>(entry: &Entry<'static>, case: &Case<O>) -> Result<(), Broken> {
    let mut bytes = entry.encode();
    same("an entry decodes from its bytes", &Entry::decode(&bytes).as_ref(), &Ok(entry))?;
    same("a decoded entry can be owned", &Entry::decode(&bytes).map(Entry::into_owned).as_ref(), &Ok(entry))?;
    ends_where_it_ends(&bytes, |bytes| Entry::<ReplicaId>::decode(bytes).map(drop))?;
    for damage in &case.damage {
        damage.apply(&mut bytes);
        let Ok(decoded) = Entry::<ReplicaId>::decode(&bytes) else { continue };
        same("a damaged entry is refused or another one", &decoded.encode(), &bytes)?;
        let mut merged = entry.clone();
        if merged.value.try_merge(&decoded.value).is_ok() {
            same(
                "what was damaged merges without harm",
                &Entry::decode(&merged.encode()),
                &Ok(merged.clone()),
            )?;
        }
    }
    Ok(())
}

fn ends_where_it_ends(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<(), DecodeError>) -> Result<(), Broken> {
    let longer = decode(&[bytes, &[0]].concat());
    same("what is left over is told", &longer, &Err(DecodeError::TrailingBytes { bytes: 1 }))?;
    (0..bytes.len()).try_for_each(|end| {
        confirm(decode(&bytes[..end]).is_err(), "bytes that end early are refused", || {
            format!("{end} bytes of {bytes:02x?} decode")
        })
    })
}

fn collection_leaves_content(mut value: Value<'static>) -> Result<(), Broken> {
    let before = value.clone();
    let pieces = |value: &Value<'_>| {
        let mut pieces = Vec::new();
        value.contents(&mut |piece| pieces.push(piece.to_vec()));
        pieces
    };
    value.collect();
    same("collection leaves content as it is", &pieces(&value), &pieces(&before))?;
    confirm(!value.is_collectable(), "after collection nothing is left to be collected", || {
        format!("{value:?}")
    })?;
    confirm(
        before.is_collectable() == (value != before),
        "what is collectable is what collection drops",
        || format!("{before:?}\nbecomes {value:?}"),
    )?;
    confirm(
        !value.is_empty() || value == Value::empty(value.kind()),
        "of what is empty nothing is left",
        || format!("{value:?}"),
    )
}

/// Returns the one entry of a value that is no set.
pub(crate) fn entry(value: impl Into<Value<'static>>) -> Vec<Entry<'static>> {
    let value = value.into();
    [Entry { atom: Atom::new("key", value.kind()), value }].into()
}

/// Returns the entry of one element of a set.
pub(crate) fn element_entry(element: &[u8], value: Value<'static>) -> Entry<'static> {
    let element = Some(Cow::Owned(element.to_vec()));
    Entry { atom: Atom { element, ..Atom::new("key", value.kind()) }, value }
}

/// How many cases a law or a property is checked in. Under an interpreter a few, for what it alone can see.
pub(crate) const CASES: u64 = if cfg!(miri) { 2 } else { 10_000 };

/// Makes tests of functions over drawn arguments, each with [`CASES`] cases that are the same in every run.
macro_rules! properties {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block)*) => {
        $(
            #[test]
            fn $name() {
                fn property($($argument: $type),*) -> $result $body
                quickcheck::QuickCheck::new()
                    .rng(quickcheck::Gen::from_size_and_seed(if cfg!(miri) { 8 } else { 64 }, 0))
                    .tests($crate::laws::own::CASES)
                    .quickcheck(property as fn($($type),*) -> $result);
            }
        )*
    };
}
pub(crate) use properties;
