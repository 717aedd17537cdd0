//! Each law bites: kinds with one fault each, as one would make them by mistake.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::case::laws;
use super::own::CASES;
use super::*;
use crate::causal::Causal;
use crate::codec::{DecodeError, Reader};
use crate::counter::PnCounter;
use crate::dot_store::DotFun;
use crate::lattice::Covers;
use crate::version_vector::VersionVector;

#[test]
fn every_law_bites() {
    for (fault, law, breaks) in [
        (IDEMPOTENT, "merge is idempotent", breaks::<Faulty<IDEMPOTENT>> as fn(&str) -> bool),
        (NEUTRAL, "the value that nobody has written is neutral", breaks::<Faulty<NEUTRAL>>),
        (COMMUTATIVE, "merge is commutative", breaks::<Faulty<COMMUTATIVE>>),
        (ASSOCIATIVE, "merge is associative", breaks::<Faulty<ASSOCIATIVE>>),
        (LISTS, "lists are joined by maximum", breaks::<Faulty<LISTS>>),
        (OPERATION, "an operation is the merge of its delta", breaks::<Faulty<OPERATION>>),
        (APPLYING, "applying a delta is merging it", breaks::<Faulty<APPLYING>>),
        (IDEMPOTENT, "a delta is below the state that it left", breaks::<Faulty<IDEMPOTENT>>),
        (REFUSED, "what is refused changes nothing", breaks::<Faulty<REFUSED>>),
        (LISTED, "a delta's list names its operation as the last of the actor", breaks::<Faulty<LISTED>>),
        (COUNTING, "the join of all deltas is the join of all states", breaks::<Faulty<COUNTING>>),
        (COMMUTATIVE, "deltas may arrive in any order and more than once", breaks::<Faulty<COMMUTATIVE>>),
        (FILTER, "the filter is per piece", breaks::<Faulty<FILTER>>),
        (FILTERED_LIST, "the filter leaves the list as it is", breaks::<Faulty<FILTERED_LIST>>),
        (GREEDY, "what nothing covers is taken whole", breaks::<Faulty<GREEDY>>),
        (FILTER, "what is covered wholly is not taken", breaks::<Faulty<FILTER>>),
        (HELD, "what is held is joined, covered or not", breaks::<Faulty<HELD>>),
        (DOTLESS, "a piece of content starts with its dot", breaks::<Faulty<DOTLESS>>),
        (BEYOND, "the list covers the dot of every piece", breaks::<Faulty<BEYOND>>),
        (EMPTY, "there is content exactly when something is to be read", breaks::<Faulty<EMPTY>>),
        (CONTENT, "content depends on nothing that collection may drop", breaks::<Faulty<CONTENT>>),
        (DECODES, "what is encoded decodes", breaks::<Faulty<DECODES>>),
        (GLUTTON, "a decoder stops where the value ends", breaks::<Faulty<GLUTTON>>),
        (SPELLINGS, "equal values have equal bytes", breaks::<Faulty<SPELLINGS>>),
        (CANONICAL, "what decodes encodes to the same bytes", breaks::<Faulty<CANONICAL>>),
        (BEGINNING, "bytes that end early are refused", breaks::<Faulty<BEGINNING>>),
        (PANICS, "nothing panics", breaks::<Faulty<PANICS>>),
    ]
    .into_iter()
    // An interpreter has time for a few.
    .step_by(if cfg!(miri) { 9 } else { 1 })
    {
        assert!(breaks(law), "fault {fault} should break {law:?}");
    }
}

#[test]
fn a_kind_without_a_fault_keeps_all_laws() {
    check::<Faulty<NONE>>(CASES);
}

// An interpreter would search for long.
#[cfg(not(miri))]
#[test]
fn a_deletion_that_removes_what_it_saw_of_an_lww_register_is_not_confluent() {
    // T6: why deletions of an lww-register are stamped.
    let broken = find::<ObservedRemoveLww>(0..SEARCHED).expect("some history diverges").broken;
    assert!(!broken.seen.is_empty());
}

#[test]
fn the_laws_hold_for_other_actors() {
    check::<PnCounter<u8>>(CASES);
}

#[test]
fn a_counterexample_is_small_and_found_again_by_its_number() {
    let found = find::<Faulty<OPERATION>>(0..SEARCHED).unwrap();
    assert!(found.history.steps.len() <= 2, "{found}");
    let again = find::<Faulty<OPERATION>>(found.number..found.number + 1).unwrap();
    assert_eq!(again.to_string(), found.to_string());
    assert!(found.to_string().starts_with("broken law: an operation is the merge of its delta\n"));
}

