//! The laws of the covered filter and of content, which digests are made of.

use alloc::format;
use alloc::vec::Vec;

use super::{Broken, Lawful, confirm, same};
use crate::codec::{Decode, Reader};
use crate::dot::Dot;
use crate::lattice::{Covers, Nothing};
use crate::replica_id::Actor;
use crate::version_vector::VersionVector;

/// The filter leaves out the pieces whose dots are covered and no others, takes the list all the same, and does not
/// touch what is held.
///
/// Pieces that are not covered may drop out of sight only when nothing is left to be seen.
///
/// # Errors
///
/// When it is otherwise.
pub fn the_filter_is_per_piece<C: Lawful>(
    value: &C,
    covered: &VersionVector<C::Actor>,
) -> Result<(), Broken> {
    let law = "the filter is per piece";
    let filtered = taken_unless(value, covered);
    same("the filter leaves the list as it is", &*filtered.context(), &*value.context())?;
    let mut expected = Vec::new();
    for piece in contents(value) {
        if !covered.covers(dot_of::<C::Actor>(&piece)?) {
            expected.push(piece);
        }
    }
    let shown = contents(&filtered);
    confirm(shown == expected || shown.is_empty() && filtered.is_empty(), law, || {
        format!("{value:?}\nwithout what {covered:?} covers shows {shown:02x?}, not {expected:02x?}")
    })?;
    same("what nothing covers is taken whole", &taken_unless(value, &Nothing), value)?;
    let nothing = taken_unless(value, &All);
    confirm(
        nothing.is_empty() && contents(&nothing).is_empty(),
        "what is covered wholly is not taken",
        || format!("{value:?}\nleaves {nothing:?}"),
    )?;
    let mut held = value.clone();
    held.merge_unless(value, &All);
    same("what is held is joined, covered or not", &held, value)
}

/// Each piece of content starts with its dot, which the list covers; and there is content exactly when a reader finds
/// something.
///
/// # Errors
///
/// When it is otherwise.
pub fn contents_are_what_is_seen<C: Lawful>(value: &C) -> Result<(), Broken> {
    let pieces = contents(value);
    for piece in &pieces {
        let dot = dot_of::<C::Actor>(piece)?;
        confirm(value.context().covers(dot), "the list covers the dot of every piece", || {
            format!("{dot:?} is beyond the list of {value:?}")
        })?;
    }
    confirm(
        value.is_empty() == pieces.is_empty(),
        "there is content exactly when something is to be read",
        || format!("{value:?}\nhas the content {pieces:02x?}"),
    )
}

/// Content is the same however much of others' operations was seen and is gone: a digest depends on content only.
///
/// `delta` is what an operation of an actor unknown to `value` changed.
///
/// # Errors
///
/// When it is not.
pub fn contents_do_not_depend_on_the_list<C: Lawful>(value: &C, delta: &C) -> Result<(), Broken> {
    let mut longer = value.clone();
    longer.merge(&taken_unless(delta, &All));
    same("content depends on nothing that collection may drop", &contents(&longer), &contents(value))
}

/// Collects what a digest would be made of.
pub(crate) fn contents<C: Lawful>(value: &C) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    value.contents(&mut |piece: &[u8]| pieces.push(piece.to_vec()));
    pieces
}

/// Returns what is taken of a value where none is held.
pub(super) fn taken_unless<C: Lawful>(value: &C, covered: &impl Covers<C::Actor>) -> C {
    let mut taken = C::default();
    taken.merge_unless(value, covered);
    taken
}

fn dot_of<A: Actor + for<'a> Decode<'a>>(piece: &[u8]) -> Result<Dot<A>, Broken> {
    Dot::decode(&mut Reader::new(piece)).map_err(|error| Broken {
        law: "a piece of content starts with its dot",
        seen: format!("{piece:02x?}: {error}"),
    })
}

/// Every dot.
pub(super) struct All;

impl<A> Covers<A> for All {
    fn covers(&self, _dot: Dot<A>) -> bool {
        true
    }
}
