//! What a bad network does to messages, from a seed.

use bytes::Bytes;
use trellis_replication::{LinkEvent, Message, PushReply, PushRequest, PushedDelta, SyncReply};

/// Loses, repeats and reorders deltas and their answers, and breaks streams.
pub(crate) struct Mischief {
    state: u64,
    /// One message of so many breaks its stream; 0 for none.
    breaks_one_in: u64,
    /// One message of so many is lost, repeated or turned round; 0 for none.
    spoils_one_in: u64,
    /// The entries of every transfer arrive as nonsense.
    garbles_entries: bool,
}

/// What becomes of a message.
pub(super) enum Fate {
    Arrives(Vec<Message>),
    BreaksLink,
}

impl Mischief {
    pub(super) fn new(seed: u64, breaks_one_in: u64, spoils_one_in: u64) -> Self {
        Self { state: seed, breaks_one_in, spoils_one_in, garbles_entries: false }
    }

    pub(super) fn that_garbles_entries() -> Self {
        Self { garbles_entries: true, ..Self::new(0, 0, 0) }
    }

    /// Draws a number below `end`, by Steele's, Lea's and Flood's SplitMix64 (2014).
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        count > 0 && self.below(count) == 0
    }

    /// A transfer is cut or whole, as its stream is; pushes may lose any of their messages and still heal.
    pub(super) fn of(&mut self, mut message: Message) -> Fate {
        if let Message::SyncReply(SyncReply::Chunk(chunk)) = &mut message
            && self.garbles_entries
        {
            chunk
                .slots
                .iter_mut()
                .flat_map(|part| &mut part.entries)
                .for_each(|entry| *entry = Bytes::from_static(b"?"));
        }
        if self.one_in(self.breaks_one_in) {
            return Fate::BreaksLink;
        }
        if !self.one_in(self.spoils_one_in) {
            return Fate::Arrives(vec![message]);
        }
        Fate::Arrives(match message {
            Message::PushRequest(PushRequest::Deltas(deltas)) => self.spoil(deltas),
            Message::PushReply(PushReply::Acked(_) | PushReply::Wanted { .. }) => Vec::new(),
            other => vec![other],
        })
    }

    fn spoil(&mut self, mut deltas: Vec<PushedDelta>) -> Vec<Message> {
        let message = |deltas| Message::PushRequest(PushRequest::Deltas(deltas));
        match self.below(4) {
            0 => Vec::new(),
            1 => vec![message(deltas.clone()), message(deltas)],
            2 => {
                deltas.reverse();
                vec![message(deltas)]
            }
            _ => {
                let lost = self.below(deltas.len() as u64) as usize;
                deltas.remove(lost);
                vec![message(deltas)]
            }
        }
    }
}

/// A message as its receiver sees it.
pub(super) fn as_event(message: Message) -> LinkEvent {
    match message {
        Message::PushRequest(message) => LinkEvent::PushRequest(message),
        Message::PushReply(message) => LinkEvent::PushReply(message),
        Message::SyncRequest(message) => LinkEvent::SyncRequest(message),
        Message::SyncReply(message) => LinkEvent::SyncReply(message),
    }
}
