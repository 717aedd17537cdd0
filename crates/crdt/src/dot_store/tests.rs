//! Joining stores against the definition over plain sets.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen};

use super::*;
use crate::codec::DecodeError;
use crate::lattice::Nothing;
use crate::laws::own::properties;

properties! {
    fn a_join_is_what_the_definition_says(ours: Part, theirs: Part, covered: Part) -> () {
        // (s ∩ s') ∪ (s \ c') ∪ (s' \ c), of which what is covered here besides is not taken.
        let mut expected = BTreeMap::new();
        for (dot, content) in &ours.content {
            if theirs.content.contains_key(dot) || !theirs.context.covers(*dot) {
                expected.insert(*dot, *content);
            }
        }
        for (dot, content) in &theirs.content {
            if !ours.context.covers(*dot) && !covered.context.covers(*dot) {
                expected.insert(*dot, *content);
            }
        }
        let mut joined = ours.store();
        joined.join(&ours.context, &theirs.store(), &theirs.context, &covered.context);
        // With one operation of an actor superseding its others, at most one dot of each is left; drawn stores may
        // contradict each other, and then the definition keeps two.
        assert!(joined.iter().map(|(dot, content)| (dot, *content)).eq(expected));
    }

    fn dots_and_contents_are_in_order(part: Part) -> () {
        let store = part.store();
        assert!(store.dots().eq(part.content.keys().copied()));
        assert_eq!((store.len(), store.is_empty()), (part.content.len(), part.content.is_empty()));
        assert!(part.content.iter().all(|(dot, content)| store.get(*dot) == Some(content)));
        let mut pieces = Vec::new();
        store.contents(&mut |piece: &[u8]| pieces.push(piece.to_vec()));
        let spelled = part.content.iter().map(|(dot, content)| {
            let mut bytes = Vec::new();
            dot.encode(&mut bytes);
            content.encode(&mut bytes);
            bytes
        });
        assert!(pieces.into_iter().eq(spelled));
    }

    fn pieces_decode_beside_their_context(part: Part) -> () {
        let mut bytes = Vec::new();
        part.store().encode_pieces(&part.context, &mut bytes);
        let mut input = Reader::new(&bytes);
        assert_eq!(DotFun::decode_pieces(&part.context, &mut input), Ok(part.store()));
        assert!(input.is_empty());
        let strangers = VersionVector::new();
        let decoded = DotFun::<ReplicaId, u8>::decode_pieces(&strangers, &mut Reader::new(&bytes));
        let expected = if part.content.is_empty() { Ok(DotFun::new()) } else { Err(DecodeError::UncoveredDot) };
        assert_eq!(decoded, expected);
    }
}

#[test]
fn a_set_of_dots_is_a_store_of_nothing() {
    let dot = Dot::new(ReplicaId::from_u64(1), 1);
    let mut set = DotSet::default();
    set.join(&VersionVector::new(), &DotSet::one(dot, ()), &dot.into(), &Nothing);
    assert_eq!(set.get(dot), Some(&()));
    assert_eq!(set.get(Dot::new(dot.actor, 2)), None);
    // What one side saw and does not hold, it removed.
    set.join(&dot.into(), &DotSet::new(), &dot.into(), &Nothing);
    assert!(set.is_empty());
}

/// A store with its context: at most one dot of each actor, which the context covers.
#[derive(Clone, Debug)]
struct Part {
    content: BTreeMap<Dot, u8>,
    context: VersionVector,
}

impl Part {
    fn store(&self) -> DotFun<ReplicaId, u8> {
        let mut entries = OneOrMany::new();
        self.content.iter().for_each(|(dot, content)| entries.push((*dot, *content)));
        DotFun { entries }
    }
}

impl Arbitrary for Part {
    fn arbitrary(g: &mut Gen) -> Self {
        let (mut content, mut context) = (BTreeMap::new(), VersionVector::new());
        for actor in (0..5).map(ReplicaId::from_u64) {
            let [seq, beyond] = [u8::arbitrary(g) % 4, u8::arbitrary(g) % 4].map(u64::from);
            context.raise(actor, seq + beyond);
            if seq > 0 {
                // A dot names one operation, and so one content.
                let dot = Dot::new(actor, seq);
                content.insert(dot, (actor.as_u64() * 16 + seq) as u8);
            }
        }
        Self { content, context }
    }
}
