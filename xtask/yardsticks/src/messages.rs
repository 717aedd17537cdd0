//! An increment's delta as protobuf would have it, written by hand, since a bench should not need a generator.

use prost::Message;

use crate::contender::Contender;

/// What the delta of an increment of a pn-counter says, in one message that can say nothing else: the least that protobuf
/// can do.
#[derive(Clone, PartialEq, Message)]
pub struct FlatDelta {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The code of the kind.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    /// Who made it: random, so of fixed width.
    #[prost(fixed64, tag = "3")]
    pub actor: u64,
    /// Its place among the operations of the actor.
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    /// The seq that started the actor's slot.
    #[prost(uint64, tag = "5")]
    pub generation: u64,
    /// What the actor added.
    #[prost(uint64, tag = "6")]
    pub added: u64,
    /// What the actor subtracted.
    #[prost(uint64, tag = "7")]
    pub subtracted: u64,
}

/// The same in messages as one would design them, which can say of every operation on a counter what ours can.
#[derive(Clone, PartialEq, Message)]
pub struct NestedDelta {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(message, optional, tag = "3")]
    dot: Option<Dot>,
    #[prost(message, repeated, tag = "4")]
    observed: Vec<Dot>,
    #[prost(message, repeated, tag = "5")]
    slots: Vec<Slot>,
}

impl From<&FlatDelta> for NestedDelta {
    fn from(flat: &FlatDelta) -> Self {
        let dot = Some(Dot { actor: flat.actor, seq: flat.seq });
        let (added, subtracted) = (flat.added, flat.subtracted);
        let slot =
            Slot { dot, generation: flat.generation, added, subtracted, added_reset: 0, subtracted_reset: 0 };
        Self { key: flat.key.clone(), kind: flat.kind, dot, observed: Vec::new(), slots: vec![slot] }
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Dot {
    #[prost(fixed64, tag = "1")]
    actor: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Slot {
    #[prost(message, optional, tag = "1")]
    dot: Option<Dot>,
    #[prost(uint64, tag = "2")]
    generation: u64,
    #[prost(uint64, tag = "3")]
    added: u64,
    #[prost(uint64, tag = "4")]
    subtracted: u64,
    #[prost(uint64, tag = "5")]
    added_reset: u64,
    #[prost(uint64, tag = "6")]
    subtracted_reset: u64,
}

/// Encodes a delta into bytes of its own.
pub fn encode<M: Message + 'static>(name: &'static str, delta: M) -> Contender<'static> {
    Contender::repeated(name, move || delta.encode_to_vec())
}

/// Decodes a delta, and drops it.
pub fn decode<M: Message + Default + 'static>(name: &'static str, delta: &M) -> Contender<'static> {
    let bytes = delta.encode_to_vec();
    Contender::repeated(name, move || M::decode(bytes.as_slice()).expect("it was encoded just before"))
}
