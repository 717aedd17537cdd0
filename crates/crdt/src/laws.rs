//! The laws of every kind, as checks over random histories of several replicas.
//!
//! A kind becomes subject to the laws by saying which operations it has ([`Lawful`]). Each law is one function over
//! a [`History`] and panics when it does not hold. What is said of encoding holds for the value by itself and for each
//! atom that it consists of.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Debug;

use quickcheck::{Arbitrary, Gen};

use crate::atom::Atom;
use crate::codec::{Decode, Encode, Reader};
use crate::delta::{Delta, Entry};
use crate::dot::Dot;
use crate::error::DecodeError;
use crate::lattice::Crdt;
use crate::replica_id::ReplicaId;
use crate::value::Value;
use crate::version_vector::VersionVector;

/// A kind that the laws can be checked for.
pub(crate) trait Lawful:
    Crdt<ReplicaId> + Encode + for<'a> Decode<'a> + Default + PartialEq + Debug
{
    /// What a replica can do to a value.
    type Operation: Arbitrary;

    /// Performs an operation under `dot` and returns its delta, or nothing when it is refused.
    fn apply(&mut self, dot: Dot, operation: &Self::Operation) -> Option<Self>;

    /// Returns the dots of all pieces, in any order.
    fn dots(&self) -> Vec<Dot>;

    /// Returns the atoms that the value consists of, as they travel.
    fn entries(&self) -> Vec<Entry<'static>>;

    /// Returns a value without pieces that has seen `context`.
    fn only_list(context: VersionVector) -> Self {
        let mut bytes = Vec::new();
        context.encode(&mut bytes);
        // No pieces is a zero byte in every kind: none of a count, or a register's unwritten form.
        bytes.push(0);
        Self::decode(&mut Reader::new(&bytes)).expect("every kind can be without pieces")
    }

    /// Returns what is left of the value without its pieces.
    fn without_pieces(&self) -> Self {
        Self::only_list(self.context().into_owned())
    }
}

/// What several replicas did, and what reached whom.
#[derive(Clone, Debug)]
pub(crate) struct History<O> {
    steps: Vec<Step<O>>,
}

#[derive(Clone, Debug)]
enum Step<O> {
    Operate {
        replica: usize,
        operation: O,
    },
    /// One delta arrives, be it for the first time or again. Numbers wrap around.
    Deliver {
        delta: usize,
        replica: usize,
    },
    /// One whole state arrives.
    Join {
        from: usize,
        into: usize,
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
        let [first, second] = [u8::arbitrary(g), u8::arbitrary(g)].map(usize::from);
        match u8::arbitrary(g) % 8 {
            0..4 => Self::Operate { replica: first % REPLICAS, operation: O::arbitrary(g) },
            4..7 => Self::Deliver { delta: first, replica: second % REPLICAS },
            _ => Self::Join { from: first % REPLICAS, into: second % REPLICAS },
        }
    }
}

/// What a history led to.
pub(crate) struct Run<C: Lawful> {
    /// The operations that were not refused, in the order they were made.
    pub(crate) made: Vec<Made<C>>,
    /// The state of each replica at the end.
    pub(crate) replicas: Vec<C>,
    /// Every state on the way, and every delta.
    pub(crate) reached: Vec<C>,
}

/// One operation.
pub(crate) struct Made<C: Lawful> {
    pub(crate) dot: Dot,
    pub(crate) operation: C::Operation,
    pub(crate) delta: C,
}

impl<C: Lawful> Run<C> {
    /// Replays a history.
    pub(crate) fn of(history: &History<C::Operation>) -> Self {
        let mut replicas = Vec::from_iter((0..REPLICAS).map(|_| C::default()));
        let mut seqs = [0; REPLICAS];
        let (mut made, mut reached) = (Vec::<Made<C>>::new(), replicas.clone());
        for step in &history.steps {
            let changed = match step {
                Step::Operate { replica, operation } => {
                    let dot = Dot::new(ReplicaId::from_u64(*replica as u64), seqs[*replica] + 1);
                    if let Some(delta) = replicas[*replica].apply(dot, operation) {
                        seqs[*replica] += 1;
                        reached.push(delta.clone());
                        made.push(Made { dot, operation: operation.clone(), delta });
                    }
                    *replica
                }
                Step::Deliver { delta, replica } => {
                    if let Some(made) = made.get(delta % made.len().max(1)) {
                        replicas[*replica].merge(&made.delta);
                    }
                    *replica
                }
                Step::Join { from, into } => {
                    let other = replicas[*from].clone();
                    replicas[*into].merge(&other);
                    *into
                }
            };
            reached.push(replicas[changed].clone());
        }
        Self { made, replicas, reached }
    }

