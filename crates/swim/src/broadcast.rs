//! The host's broadcasts: what is still to be told, what was heard, and what gives way when there is too much.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::counters::Counters;
use crate::error::BroadcastError;
use crate::member_list::Slot;

/// Which broadcasts go first, and which give way when there is too much. All of a higher priority go before any of a
/// lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// What may be late or lost before others are.
    Low,
    /// The default.
    #[default]
    Normal,
    /// What is worth holding up the others.
    High,
}

/// Broadcasts of this member and of others.
///
/// A broadcast is named by its origin and key and ordered by (epoch, version); the greatest that is known of a name is
/// the only one. Those that are to be told on are in `queue`. Others' are remembered in `heard` when they have been
/// told, and of what is forgotten the greatest stamp remains as the origin's `floor`. So nothing is taken twice.
///
/// Every operation takes time logarithmic in what is held and remembered, but for those that give way.
#[derive(Debug)]
pub(crate) struct Broadcasts {
    origins: BTreeMap<Slot, Origin>,
    /// In the order in which they are told. Who is last gives way first.
    queue: BTreeMap<Rank, Item>,
    /// Of others, the one heard longest ago first.
    heard: BTreeMap<u64, (Slot, Arc<[u8]>)>,
    /// Of all keys and payloads in the queue.
    bytes: usize,
    /// The greatest of the own ones.
    version: u64,
    numbered: u64,
}

/// What is known of one member's broadcasts.
#[derive(Debug, Default)]
struct Origin {
    /// Above everything that is forgotten of it. Whether a key that is not known was heard at a lower stamp cannot be
    /// told any more.
    floor: (u64, u64),
    by_key: BTreeMap<Arc<[u8]>, Known>,
}

#[derive(Debug)]
struct Known {
    /// Epoch and version. The own ones are of whatever epoch the member is in when it tells them.
    stamp: (u64, u64),
    /// The place in `heard`.
    number: u64,
    /// The place in the queue, while it is to be told on.
    rank: Option<Rank>,
}

/// The order of telling: the higher priority, then what was sent least, then what has waited longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    priority: Reverse<Priority>,
    sends: usize,
    number: u64,
}

/// A broadcast that is to be told on.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) origin: Slot,
    pub(crate) stamp: (u64, u64),
    pub(crate) key: Arc<[u8]>,
    pub(crate) payload: Arc<[u8]>,
    /// Who told it last: that one knows, and the answer to it is not to say it again.
    pub(crate) told_by: Slot,
}

/// What another member's broadcast says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) stamp: (u64, u64),
    pub(crate) priority: Priority,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// The host is to be told.
    First { key: Arc<[u8]>, payload: Arc<[u8]> },
    /// It, or a later one under its key, was taken before.
    Again,
    /// It may have been taken before.
    Doubtful,
}

impl Broadcasts {
    pub(crate) fn new() -> Self {
        Self {
            origins: BTreeMap::new(),
            queue: BTreeMap::new(),
            heard: BTreeMap::new(),
            bytes: 0,
            version: 0,
            numbered: 0,
        }
    }

    /// Takes an own broadcast in place of an earlier one under its key. On an error nothing has changed.
    pub(crate) fn offer(
        &mut self,
        key: &[u8],
        payload: Vec<u8>,
        priority: Priority,
        config: &Config,
        counters: &mut Counters,
    ) -> Result<(), BroadcastError> {
        within("key", key.len(), BROADCAST_KEY_BYTES_MAX)?;
        within("payload", payload.len(), BROADCAST_PAYLOAD_BYTES_MAX)?;
        let earlier = self.rank_of(Slot::LOCAL, key);
        let room = Room { bytes: key.len() + payload.len(), replaces: earlier, priority, is_own: true };
        let victims = self.victims(&room, config).ok_or(BroadcastError::Full {
            count_max: config.broadcasts_max,
            bytes_max: config.broadcast_bytes_max,
        })?;
        earlier.into_iter().for_each(|rank| self.release(rank));
        self.drop_all(&victims, counters);
        self.version += 1;
        let (key, payload, stamp): (Arc<[u8]>, Arc<[u8]>, _) =
            (key.into(), payload.into(), (0, self.version));
        let item = Item { origin: Slot::LOCAL, stamp, key: key.clone(), payload, told_by: Slot::LOCAL };
        let rank = self.hold(priority, item);
        let known = Known { stamp, number: 0, rank: Some(rank) };
        self.origins.entry(Slot::LOCAL).or_default().by_key.insert(key, known);
        counters.broadcasts_offered += 1;
        Ok(())
    }

