//! One case: a history, what each law draws beside it, and the list of all laws.

use alloc::boxed::Box;
use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::codec::encode;
use super::merging::arrivals;
use super::{Broken, History, Lawful, Numbered, REPLICAS, Run};
use crate::dot::Dot;
use crate::version_vector::VersionVector;

/// A history, and what the laws draw beside it.
#[derive(Clone, Debug)]
pub(super) struct Case<O> {
    pub(super) history: History<O>,
    /// Which of the values reached.
    pub(super) places: [u16; 3],
    /// What is done at the end, and by whom.
    pub(super) last: (u8, O),
    /// Which deltas arrive early and again.
    pub(super) early: Vec<u16>,
    /// Up to which seq each replica's dots are covered.
    pub(super) covered: Vec<u8>,
    pub(super) damage: Vec<Damage>,
}

impl<O: Arbitrary> Case<O> {
    /// Draws the case with this number, always the same.
    pub(super) fn numbered(number: u64) -> Self {
        Self::arbitrary(&mut Gen::from_size_and_seed(STEPS_MAX, number))
    }
}

impl<O: Arbitrary> Arbitrary for Case<O> {
    fn arbitrary(g: &mut Gen) -> Self {
        Self {
            history: History::arbitrary(g),
            places: [(); 3].map(|()| u16::arbitrary(g)),
            last: Arbitrary::arbitrary(g),
            early: Vec::arbitrary(g),
            // Some actors wholly covered, some a little, some not at all.
            covered: (0..REPLICAS).map(|_| u8::arbitrary(g) % 16).collect(),
            damage: (0..u8::arbitrary(g) % 4).map(|_| Damage::arbitrary(g)).collect(),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let (kept, rest) = (self.clone(), self.clone());
        let histories = self.history.shrink().map(move |history| Self { history, ..kept.clone() });
        let draws = (self.early.clone(), self.damage.clone()).shrink();
        Box::new(histories.chain(draws.map(move |(early, damage)| Self { early, damage, ..rest.clone() })))
    }
}

/// One thing that goes wrong with bytes. Places wrap around.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    place: u16,
    byte: u8,
    what: u8,
}

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let place = usize::from(self.place) % (bytes.len() + 1);
        match (self.what % 4, bytes.get_mut(place)) {
            (1, Some(_)) => drop(bytes.remove(place)),
            (2, Some(byte)) => *byte = self.byte,
            (3, Some(byte)) => *byte ^= 1 << (self.byte % 8),
            (_, _) => bytes.insert(place, self.byte),
        }
    }
}

impl Arbitrary for Damage {
    fn arbitrary(g: &mut Gen) -> Self {
        // Small bytes are more often something that has a meaning.
        let byte = if bool::arbitrary(g) { u8::arbitrary(g) % 4 } else { u8::arbitrary(g) };
        Self { place: u16::arbitrary(g), byte, what: u8::arbitrary(g) }
    }
}

/// A law, as it is held against one case.
pub(super) type Law<C> = fn(&Run<C>, &Case<<C as Lawful>::Operation>) -> Result<(), Broken>;

/// Returns all laws, the simplest first.
pub(super) const fn laws<C: Lawful>() -> &'static [Law<C>] {
    &[
        |run, case| super::merge_is_idempotent(run.pick(case.places[0])),
        |run, case| super::nothing_is_neutral(run.pick(case.places[0])),
        |run, case| {
            let [a, b, _] = picks(run, case);
            super::merge_is_commutative(a, b)
        },
        |run, case| {
            let [a, b, c] = picks(run, case);
            super::merge_is_associative(a, b, c)
        },
        |run, case| {
            let [a, b, _] = picks(run, case);
            super::lists_join_by_maximum(a, b)
        },
        |run, case| {
            let (replica, operation) = &case.last;
            let before = &run.replicas[usize::from(replica % REPLICAS)];
            super::an_operation_is_the_merge_of_its_delta(before, run.next_dot(*replica), operation)
        },
        |run, case| {
            let made = Vec::from_iter(run.made.iter().map(|made| &made.delta));
            super::deltas_join_to_the_states(&run.replicas, &made, &arrivals(&made, &case.early))
        },
        |run, case| super::the_filter_is_per_piece(run.pick(case.places[0]), &covered::<C>(case)),
        |run, case| super::contents_are_what_is_seen(run.pick(case.places[0])),
        |run, case| {
            let stranger = Dot::new(C::Actor::numbered(REPLICAS), 1);
            let delta = C::default().apply(stranger, &case.last.1);
            delta.map_or(Ok(()), |delta| {
                super::contents_do_not_depend_on_the_list(run.pick(case.places[0]), &delta)
            })
        },
        |run, case| super::what_is_encoded_decodes(run.pick(case.places[0])),
        |run, case| {
            let [a, b, _] = picks(run, case);
            let (mut left, mut right) = (a.clone(), b.clone());
            left.merge(b);
            right.merge(a);
            super::equal_values_have_equal_bytes(&left, &right)
        },
        |run, case| {
            let mut bytes = encode(run.pick(case.places[0]));
            case.damage.iter().try_for_each(|damage| {
                damage.apply(&mut bytes);
                super::bytes_are_canonical::<C>(&bytes)
            })
        },
        |run, case| super::no_beginning_decodes(run.pick(case.places[0])),
    ]
}

fn picks<'a, C: Lawful>(run: &'a Run<C>, case: &Case<C::Operation>) -> [&'a C; 3] {
    case.places.map(|place| run.pick(place))
}

pub(super) fn covered<C: Lawful>(case: &Case<C::Operation>) -> VersionVector<C::Actor> {
    let seqs = (0..).map(C::Actor::numbered).zip(case.covered.iter().map(|seq| u64::from(*seq)));
    seqs.collect()
}

/// Histories are shorter than this, by half on average. An interpreter has time for short ones.
const STEPS_MAX: usize = if cfg!(miri) { 12 } else { 64 };