    /// Joins all deltas in the order they were made.
    pub(crate) fn join_of_deltas(&self) -> C {
        join(self.made.iter().map(|made| &made.delta))
    }

    /// Returns the state, or delta, at a place that wraps around.
    fn pick(&self, place: u16) -> &C {
        &self.reached[usize::from(place) % self.reached.len()]
    }
}

pub(crate) fn join<'a, C: Crdt<ReplicaId> + Default + 'a>(values: impl IntoIterator<Item = &'a C>) -> C {
    values.into_iter().fold(C::default(), |mut all, value| {
        all.merge(value);
        all
    })
}

/// Merging is associative, commutative and idempotent, and the state without operations is its neutral element.
pub(crate) fn merge_is_a_join<C: Lawful>(history: &History<C::Operation>, places: [u16; 3]) {
    let run = Run::<C>::of(history);
    let [a, b, c] = places.map(|place| run.pick(place));
    assert_eq!(join([&join([a, b]), c]), join([a, &join([b, c])]), "associative");
    assert_eq!(join([a, b]), join([b, a]), "commutative");
    assert_eq!(join([a, a]), *a, "idempotent");
    assert_eq!(join([a, &C::default()]), *a, "neutral");
}

/// Merging and operating only ever move upwards, and a list is a homomorphism of the join.
pub(crate) fn lists_only_grow<C: Lawful>(history: &History<C::Operation>, places: [u16; 2]) {
    let run = Run::<C>::of(history);
    let [a, b] = places.map(|place| run.pick(place));
    let mut context = a.context().into_owned();
    context.merge(&b.context());
    assert_eq!(*join([a, b]).context(), context);
}

/// An operation equals merging its delta into the state before it, and its delta is below the state after it.
pub(crate) fn an_operation_is_the_merge_of_its_delta<C: Lawful>(
    history: &History<C::Operation>,
    operation: &C::Operation,
    replica: usize,
) {
    let run = Run::<C>::of(history);
    let before = &run.replicas[replica % REPLICAS];
    let actor = ReplicaId::from_u64((replica % REPLICAS) as u64);
    let made_by_actor = run.made.iter().filter(|made| made.dot.actor == actor).count() as u64;
    let dot = Dot::new(actor, made_by_actor + 1);
    let mut after = before.clone();
    match after.apply(dot, operation) {
        None => assert_eq!(after, *before, "what is refused changes nothing"),
        Some(delta) => {
            assert_eq!(join([before, &delta]), after);
            let mut applied = before.clone();
            applied.apply_delta(&delta);
            assert_eq!(applied, after);
            assert_eq!(join([&after, &delta]), after);
            assert_eq!(delta.context().get(actor), dot.seq);
        }
    }
}

/// All deltas, in any order and some of them again and again, join to what all states join to.
pub(crate) fn deltas_join_to_the_states_in_any_order<C: Lawful>(
    history: &History<C::Operation>,
    arrivals: &[u16],
) {
    let run = Run::<C>::of(history);
    let all = run.join_of_deltas();
    assert_eq!(join(&run.replicas), all, "join of all states");
    let early = arrivals.iter().filter_map(|place| run.made.get(usize::from(*place) % run.made.len().max(1)));
    let rest = run.made.iter().rev();
    assert_eq!(join(early.chain(rest).map(|made| &made.delta)), all, "join in the order of arrival");
}