    /// Takes another member's broadcast, unless it was taken before, and holds it to be told on, if there is room.
    pub(crate) fn hear(
        &mut self,
        (origin, told_by): (Slot, Slot),
        heard: Heard<'_>,
        config: &Config,
        counters: &mut Counters,
    ) -> Hearing {
        let Heard { stamp, priority, key, payload } = heard;
        let known = self.origins.get(&origin);
        let floor = known.map_or((0, 0), |known| known.floor);
        let earlier = known.and_then(|known| known.by_key.get_key_value(key));
        match earlier {
            Some((_, known)) if stamp <= known.stamp => {
                if let Some(rank) = known.rank.filter(|_| stamp == known.stamp) {
                    self.queue.get_mut(&rank).into_iter().for_each(|item| item.told_by = told_by);
                }
                return Hearing::Again;
            }
            None if stamp <= floor => return Hearing::Doubtful,
            _ => {}
        }
        let (key, earlier) = match earlier {
            Some((key, known)) => (key.clone(), Some((known.number, known.rank))),
            None => (Arc::from(key), None),
        };
        if let Some((number, rank)) = earlier {
            self.heard.remove(&number);
            rank.into_iter().for_each(|rank| self.release(rank));
        }
        self.forget_the_oldest(config.broadcasts_remembered_max.saturating_sub(1), counters);
        let payload: Arc<[u8]> = payload.into();
        let room = Room { bytes: key.len() + payload.len(), replaces: None, priority, is_own: false };
        let rank = self.victims(&room, config).map(|victims| {
            self.drop_all(&victims, counters);
            self.hold(priority, Item { origin, stamp, key: key.clone(), payload: payload.clone(), told_by })
        });
        counters.broadcasts_dropped += u64::from(rank.is_none());
        self.numbered += 1;
        self.heard.insert(self.numbered, (origin, key.clone()));
        let known = Known { stamp, number: self.numbered, rank };
        self.origins.entry(origin).or_default().by_key.insert(key.clone(), known);
        Hearing::First { key, payload }
    }

