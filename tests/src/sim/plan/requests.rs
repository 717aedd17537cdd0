//! What clients ask for.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use trellis_crdt::Kind;
use trellis_storage::slot_of;

use crate::sim::agenda::Micros;
use crate::sim::dice::Dice;

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its place in the plan.
    pub index: usize,
    /// When.
    pub at: Micros,
    /// Of which host.
    pub host: u8,
    /// About which key.
    pub key: &'static str,
    /// What.
    pub kind: RequestKind,
    /// Whether the answer waits for the disk; otherwise a crash may lose the write.
    pub is_synced: bool,
    /// Nodes that must hold it before it is answered.
    pub replicas: u32,
    /// How long the client waits.
    pub patience: Micros,
    /// How often it asks again, somewhere else, when it got no answer.
    pub retries: u8,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Add to a counter.
    Increment {
        /// A g-counter or a pn-counter.
        kind: Kind,
        /// So much.
        amount: i64,
    },
    /// Write a register.
    Set {
        /// An lww-register or an mv-register.
        kind: Kind,
        /// Bytes of the value, its token aside.
        padding: usize,
    },
    /// Add an element to a set.
    Add {
        /// A g-set or an or-set.
        kind: Kind,
        /// Which.
        element: &'static str,
    },
    /// Remove an element from an or-set.
    Remove {
        /// Which.
        element: &'static str,
    },
    /// Enable or disable a flag.
    Switch {
        /// An ew-flag or a dw-flag.
        kind: Kind,
        /// What it is to be.
        enabled: bool,
    },
    /// Delete what the key holds, in as many steps as that takes.
    Delete {
        /// Of all kinds, or of this.
        kind: Option<Kind>,
    },
    /// Read the key.
    Read {
        /// Of the only kind, or of this.
        kind: Option<Kind>,
    },
    /// Ask whether an element is in a set.
    Contains {
        /// A g-set or an or-set.
        kind: Kind,
        /// Which.
        element: &'static str,
    },
    /// Read a set page by page.
    Elements {
        /// A g-set or an or-set.
        kind: Kind,
    },
    /// List all keys of the key's slot.
    List,
}

/// The keys of all histories: three in each of four slots, so that operations meet. The first one is hot.
pub fn keys() -> &'static [&'static str] {
    static KEYS: OnceLock<Vec<&'static str>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut keys = Vec::new();
        for slot in SLOTS {
            let names = (0..).map(|number| format!("key-{number}")).filter(|name| slot_of(name) == slot);
            keys.extend(names.take(KEYS_PER_SLOT).map(|name| &*Box::leak(name.into_boxed_str())));
        }
        keys
    })
}

/// A key or an element as all of the simulator names it.
pub fn intern(key: &str) -> &'static str {
    static OTHERS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if let Some(known) = keys().iter().chain(&ELEMENTS).find(|known| **known == key) {
        return known;
    }
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = others.get(key) {
        return known;
    }
    let leaked: &'static str = Box::leak(key.to_owned().into_boxed_str());
    others.insert(leaked);
    leaked
}

pub(super) fn draw(hosts: u8, count: usize, from: Micros, to: Micros, dice: &mut Dice) -> Vec<Request> {
    let mut times: Vec<Micros> = Vec::with_capacity(count);
    while times.len() < count {
        let at = dice.between(from, to);
        // Some come alone, some in a burst within a few milliseconds.
        let burst = if dice.per_mille(300) { dice.between(2, 12) } else { 1 };
        times.extend((0..burst).map(|_| at + dice.below(4_000)));
    }
    times.truncate(count);
    times.sort_unstable();
    let habits = Habits {
        amounts: AMOUNTS[dice.below(AMOUNTS.len() as u64) as usize],
        first_kind: dice.below(Kind::ALL.len() as u64) as usize,
    };
    times.into_iter().enumerate().map(|(index, at)| draw_one(index, at, hosts, habits, dice)).collect()
}

/// What the clients of one history have in common.
#[derive(Clone, Copy)]
struct Habits {
    amounts: &'static [i64],
    /// The place among all kinds of that of the first key; the next key is of the next kind.
    first_kind: usize,
}

fn draw_one(index: usize, at: Micros, hosts: u8, habits: Habits, dice: &mut Dice) -> Request {
    let keys = keys();
    let key_index = if dice.per_mille(350) { 0 } else { dice.below(keys.len() as u64) as usize };
    // A key is mostly used as one kind, and sometimes as another.
    let usual = Kind::ALL[(key_index + habits.first_kind) % Kind::ALL.len()];
    let kind = if dice.per_mille(120) { dice.pick(&Kind::ALL) } else { usual };
    let request = match dice.below(100) {
        0..14 => RequestKind::Delete { kind: dice.per_mille(500).then_some(kind) },
        14..30 => draw_read(kind, dice),
        30..32 => RequestKind::List,
        _ => draw_write(kind, habits.amounts, dice),
    };
    Request {
        index,
        at,
        host: dice.below(u64::from(hosts)) as u8,
        key: keys[key_index],
        kind: request,
        is_synced: dice.per_mille(850),
        replicas: dice.pick(&[1, 1, 1, 2, 3]),
        patience: dice.pick(&[50_000, 500_000, 3_000_000]),
        retries: dice.pick(&[0, 0, 1, 2]),
    }
}

fn draw_read(kind: Kind, dice: &mut Dice) -> RequestKind {
    match dice.below(3) {
        0 if kind.is_set() => RequestKind::Contains { kind, element: draw_element(dice) },
        1 if kind.is_set() => RequestKind::Elements { kind },
        _ => RequestKind::Read { kind: dice.per_mille(500).then_some(kind) },
    }
}

fn draw_write(kind: Kind, amounts: &[i64], dice: &mut Dice) -> RequestKind {
    match kind {
        Kind::GCounter => RequestKind::Increment { kind, amount: dice.pick(amounts).saturating_abs() },
        Kind::PnCounter => RequestKind::Increment { kind, amount: dice.pick(amounts) },
        Kind::LwwRegister | Kind::MvRegister => {
            RequestKind::Set { kind, padding: dice.pick(&[0, 0, 8, 40, 400]) }
        }
        Kind::OrSet if dice.per_mille(400) => RequestKind::Remove { element: draw_element(dice) },
        Kind::GSet | Kind::OrSet => RequestKind::Add { kind, element: draw_element(dice) },
        Kind::EwFlag | Kind::DwFlag => RequestKind::Switch { kind, enabled: dice.per_mille(500) },
    }
}

/// One of them is hot.
fn draw_element(dice: &mut Dice) -> &'static str {
    if dice.per_mille(400) { ELEMENTS[1] } else { dice.pick(&ELEMENTS) }
}

const SLOTS: [u8; 4] = [3, 77, 130, 255];
const KEYS_PER_SLOT: usize = 3;
/// The elements of all sets.
const ELEMENTS: [&str; 6] = ["", "a", "b", "c", "dd", "one that takes more bytes than a page of a few"];
/// Mostly small ones; sometimes such as leave the range of what a slot or a total can hold.
const AMOUNTS: [&[i64]; 4] = [
    &[1, 1, 5, -2, 0],
    &[1, 1, 5, -2, 0],
    &[1, 7, -7, 100, -30, 0],
    &[1, -1, i64::MAX, i64::MIN, i64::MAX - 1],
];