/// The filter leaves out exactly the pieces whose dots are covered, and takes the list all the same.
pub(crate) fn the_filter_is_per_piece<C: Lawful>(
    history: &History<C::Operation>,
    place: u16,
    covered: &[(u8, u8)],
) {
    let run = Run::<C>::of(history);
    let value = run.pick(place);
    let covered: VersionVector = covered
        .iter()
        .map(|(actor, seq)| (ReplicaId::from_u64(u64::from(*actor) % REPLICAS as u64), u64::from(*seq % 32)))
        .collect();
    let mut filtered = C::default();
    filtered.merge_unless(value, &covered);
    let mut expected = value.dots();
    expected.retain(|dot| !covered.covers(*dot));
    assert_eq!(filtered.dots(), expected);
    // Content may go with a piece that is not content of its own, and never comes without one.
    let (all, shown) = (contents(value), contents(&filtered));
    assert!(shown.iter().all(|piece| all.contains(piece)));
    for piece in shown {
        let dot = Dot::decode(&mut Reader::new(&piece)).expect("a piece of content starts with its dot");
        assert!(expected.contains(&dot));
    }
    assert_eq!(filtered.context(), value.context());

    let mut skipped = C::default();
    skipped.merge_unless(value, &*value.context());
    assert_eq!(skipped, value.without_pieces(), "what is covered wholly leaves no piece");
    let mut held = value.clone();
    held.merge_unless(value, &*value.context());
    assert_eq!(held, *value, "what is held is joined, covered or not");
}

/// Content is the same however long the list is.
pub(crate) fn contents_do_not_depend_on_the_list<C: Lawful>(history: &History<C::Operation>, place: u16) {
    let run = Run::<C>::of(history);
    let value = run.pick(place);
    let stranger = C::only_list([(ReplicaId::from_u64(REPLICAS as u64), 1)].into_iter().collect());
    let longer = join([value, &stranger]);
    assert_ne!(longer, *value);
    assert_eq!(contents(&longer), contents(value));
    assert!(!value.is_empty() || contents(value).is_empty(), "what is empty has no content");
}

/// Values, deltas and entries come back from their bytes.
pub(crate) fn what_is_encoded_decodes<C: Lawful>(history: &History<C::Operation>) {
    let run = Run::<C>::of(history);
    for made in &run.made {
        for entry in made.delta.entries() {
            let delta = Delta { dot: made.dot, entry };
            let bytes = delta.encode();
            assert_eq!(Delta::decode(&bytes).as_ref(), Ok(&delta));
            assert_eq!(Delta::decode(&bytes).map(Delta::into_owned), Ok(delta));
        }
    }
    for value in &run.reached {
        assert_eq!(decode(&encode(value)).as_ref(), Ok(value));
        for entry in value.entries() {
            let bytes = entry.encode();
            assert_eq!(Entry::decode(&bytes).as_ref(), Ok(&entry));
            assert_eq!(Entry::decode(&bytes).map(Entry::into_owned), Ok(entry));
        }
    }
}

/// Damaged bytes are refused, or are the one spelling of another value, which merges without harm.
pub(crate) fn what_decodes_encodes_to_the_same_bytes<C: Lawful>(
    history: &History<C::Operation>,
    place: u16,
    damage: &[Damage],
) {
    let run = Run::<C>::of(history);
    let original = run.pick(place);
    let bytes = damaged(encode(original), damage);
    if let Ok(decoded) = decode::<C>(&bytes) {
        assert_eq!(encode(&decoded), bytes);
        let merged = join([original, &decoded]);
        assert_eq!(decode(&encode(&merged)), Ok(merged));
    }
    for mut original in original.entries() {
        let bytes = damaged(original.encode(), damage);
        let Ok(decoded) = Entry::<ReplicaId>::decode(&bytes) else { continue };
        assert_eq!(decoded.encode(), bytes);
        if original.value.try_merge(&decoded.value).is_ok() {
            assert_eq!(Entry::decode(&original.encode()).as_ref(), Ok(&original));
        }
    }
    let Some(made) = run.made.get(usize::from(place) % run.made.len().max(1)) else { return };
    for entry in made.delta.entries() {
        let bytes = damaged(Delta { dot: made.dot, entry }.encode(), damage);
        let decoded = Delta::<ReplicaId>::decode(&bytes);
        assert!(decoded.is_err() || decoded.is_ok_and(|delta| delta.encode() == bytes));
    }
}

