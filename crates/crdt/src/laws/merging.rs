//! The laws of merging, and of operations as merges of their deltas.

use alloc::vec::Vec;

use super::{Broken, Lawful, confirm, same};
use crate::dot::Dot;

/// Merging is associative: `(a ∨ b) ∨ c = a ∨ (b ∨ c)`.
///
/// # Errors
///
/// When it is not.
pub fn merge_is_associative<C: Lawful>(a: &C, b: &C, c: &C) -> Result<(), Broken> {
    same("merge is associative", &merged(merged(a.clone(), b), c), &merged(a.clone(), &merged(b.clone(), c)))
}

/// Merging is commutative: `a ∨ b = b ∨ a`.
///
/// # Errors
///
/// When it is not.
pub fn merge_is_commutative<C: Lawful>(a: &C, b: &C) -> Result<(), Broken> {
    same("merge is commutative", &merged(a.clone(), b), &merged(b.clone(), a))
}

/// Merging is idempotent: `a ∨ a = a`.
///
/// # Errors
///
/// When it is not.
pub fn merge_is_idempotent<C: Lawful>(a: &C) -> Result<(), Broken> {
    same("merge is idempotent", &merged(a.clone(), a), a)
}

/// The value that nobody has written is neutral: `a ∨ ⊥ = a`.
///
/// # Errors
///
/// When it is not.
pub fn nothing_is_neutral<C: Lawful>(a: &C) -> Result<(), Broken> {
    same("the value that nobody has written is neutral", &merged(a.clone(), &C::default()), a)
}

/// The list of a join is the join of the lists.
///
/// # Errors
///
/// When it is not.
pub fn lists_join_by_maximum<C: Lawful>(a: &C, b: &C) -> Result<(), Broken> {
    let mut lists = a.context().into_owned();
    lists.merge(&b.context());
    same("lists are joined by maximum", &*merged(a.clone(), b).context(), &lists)
}

/// An operation equals merging its delta into the state before it, and the delta is below the state after it. Its list
/// names `dot` as the last of its actor. What is refused changes nothing.
///
/// # Errors
///
/// When it is otherwise.
pub fn an_operation_is_the_merge_of_its_delta<C: Lawful>(
    before: &C,
    dot: Dot<C::Actor>,
    operation: &C::Operation,
) -> Result<(), Broken> {
    let mut after = before.clone();
    let Some(delta) = after.apply(dot, operation) else {
        return same("what is refused changes nothing", &after, before);
    };
    same("an operation is the merge of its delta", &merged(before.clone(), &delta), &after)?;
    let mut applied = before.clone();
    applied.apply_delta(&delta);
    same("applying a delta is merging it", &applied, &after)?;
    same("a delta is below the state that it left", &merged(after.clone(), &delta), &after)?;
    let listed = delta.context().get(dot.actor);
    confirm(listed == dot.seq, "a delta's list names its operation as the last of the actor", || {
        alloc::format!("{dot:?} is listed as {listed} in {delta:?}")
    })
}

/// All deltas join to what all states join to, in the order they were made and in the order they arrive, where each
/// arrives at least once.
///
/// # Errors
///
/// When they do not.
pub fn deltas_join_to_the_states<C: Lawful>(states: &[C], made: &[&C], arrived: &[&C]) -> Result<(), Broken> {
    let all = join(made.iter().copied());
    same("the join of all deltas is the join of all states", &all, &join(states))?;
    same("deltas may arrive in any order and more than once", &all, &join(arrived.iter().copied()))
}

pub(crate) fn join<'a, C: Lawful>(values: impl IntoIterator<Item = &'a C>) -> C {
    values.into_iter().fold(C::default(), merged)
}

fn merged<C: Lawful>(mut value: C, other: &C) -> C {
    value.merge(other);
    value
}

/// Returns the deltas with some of them early and again.
pub(super) fn arrivals<'a, C>(made: &[&'a C], early: &[u16]) -> Vec<&'a C> {
    let early = early.iter().filter_map(|place| made.get(usize::from(*place) % made.len().max(1)));
    early.chain(made.iter().rev()).copied().collect()
}