    /// Someone speaks in the own name: the next own version is above that.
    pub(crate) fn outdo(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    /// What is to be told, the first first.
    pub(crate) fn queue(&self) -> impl Iterator<Item = (Rank, &Item)> {
        self.queue.iter().map(|(rank, item)| (*rank, item))
    }

    /// Notes one sending; after `limit` of them it is told no more.
    pub(crate) fn on_sent(&mut self, rank: Rank, limit: usize) {
        if rank.sends + 1 >= limit {
            return self.release(rank);
        }
        if let Some(item) = self.queue.remove(&rank) {
            let rank = Rank { sends: rank.sends + 1, ..rank };
            if let Some(known) = self.known_mut(item.origin, &item.key) {
                known.rank = Some(rank);
            }
            self.queue.insert(rank, item);
        }
    }

    /// Tells nothing of all this any more. What was heard is remembered.
    pub(crate) fn clear(&mut self) {
        while let Some(rank) = self.queue.first_key_value().map(|(rank, _)| *rank) {
            self.release(rank);
        }
    }

    /// Forgets a member. Its place may be another's soon, who does not know what this one has told.
    pub(crate) fn forget(&mut self, member: Slot) {
        for known in self.origins.remove(&member).into_iter().flat_map(|origin| origin.by_key.into_values()) {
            self.heard.remove(&known.number);
            known.rank.into_iter().for_each(|rank| self.release(rank));
        }
        for item in self.queue.values_mut().filter(|item| item.told_by == member) {
            item.told_by = item.origin;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    fn rank_of(&self, origin: Slot, key: &[u8]) -> Option<Rank> {
        self.origins.get(&origin)?.by_key.get(key)?.rank
    }

    fn known_mut(&mut self, origin: Slot, key: &[u8]) -> Option<&mut Known> {
        self.origins.get_mut(&origin)?.by_key.get_mut(key)
    }

    fn hold(&mut self, priority: Priority, item: Item) -> Rank {
        self.numbered += 1;
        let rank = Rank { priority: Reverse(priority), sends: 0, number: self.numbered };
        self.bytes += item.bytes();
        self.queue.insert(rank, item);
        rank
    }

    /// Holds a broadcast no more. An own one is not remembered either: a later one has a greater version.
    pub(crate) fn release(&mut self, rank: Rank) {
        let Some(item) = self.queue.remove(&rank) else {
            return;
        };
        self.bytes -= item.bytes();
        if item.origin != Slot::LOCAL {
            self.known_mut(item.origin, &item.key).into_iter().for_each(|known| known.rank = None);
        } else if let Some(own) = self.origins.get_mut(&Slot::LOCAL) {
            own.by_key.remove(&item.key);
        }
    }

    fn drop_all(&mut self, victims: &[Rank], counters: &mut Counters) {
        counters.broadcasts_dropped += victims.len() as u64;
        victims.iter().for_each(|rank| self.release(*rank));
    }

    /// What gives way so that one more fits; `None` when not enough does.
    ///
    /// Those of a lower priority give way, and those of the same that were sent already: of the lowest priority the
    /// one sent most first. Own ones give way to own ones only, since nobody else may have them.
    fn victims(&self, room: &Room, config: &Config) -> Option<Vec<Rank>> {
        let (mut count, mut bytes) = (self.queue.len() + 1, self.bytes + room.bytes);
        let mut victims = Vec::new();
        if let Some(item) = room.replaces.and_then(|rank| self.queue.get(&rank)) {
            (count, bytes) = (count - 1, bytes - item.bytes());
        }
        for (rank, item) in self.queue.iter().rev() {
            let fits = count <= config.broadcasts_max && bytes <= config.broadcast_bytes_max;
            if fits || !rank.yields_to(room.priority) {
                break;
            }
            if Some(*rank) != room.replaces && (room.is_own || item.origin != Slot::LOCAL) {
                (count, bytes) = (count - 1, bytes - item.bytes());
                victims.push(*rank);
            }
        }
        (count <= config.broadcasts_max && bytes <= config.broadcast_bytes_max).then_some(victims)
    }

    fn forget_the_oldest(&mut self, count_max: usize, counters: &mut Counters) {
        while self.heard.len() > count_max {
            let Some((_, (slot, key))) = self.heard.pop_first() else {
                return;
            };
            if let Some(rank) = self.rank_of(slot, &key) {
                self.drop_all(&[rank], counters);
            }
            if let Some(origin) = self.origins.get_mut(&slot) {
                let forgotten = origin.by_key.remove(&key).map_or((0, 0), |known| known.stamp);
                origin.floor = origin.floor.max(forgotten);
            }
        }
    }
}

impl Item {
    fn bytes(&self) -> usize {
        self.key.len() + self.payload.len()
    }
}

impl Rank {
    pub(crate) fn priority(self) -> Priority {
        self.priority.0
    }

    fn yields_to(self, priority: Priority) -> bool {
        self.priority.0 < priority || (self.priority.0 == priority && self.sends > 0)
    }
}

/// What is to find room.
#[derive(Debug)]
struct Room {
    bytes: usize,
    /// It goes when this one comes.
    replaces: Option<Rank>,
    priority: Priority,
    is_own: bool,
}

fn within(part: &'static str, length: usize, limit: usize) -> Result<(), BroadcastError> {
    if length <= limit { Ok(()) } else { Err(BroadcastError::TooLong { part, length, limit }) }
}

/// The longest key of a broadcast, in bytes; it may be empty.
pub const BROADCAST_KEY_BYTES_MAX: usize = 64;
/// The longest payload of a broadcast, in bytes, so that it fits into any message that says nothing else; it may be
/// empty.
pub const BROADCAST_PAYLOAD_BYTES_MAX: usize = 1024;
/// The greatest version that is taken from others. Above a false one that leaves too little there is a new epoch.
pub(crate) const VERSION_MAX: u64 = 1 << 62;

#[cfg(test)]
mod tests;