#[test]
fn what_is_found_is_told_by_a_panic() {
    let told = |check: fn()| catch_unwind(check).unwrap_err().downcast::<String>().unwrap();
    assert!(told(|| check::<Faulty<NEUTRAL>>(SEARCHED)).starts_with("broken law: "));
    let model = told(|| check_model::<Faulty<NONE>>(SEARCHED, |run| run.made.len() < 3));
    assert!(model.starts_with("broken law: the model\n"));
    assert_eq!(model.matches("Operate").count(), 3, "{model}");
}

#[test]
fn a_panic_with_any_payload_is_a_broken_law() {
    for (panic, text) in [
        ((|| panic!("a text")) as fn(), "a text"),
        (|| panic!("a {}", "string"), "a string"),
        (|| std::panic::panic_any(7), "a panic without a text"),
    ] {
        let found = search(0..1, |_: &Case<u8>| {
            panic();
            Ok(())
        });
        assert_eq!(found.unwrap().broken, Broken { law: "nothing panics", seen: text.into() });
    }
}

/// Tells whether some case breaks this law, each held against it alone.
fn breaks<C: Lawful>(name: &str) -> bool {
    (0..SEARCHED).map(Case::<C::Operation>::numbered).any(|case| {
        laws::<C>().iter().any(|law| {
            let broken = catch(&case, |case| law(&Run::of(&case.history), case)).err();
            broken.is_some_and(|broken| broken.law == name)
        })
    })
}

/// A dot store and a number that is joined by maximum, with one fault.
#[derive(Clone, Debug, Default)]
struct Faulty<const FAULT: u8> {
    said: Causal<DotFun<ReplicaId, u8>>,
    greatest: u8,
}

impl<const FAULT: u8> Crdt<ReplicaId> for Faulty<FAULT> {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<ReplicaId>) {
        match FAULT {
            FILTER => self.said.merge(&other.said),
            FILTERED_LIST
                if other.said.context().iter().any(|(actor, seq)| covered.covers(Dot { actor, seq })) => {}
            GREEDY
                if self.said.context().is_empty() && !covered.covers(Dot::new(ReplicaId::from_u64(0), 1)) => {
            }
            HELD if self.said.context().iter().any(|(actor, seq)| covered.covers(Dot { actor, seq })) => {
                *self = Self::default();
                self.said.merge_unless(&other.said, covered);
            }
            _ => self.said.merge_unless(&other.said, covered),
        }
        self.greatest = match FAULT {
            IDEMPOTENT => self.greatest.wrapping_add(other.greatest),
            NEUTRAL => self.greatest.max(other.greatest).max(1),
            COMMUTATIVE | SPELLINGS if other.greatest > 0 => other.greatest,
            ASSOCIATIVE if self.greatest != other.greatest => self.greatest ^ other.greatest,
            _ => self.greatest.max(other.greatest),
        };
    }

    fn apply_delta(&mut self, delta: &Self) {
        if FAULT != APPLYING {
            self.merge(delta);
        }
    }

    fn context(&self) -> Cow<'_, VersionVector> {
        match FAULT {
            LISTS if self.said.is_empty() => Cow::Owned(VersionVector::new()),
            LISTED if self.greatest > 0 => Cow::Owned(VersionVector::new()),
            _ => Cow::Borrowed(self.said.context()),
        }
    }

    fn is_empty(&self) -> bool {
        FAULT != EMPTY && self.said.is_empty()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8])) {
        self.said.contents(&mut |piece: &[u8]| match FAULT {
            DOTLESS => visit(&piece[8..]),
            BEYOND => visit(&[&piece[..8], &[0x7f], &piece[9..]].concat()),
            CONTENT => {
                let mut longer = piece.to_vec();
                self.said.context().encode(&mut longer);
                visit(&longer);
            }
            _ => visit(piece),
        });
    }
}

impl<const FAULT: u8> Lawful for Faulty<FAULT> {
    type Actor = ReplicaId;
    /// What is said, if anything. 15 is refused.
    type Operation = Option<u8>;

    fn apply(&mut self, dot: Dot, operation: &Option<u8>) -> Option<Self> {
        let said = operation.map(|said| said % 16);
        if said == Some(15) {
            self.greatest += u8::from(FAULT == REFUSED);
            return None;
        }
        let store = said.map_or_else(DotFun::new, |said| DotFun::one(dot, said));
        let mut delta = Self { said: self.said.replace(dot, store), greatest: said.unwrap_or_default() };
        if FAULT == COUNTING {
            // The delta is right at its origin only.
            delta.greatest = self.greatest.saturating_add(delta.greatest);
            delta.said = if self.greatest > 9 { Causal::default() } else { delta.said };
        }
        self.greatest = self.greatest.max(delta.greatest);
        if FAULT == OPERATION {
            delta.greatest = 0;
        }
        Some(delta)
    }
}

