//! Laws and histories of the flags.

use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::{DwFlag, EwFlag};
use crate::delta::Entry;
use crate::dot::Dot;
use crate::lattice::Crdt;
use crate::laws::{History, Lawful, Run, contents, entry, join, laws_hold_for};
use crate::replica_id::ReplicaId;

laws_hold_for!(ew_flag, crate::EwFlag);
laws_hold_for!(dw_flag, crate::DwFlag);

quickcheck! {
    fn an_ew_flag_is_enabled_while_an_enabling_is_that_nothing_saw(history: History<EwOperation>) -> bool {
        let run = Run::<EwFlag>::of(&history);
        let is_enabling = unseen(&run).iter().any(|operation| matches!(operation, EwOperation::Enable));
        run.join_of_deltas().is_enabled() == is_enabling
    }

    fn a_dw_flag_is_disabled_while_a_disabling_is_that_nothing_saw(history: History<DwOperation>) -> bool {
        let run = Run::<DwFlag>::of(&history);
        let (unseen, all) = (unseen(&run), run.join_of_deltas());
        let is_enabling = unseen.iter().any(|operation| matches!(operation, DwOperation::Enable));
        let is_disabling = unseen.iter().any(|operation| matches!(operation, DwOperation::Disable));
        all.is_enabled() == (is_enabling && !is_disabling) && all.is_empty() != is_enabling
    }
}

#[test]
fn an_enabling_replaces_a_disabling_that_its_replica_had_seen_and_collected() {
    let mut collected = DwFlag::new();
    collected.disable(dot(A, 1));
    let mut kept = collected.clone();
    collected.collect();
    kept.apply_delta(&collected.enable(dot(B, 1)));
    assert!(kept.is_enabled());
    assert_eq!(kept.pieces().collect::<Vec<_>>(), collected.pieces().collect::<Vec<_>>());
}

#[test]
fn a_concurrent_enabling_wins_or_loses_by_the_kind() {
    let (mut at_a, mut at_b) = (EwFlag::new(), EwFlag::new());
    let on = at_a.enable(dot(A, 1));
    at_b.merge(&on);
    let off = at_b.disable(dot(B, 1));
    let again = at_a.enable(dot(A, 2));
    assert!(!join([&on, &off]).is_enabled());
    assert!(join([&off, &again]).is_enabled() && join([&again, &off, &on]).is_enabled());

    let (mut at_a, mut at_b) = (DwFlag::new(), DwFlag::new());
    let on = at_a.enable(dot(A, 1));
    at_b.merge(&on);
    let off = at_b.disable(dot(B, 1));
    let again = at_a.enable(dot(A, 2));
    let both = join([&off, &again, &on]);
    assert!(!both.is_enabled() && !both.is_empty());
    let mut after = both;
    after.enable(dot(B, 2));
    assert!(after.is_enabled());
}

#[test]
fn disablings_are_content_only_beside_an_enabling() {
    let (mut at_a, mut at_b) = (DwFlag::new(), DwFlag::new());
    let off = at_a.disable(dot(A, 1));
    assert!(off.is_empty() && contents(&off).is_empty());
    assert_eq!(off.pieces().len(), 1);
    let on = at_b.enable(dot(B, 1));
    assert_eq!(contents(&join([&off, &on])).len(), 2);
    assert_eq!(contents(&join([&off, &on]))[1], [2, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn clearing_a_flag_removes_disablings_too() {
    let mut flag = DwFlag::new();
    flag.disable(dot(A, 1));
    flag.merge(&DwFlag::new().enable(dot(B, 1)));
    let cleared = flag.clear(dot(A, 2));
    assert_eq!((flag.pieces().len(), cleared.pieces().len()), (0, 0));
    assert_eq!(*cleared.context(), [dot(A, 2), dot(B, 1)].into_iter().collect());
}

#[derive(Clone, Debug)]
pub(crate) enum EwOperation {
    Enable,
    Disable,
}

impl Arbitrary for EwOperation {
    fn arbitrary(g: &mut Gen) -> Self {
        if bool::arbitrary(g) { Self::Enable } else { Self::Disable }
    }
}

impl Lawful for EwFlag {
    type Operation = EwOperation;

    fn apply(&mut self, dot: Dot, operation: &EwOperation) -> Option<Self> {
        Some(match operation {
            EwOperation::Enable => self.enable(dot),
            EwOperation::Disable => self.disable(dot),
        })
    }

    fn dots(&self) -> Vec<Dot> {
        self.dots().collect()
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        entry(self.clone())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum DwOperation {
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
    type Operation = DwOperation;

    fn apply(&mut self, dot: Dot, operation: &DwOperation) -> Option<Self> {
        Some(match operation {
            DwOperation::Enable => self.enable(dot),
            DwOperation::Disable => self.disable(dot),
            DwOperation::Clear => self.clear(dot),
        })
    }

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

fn dot(actor: ReplicaId, seq: u64) -> Dot {
    Dot::new(actor, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