/// Bytes that end early are refused, wherever they end.
pub(crate) fn a_beginning_does_not_decode<C: Lawful>(history: &History<C::Operation>, place: u16) {
    let run = Run::<C>::of(history);
    let mut bytes = encode(run.pick(place));
    while bytes.pop().is_some() {
        assert!(decode::<C>(&bytes).is_err(), "{bytes:02x?}");
    }
    for entry in run.pick(place).entries() {
        let mut bytes = entry.encode();
        bytes.push(0);
        assert_eq!(Entry::<ReplicaId>::decode(&bytes), Err(DecodeError::TrailingBytes { bytes: 1 }));
        bytes.pop();
        while bytes.pop().is_some() {
            assert!(Entry::<ReplicaId>::decode(&bytes).is_err(), "{bytes:02x?}");
        }
    }
}

/// One thing that goes wrong with bytes. Places wrap around.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    place: u16,
    byte: u8,
    what: u8,
}

impl Damage {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        let place = usize::from(self.place) % (bytes.len() + 1);
        match (self.what % 4, bytes.get_mut(place)) {
            (0, _) => bytes.insert(place, self.byte),
            (1, Some(_)) => drop(bytes.remove(place)),
            (2, Some(byte)) => *byte = self.byte,
            (3, Some(byte)) => *byte ^= 1 << (self.byte % 8),
            (_, _) => {}
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

/// Collects what a digest would be made of.
pub(crate) fn contents<C: Crdt<ReplicaId>>(value: &C) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    value.contents(&mut |piece: &[u8]| pieces.push(piece.to_vec()));
    pieces
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

fn encode(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn decode<C: for<'a> Decode<'a>>(bytes: &[u8]) -> Result<C, DecodeError> {
    let mut input = Reader::new(bytes);
    let value = C::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    damage.iter().for_each(|damage| damage.apply(&mut bytes));
    bytes
}

/// Makes a module of tests, one for each law, for a kind.
macro_rules! laws_hold_for {
    ($module:ident, $kind:ty) => {
        mod $module {
            use alloc::vec::Vec;

            use quickcheck::quickcheck;

            use crate::laws::{self, Damage, History, Lawful};

            type Operation = <$kind as Lawful>::Operation;

            quickcheck! {
                fn merge_is_a_join(history: History<Operation>, a: u16, b: u16, c: u16) -> () {
                    laws::merge_is_a_join::<$kind>(&history, [a, b, c]);
                }

                fn lists_only_grow(history: History<Operation>, a: u16, b: u16) -> () {
                    laws::lists_only_grow::<$kind>(&history, [a, b]);
                }

                fn an_operation_is_the_merge_of_its_delta(
                    history: History<Operation>, operation: Operation, replica: usize
                ) -> () {
                    laws::an_operation_is_the_merge_of_its_delta::<$kind>(&history, &operation, replica);
                }

                fn deltas_join_to_the_states_in_any_order(
                    history: History<Operation>, arrivals: Vec<u16>
                ) -> () {
                    laws::deltas_join_to_the_states_in_any_order::<$kind>(&history, &arrivals);
                }

                fn the_filter_is_per_piece(
                    history: History<Operation>, place: u16, covered: Vec<(u8, u8)>
                ) -> () {
                    laws::the_filter_is_per_piece::<$kind>(&history, place, &covered);
                }

                fn contents_do_not_depend_on_the_list(history: History<Operation>, place: u16) -> () {
                    laws::contents_do_not_depend_on_the_list::<$kind>(&history, place);
                }

                fn what_is_encoded_decodes(history: History<Operation>) -> () {
                    laws::what_is_encoded_decodes::<$kind>(&history);
                }

                fn what_decodes_encodes_to_the_same_bytes(
                    history: History<Operation>, place: u16, damage: Vec<Damage>
                ) -> () {
                    laws::what_decodes_encodes_to_the_same_bytes::<$kind>(&history, place, &damage);
                    let once = &damage[..damage.len().min(1)];
                    laws::what_decodes_encodes_to_the_same_bytes::<$kind>(&history, place, once);
                }

                fn a_beginning_does_not_decode(history: History<Operation>, place: u16) -> () {
                    laws::a_beginning_does_not_decode::<$kind>(&history, place);
                }
            }
        }
    };
}
pub(crate) use laws_hold_for;

const REPLICAS: usize = 4;