impl<const FAULT: u8> PartialEq for Faulty<FAULT> {
    fn eq(&self, other: &Self) -> bool {
        self.said == other.said && (FAULT == SPELLINGS || self.greatest == other.greatest)
    }
}

impl<const FAULT: u8> Encode for Faulty<FAULT> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.said.encode(out);
        out.push(if FAULT == DECODES { 0 } else { self.greatest });
        out.push(0);
    }
}

impl<'a, const FAULT: u8> Decode<'a> for Faulty<FAULT> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let said = Causal::decode(input)?;
        let greatest = input.u8()?;
        assert!(FAULT != PANICS || greatest < 16, "no operation says so");
        let reserved = match FAULT {
            BEGINNING if input.is_empty() => 0,
            _ => input.u8()?,
        };
        if FAULT == GLUTTON {
            input.rest();
        }
        if reserved != 0 && FAULT != CANONICAL {
            return Err(DecodeError::UnsupportedForm { form: reserved });
        }
        Ok(Self { said, greatest })
    }
}

/// A register whose last write wins and whose deletion removes what it saw.
#[derive(Clone, Debug, Default, PartialEq)]
struct ObservedRemoveLww(Causal<DotFun<ReplicaId, u8>>);

impl ObservedRemoveLww {
    /// Keeps the greatest write alone.
    fn prune(&mut self) {
        let greatest = self.0.store().iter().max_by_key(|(dot, stamp)| (**stamp, *dot));
        let store = greatest.map_or_else(DotFun::new, |(dot, stamp)| DotFun::one(dot, *stamp));
        self.0 = Causal::from_parts(store, self.0.context().clone());
    }
}

impl Crdt<ReplicaId> for ObservedRemoveLww {
    fn merge_unless(&mut self, other: &Self, covered: &impl Covers<ReplicaId>) {
        self.0.merge_unless(&other.0, covered);
        self.prune();
    }

    fn context(&self) -> Cow<'_, VersionVector> {
        Cow::Borrowed(self.0.context())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contents(&self, visit: &mut impl FnMut(&[u8])) {
        self.0.contents(visit);
    }
}

impl Encode for ObservedRemoveLww {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<'a> Decode<'a> for ObservedRemoveLww {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Causal::decode(input).map(Self)
    }
}

impl Lawful for ObservedRemoveLww {
    type Actor = ReplicaId;
    /// A write with this stamp, or a deletion.
    type Operation = Option<u8>;

    fn apply(&mut self, dot: Dot, operation: &Option<u8>) -> Option<Self> {
        let Some(stamp) = operation else {
            return Some(Self(self.0.replace(dot, DotFun::new())));
        };
        // A write observes nothing, as in the kind with stamped deletions.
        let delta = Self(Causal::from_parts(DotFun::one(dot, *stamp), dot.into()));
        self.merge(&delta);
        Some(delta)
    }
}

impl Lawful for PnCounter<u8> {
    type Actor = u8;
    type Operation = i8;

    fn apply(&mut self, dot: Dot<u8>, amount: &i8) -> Option<Self> {
        self.increment(dot, i64::from(*amount)).ok()
    }
}

/// How many cases are searched for a fault.
const SEARCHED: u64 = 500;

const NONE: u8 = 0;
const IDEMPOTENT: u8 = 1;
const NEUTRAL: u8 = 2;
const COMMUTATIVE: u8 = 3;
const ASSOCIATIVE: u8 = 4;
const LISTS: u8 = 5;
const OPERATION: u8 = 6;
const APPLYING: u8 = 7;
const REFUSED: u8 = 8;
const LISTED: u8 = 9;
const COUNTING: u8 = 10;
const FILTER: u8 = 11;
const FILTERED_LIST: u8 = 12;
const GREEDY: u8 = 13;
const HELD: u8 = 14;
const DOTLESS: u8 = 15;
const BEYOND: u8 = 16;
const EMPTY: u8 = 17;
const CONTENT: u8 = 18;
const DECODES: u8 = 19;
const GLUTTON: u8 = 20;
const SPELLINGS: u8 = 21;
const CANONICAL: u8 = 22;
const BEGINNING: u8 = 23;
const PANICS: u8 = 24;
