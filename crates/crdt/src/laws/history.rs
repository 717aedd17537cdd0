//! What several replicas do, and what it leads to.

use alloc::boxed::Box;
use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::{Lawful, Numbered};
use crate::dot::Dot;

/// What [`REPLICAS`] replicas do, and what reaches whom.
#[derive(Clone, Debug)]
pub struct History<O> {
    /// The steps, in order.
    pub steps: Vec<Step<O>>,
}

/// One step of a history. Numbers wrap around, so that a history stays one when steps are taken out.
#[derive(Clone, Debug)]
pub enum Step<O> {
    /// A replica operates.
    Operate {
        /// Which one.
        replica: u8,
        /// What it does.
        operation: O,
    },
    /// A delta arrives, be it for the first time or again.
    Deliver {
        /// Which of the deltas made so far.
        delta: u8,
        /// Where.
        replica: u8,
    },
    /// A whole state arrives.
    Join {
        /// Whose.
        from: u8,
        /// Where.
        into: u8,
    },
}

impl<O: Arbitrary> Arbitrary for History<O> {
    fn arbitrary(g: &mut Gen) -> Self {
        Self { steps: Vec::arbitrary(g) }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.steps.shrink().map(|steps| Self { steps }))
    }
}

impl<O: Arbitrary> Arbitrary for Step<O> {
    fn arbitrary(g: &mut Gen) -> Self {
        let [first, second] = [u8::arbitrary(g), u8::arbitrary(g)];
        match u8::arbitrary(g) % 8 {
            0..4 => Self::Operate { replica: first % REPLICAS, operation: O::arbitrary(g) },
            4..7 => Self::Deliver { delta: first, replica: second % REPLICAS },
            _ => Self::Join { from: first % REPLICAS, into: second % REPLICAS },
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        match self {
            Self::Operate { replica, operation } => {
                let replica = *replica;
                Box::new(operation.shrink().map(move |operation| Self::Operate { replica, operation }))
            }
            Self::Deliver { .. } | Self::Join { .. } => quickcheck::empty_shrinker(),
        }
    }
}

/// What a history led to.
#[derive(Clone, Debug)]
pub struct Run<C: Lawful> {
    /// The operations that were not refused, in the order they were made.
    pub made: Vec<Made<C>>,
    /// The state of each replica at the end.
    pub replicas: Vec<C>,
    /// Every state on the way, and every delta. Never empty.
    pub reached: Vec<C>,
}

/// One operation that was made.
#[derive(Clone, Debug)]
pub struct Made<C: Lawful> {
    /// Its name.
    pub dot: Dot<C::Actor>,
    /// What was done.
    pub operation: C::Operation,
    /// What it changed.
    pub delta: C,
}

impl<C: Lawful> Run<C> {
    /// Replays a history. The actor of a replica has its number.
    pub fn of(history: &History<C::Operation>) -> Self {
        let mut replicas = Vec::from_iter((0..REPLICAS).map(|_| C::default()));
        let mut seqs = [0; REPLICAS as usize];
        let (mut made, mut reached) = (Vec::<Made<C>>::new(), replicas.clone());
        let place = |replica: u8| usize::from(replica % REPLICAS);
        for step in &history.steps {
            let changed = match step {
                Step::Operate { replica, operation } => {
                    let changed = place(*replica);
                    let dot = Dot::new(C::Actor::numbered(replica % REPLICAS), seqs[changed] + 1);
                    if let Some(delta) = replicas[changed].apply(dot, operation) {
                        seqs[changed] += 1;
                        reached.push(delta.clone());
                        made.push(Made { dot, operation: operation.clone(), delta });
                    }
                    changed
                }
                Step::Deliver { delta, replica } => {
                    if let Some(made) = made.get(usize::from(*delta) % made.len().max(1)) {
                        replicas[place(*replica)].merge(&made.delta);
                    }
                    place(*replica)
                }
                Step::Join { from, into } => {
                    let other = replicas[place(*from)].clone();
                    replicas[place(*into)].merge(&other);
                    place(*into)
                }
            };
            reached.push(replicas[changed].clone());
        }
        Self { made, replicas, reached }
    }

    /// Joins all deltas in the order they were made.
    pub fn join_of_deltas(&self) -> C {
        super::merging::join(self.made.iter().map(|made| &made.delta))
    }

    /// Returns the state or delta at a place, which wraps around.
    pub(super) fn pick(&self, place: u16) -> &C {
        &self.reached[usize::from(place) % self.reached.len()]
    }

    /// Returns the dot of the next operation of a replica.
    pub(super) fn next_dot(&self, replica: u8) -> Dot<C::Actor> {
        let actor = C::Actor::numbered(replica % REPLICAS);
        let made_by_actor = self.made.iter().filter(|made| made.dot.actor == actor).count();
        Dot::new(actor, made_by_actor as u64 + 1)
    }
}

/// How many replicas a history has.
pub const REPLICAS: u8 = 4;
