//! The laws of [`Crdt`] and of the codec, as checks to which any kind can be put, one of this crate or one of yours.
//!
//! A kind says by [`Lawful`] which operations it has; `examples/custom_kind.rs` does so in thirty lines. [`check`] draws
//! histories of several replicas that operate and hear of each other late, twice or not at all, and holds every law
//! against the states and deltas they lead to. A case is drawn from its number alone: what fails once fails again, and it
//! is shrunk before it is shown. [`find`] does the same without panicking, and [`check_model`] compares with a reference
//! of what the kind should show.
//!
//! Each law is also a function by itself, for whoever has a generator of values already.

use alloc::format;
use alloc::string::String;
use core::error::Error;
use core::fmt;
use core::fmt::Debug;
use core::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use quickcheck::Arbitrary;

use crate::codec::{Decode, Encode};
use crate::dot::Dot;
use crate::lattice::Crdt;
use crate::replica_id::{Actor, ReplicaId};

mod case;
mod codec;
mod contents;
mod history;
mod merging;
#[cfg(test)]
pub(crate) mod own;
#[cfg(test)]
mod tests;

pub use codec::{
    bytes_are_canonical, equal_values_have_equal_bytes, no_beginning_decodes, what_is_encoded_decodes,
};
pub use contents::{contents_are_what_is_seen, contents_do_not_depend_on_the_list, the_filter_is_per_piece};
pub use history::{History, Made, REPLICAS, Run, Step};
pub use merging::{
    an_operation_is_the_merge_of_its_delta, deltas_join_to_the_states, lists_join_by_maximum,
    merge_is_associative, merge_is_commutative, merge_is_idempotent, nothing_is_neutral,
};

use case::Case;

/// A kind that the laws can be checked for.
pub trait Lawful:
    Crdt<<Self as Lawful>::Actor> + Encode + for<'a> Decode<'a> + Default + PartialEq + Debug + 'static
{
    /// The actor of its dots: [`ReplicaId`] for a kind that is generic.
    type Actor: Numbered;

    /// What a replica can do to a value.
    type Operation: Arbitrary + Debug;

    /// Performs an operation under `dot` and returns its delta, or nothing when it is refused.
    fn apply(&mut self, dot: Dot<Self::Actor>, operation: &Self::Operation) -> Option<Self>;
}

/// An actor of which the laws can make several.
pub trait Numbered: Actor + Encode + for<'a> Decode<'a> + 'static {
    /// Returns the actor with this number. Different numbers are different actors.
    fn numbered(number: u8) -> Self;
}

impl Numbered for ReplicaId {
    fn numbered(number: u8) -> Self {
        Self::from_u64(u64::from(number))
    }
}

impl Numbered for u8 {
    fn numbered(number: u8) -> Self {
        number
    }
}

/// Checks every law in this many cases, numbered from 0. A case takes in the order of 10 µs to 1 ms.
///
/// # Panics
///
/// When a law does not hold, with the [`Counterexample`].
pub fn check<C: Lawful>(cases: u64) {
    if let Some(counterexample) = find::<C>(0..cases) {
        panic!("{counterexample}");
    }
}

/// Returns a shrunk counterexample to some law from among the cases with these numbers.
///
/// A panic of the kind itself is caught and counts as a broken law, so a decoder that panics is shown with its bytes.
pub fn find<C: Lawful>(cases: Range<u64>) -> Option<Counterexample<C::Operation>> {
    search(cases, |case| {
        let run = Run::<C>::of(&case.history);
        case::laws().iter().try_for_each(|law| law(&run, case))
    })
}

/// Checks in this many cases, numbered from 0, that what the replicas hold is what `holds` expects of the operations
/// they made.
///
/// # Panics
///
/// When `holds` returns false, or panics, with the shrunk history.
pub fn check_model<C: Lawful>(cases: u64, holds: impl Fn(&Run<C>) -> bool) {
    let judge = |case: &Case<C::Operation>| {
        let says_no = || Broken { law: "the model", seen: String::from("it says otherwise") };
        if holds(&Run::of(&case.history)) { Ok(()) } else { Err(says_no()) }
    };
    if let Some(counterexample) = search(0..cases, judge) {
        panic!("{counterexample}");
    }
}

/// A law that does not hold, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The law.
    pub law: &'static str,
    /// The values that contradict it.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken law: {}\n{}", self.law, self.seen)
    }
}

impl Error for Broken {}

/// The smallest case found in which a law does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample<O> {
    /// The number of the case that it was shrunk from: `find(number..number + 1)` finds it again.
    pub number: u64,
    /// The law, and what was seen.
    pub broken: Broken,
    /// What the replicas did.
    pub history: History<O>,
}

impl<O: Debug> fmt::Display for Counterexample<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nin case {}, after {:#?}", self.broken, self.number, self.history)
    }
}

/// Judges the cases with these numbers until one fails, and shrinks that.
fn search<O: Arbitrary + Debug>(
    mut cases: Range<u64>,
    judge: impl Fn(&Case<O>) -> Result<(), Broken>,
) -> Option<Counterexample<O>> {
    let (number, mut case, mut broken) = cases.find_map(|number| {
        let case = Case::numbered(number);
        catch(&case, &judge).err().map(|broken| (number, case, broken))
    })?;
    // Only a smaller case in which the same law is broken: another law may be broken by another fault.
    while let Some(smaller) = case.shrink().find_map(|smaller| {
        let same_law = catch(&smaller, &judge).err().filter(|other| other.law == broken.law);
        same_law.map(|broken| (smaller, broken))
    }) {
        (case, broken) = smaller;
    }
    Some(Counterexample { number, broken, history: case.history })
}

/// Judges a case; a panic is a broken law.
fn catch<O>(case: &Case<O>, judge: impl Fn(&Case<O>) -> Result<(), Broken>) -> Result<(), Broken> {
    catch_unwind(AssertUnwindSafe(|| judge(case))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Broken { law: "nothing panics", seen: String::from(text.unwrap_or("a panic without a text")) })
    })
}

/// Confirms that two values are the same.
fn same<T: PartialEq + Debug>(law: &'static str, left: &T, right: &T) -> Result<(), Broken> {
    confirm(left == right, law, || format!(" left: {left:?}\nright: {right:?}"))
}

fn confirm(holds: bool, law: &'static str, seen: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { law, seen: seen() }) }
}
