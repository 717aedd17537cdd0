//! Laws and histories of the flags.

use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::{DwFlag, EwFlag};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::lattice::Crdt;
use crate::laws::own::{CASES, Own, check, entry};
use crate::laws::{Lawful, Run, check_model};
use crate::replica_id::ReplicaId;

#[test]
fn the_laws_hold_for_an_ew_flag() {
    check::<EwFlag>(CASES);
}

#[test]
fn the_laws_hold_for_a_dw_flag() {
    check::<DwFlag>(CASES);
}

#[test]
fn an_ew_flag_is_enabled_while_an_enabling_is_that_nothing_saw() {
    check_model::<EwFlag>(CASES, |run| {
        let is_enabling = unseen(run).iter().any(|operation| matches!(operation, EwOperation::Enable));
        run.join_of_deltas().is_enabled() == is_enabling
    });
}

#[test]
fn a_dw_flag_is_disabled_while_a_disabling_is_that_nothing_saw() {
    check_model::<DwFlag>(CASES, |run| {
        let (unseen, all) = (unseen(run), run.join_of_deltas());
        let is_enabling = unseen.iter().any(|operation| matches!(operation, DwOperation::Enable));
        let is_disabling = unseen.iter().any(|operation| matches!(operation, DwOperation::Disable));
        all.is_enabled() == (is_enabling && !is_disabling)
            && all.is_empty() == (!is_enabling && !is_disabling)
    });
}

#[derive(Clone, Debug)]
pub enum EwOperation {
    Enable,
    Disable,
}

impl Arbitrary for EwOperation {
    fn arbitrary(g: &mut Gen) -> Self {
        if bool::arbitrary(g) { Self::Enable } else { Self::Disable }
    }
}

impl Lawful for EwFlag {
    type Actor = ReplicaId;
    type Operation = EwOperation;

    fn apply(&mut self, dot: Dot, operation: &EwOperation) -> Option<Self> {
        Some(match operation {
            EwOperation::Enable => self.enable(dot),
            EwOperation::Disable => self.disable(dot),
        })
    }
}

impl Own for EwFlag {
    fn dots(&self) -> Vec<Dot> {
        self.dots().collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

#[derive(Clone, Debug)]
pub enum DwOperation {
    Enable,
    Disable,
    Clear,
}

impl Arbitrary for DwOperation {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 5 {
            0 | 1 => Self::Enable,
            2 | 3 => Self::Disable,
            _ => Self::Clear,
        }
    }
}

impl Lawful for DwFlag {
    type Actor = ReplicaId;
    type Operation = DwOperation;

    fn apply(&mut self, dot: Dot, operation: &DwOperation) -> Option<Self> {
        Some(match operation {
            DwOperation::Enable => self.enable(dot),
            DwOperation::Disable => self.disable(dot),
            DwOperation::Clear => self.clear(dot),
        })
    }
}

impl Own for DwFlag {
    fn dots(&self) -> Vec<Dot> {
        self.pieces().map(|(dot, _)| dot).collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

/// The reference: the operations whose dots the list of no other operation covers.
fn unseen<C: Lawful>(run: &Run<C>) -> Vec<&C::Operation> {
    let is_seen = |dot| run.made.iter().any(|made| made.dot != dot && made.delta.context().covers(dot));
    run.made.iter().filter(|made| !is_seen(made.dot)).map(|made| &made.operation).collect()
}
