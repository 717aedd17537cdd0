//! Increments and scans of a million keys, against a bare hash map: `cargo bench -p trellis-storage`.
//!
//! The other figure of storage, bytes a key, is printed by the example `memory`.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use siphasher::sip128::SipHasher13;
use trellis_crdt::{Crdt, Dot, Hlc, Kind, PnCounter, ReplicaId, VersionVector};
use trellis_storage::{Config, Keyspace, Operation, SLOTS, ScanCursor, slot_of};
use trellis_yardsticks::{Aim, BareMap, Bench, Contender, Rounds};

fn main() {
    let Some(mut bench) = Bench::begin() else { return };
    let picks = Picks::random(|_| true);
    let halves = [0, 1].map(|parity| Picks::random(move |key| slot_of(key) % 2 == parity));
    let mut maps = [filled_map(), filled_map()];
    let mut keyspace = filled(|_| true);
    let mut shards = [0, 1].map(|parity| filled(move |key| slot_of(key) % 2 == parity));
    let noted: Vec<VersionVector> = slots().map(|slot| keyspace.clock(slot).clone()).collect();

    let mut warmed = filled(|_| true);
    let [map, waiting_map] = &mut maps;
    let contenders = vec![
        increments("bare map", &picks, |key| {
            map.increment(key);
            0
        }),
        increments("bare map, waiting", &picks, |key| waiting_map.increment(key)),
        increments("ours, 1 thread", &picks, |key| {
            increment(&mut keyspace, key);
            0
        }),
        increments_of_two("ours, 2 threads", &halves, &mut shards),
        hashing("digest"),
        increments_in_groups("ours, warmed", &picks, &mut warmed),
    ];
    let samples = bench.measure("increment of one of 1 M keys", MACRO, contenders);
    let (of_the_map, with_two, digest) = (Aim::AtLeast(0.6), Aim::AtLeast(1.6), Aim::AtMost(0.15));
    bench.speed("increment of one of 1 M keys, speed", &samples, (2, 0), Some(of_the_map));
    bench.speed("  when each look-up waits for the last", &samples, (2, 1), None);
    bench.speed("  in groups of 32, warmed", &samples, (5, 0), None);
    bench.speed("  with 2 threads, each half of the keys", &samples, (3, 2), Some(with_two));
    bench.ratio("  digest kept up to date, at most", &samples, (4, 2), Some(digest));

    let samples = bench.measure("scan beyond a clock", MACRO, vec![scan("ours", &keyspace, &noted)]);
    bench.rate("scan beyond a clock, M atoms/s", &samples, 0, Some(Aim::AtLeast(2.0)));
    bench.end();
}

/// Does an increment of the next pick each time.
///
/// A processor looks up several keys of a bare map at once, while each of these look-ups waits for memory; nothing that
/// does as much as a keyspace can have that. So the map is measured a second time with increments that tell by their
/// amount where the next pick is.
fn increments<'a>(
    name: &'static str,
    picks: &'a Picks,
    mut one: impl FnMut(&str) -> i64 + 'a,
) -> Contender<'a> {
    let mut next = 0;
    Contender::timed(name, move |times| {
        let started = Instant::now();
        picks.take(&mut next, times, &mut one);
        started.elapsed()
    })
}

/// Does the increments in groups, for each of which the keyspace is warmed beforehand.
fn increments_in_groups<'a>(
    name: &'static str,
    picks: &'a Picks,
    keyspace: &'a mut Keyspace,
) -> Contender<'a> {
    let mut groups = picks.groups().cycle();
    Contender::timed(name, move |times| {
        let started = Instant::now();
        let mut done = 0;
        while done < times {
            let group = groups.next().expect("it goes round");
            keyspace.warm(group.clone());
            for key in group {
                increment(keyspace, key);
                done += 1;
            }
        }
        // Whole groups are done, so it may be some more.
        started.elapsed().mul_f64(times as f64 / done as f64)
    })
}

/// Does half of the increments in each of two keyspaces at the same time.
fn increments_of_two<'a>(
    name: &'static str,
    picks: &'a [Picks; 2],
    shards: &'a mut [Keyspace; 2],
) -> Contender<'a> {
    let mut next = [0; 2];
    Contender::timed(name, move |times| {
        let started = Instant::now();
        thread::scope(|scope| {
            for ((picks, shard), next) in picks.iter().zip(shards.iter_mut()).zip(&mut next) {
                scope.spawn(move || {
                    picks.take(next, times / 2, &mut |key| {
                        increment(shard, key);
                        0
                    });
                });
            }
        });
        started.elapsed()
    })
}

/// Hashes what the digest of a slot takes for one increment: the key, and the one slot of a counter before and after.
///
/// It cannot be switched off in a keyspace, so this is measured apart, and an upper bound: the hash of the key is also
/// that by which it is found.
fn hashing(name: &'static str) -> Contender<'static> {
    let mut before = PnCounter::new();
    before.increment(Dot::new(ORIGIN, 70_000), 20_000).expect("far from an overflow");
    let mut after = before.clone();
    after.increment(Dot::new(ORIGIN, 70_001), 1).expect("far from an overflow");
    let keys: Vec<String> = (0..1024).map(key).collect();
    let mut digest = 0_u128;
    let hasher = SipHasher13::new_with_key(&DIGEST_KEY);
    let mut buffer = Vec::new();
    Contender::timed(name, move |times| {
        let started = Instant::now();
        for key in keys.iter().cycle().take(usize::try_from(times).expect("fewer than can be counted")) {
            let name = hasher.hash(key.as_bytes()).as_u128();
            let mut content = |counter| hash_of(&hasher, name, counter, &mut buffer);
            digest = digest.wrapping_sub(content(&before)).wrapping_add(content(&after));
        }
        black_box(digest);
        started.elapsed()
    })
}

fn hash_of(hasher: &SipHasher13, name: u128, counter: &PnCounter, buffer: &mut Vec<u8>) -> u128 {
    buffer.clear();
    buffer.push(Kind::PnCounter.code());
    buffer.extend_from_slice(&name.to_le_bytes());
    let (names, mut sum) = (buffer.len(), 0_u128);
    black_box(counter).contents(&mut |piece| {
        buffer.extend_from_slice(piece);
        sum = sum.wrapping_add(hasher.hash(buffer).as_u128());
        buffer.truncate(names);
    });
    sum
}

/// Scans slot after slot for what is beyond the clocks, an atom each time.
fn scan<'a>(name: &'static str, keyspace: &'a Keyspace, noted: &'a [VersionVector]) -> Contender<'a> {
    let mut slots = slots().cycle();
    Contender::timed(name, move |times| {
        let mut found = 0;
        let started = Instant::now();
        while found < times {
            let slot = slots.next().expect("it goes round");
            let mut cursor = ScanCursor::new(slot, noted[usize::from(slot)].clone());
            loop {
                let step = keyspace.scan(&mut cursor, STEP_BYTES_MAX);
                found += black_box(&step.entries).len() as u64;
                if step.is_done {
                    break;
                }
            }
        }
        // Whole slots are scanned, so it may be some more.
        started.elapsed().mul_f64(times as f64 / found as f64)
    })
}

/// Keys in the order in which they are incremented, one behind the other: reading them costs next to nothing.
struct Picks {
    keys: String,
}

impl Picks {
    /// Picks keys at random, and of those the ones that are `wanted`. The same order at each call.
    fn random(wanted: impl Fn(&str) -> bool) -> Self {
        let mut random = 1_u64;
        let mut keys = String::with_capacity(PICKS * KEY_BYTES);
        for _ in 0..PICKS {
            // Knuth's MMIX generator: the low bits are poor, the high ones are not.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = key((random >> 33) % KEYS);
            if wanted(&key) {
                keys.push_str(&key);
            }
        }
        Self { keys }
    }

    /// Does `one` to so many picks from the one with number `next` on, and again from the first after the last. A pick
    /// is left out when the one before told a negative number, which none does.
    fn take(&self, next: &mut usize, times: u64, one: &mut impl FnMut(&str) -> i64) {
        for _ in 0..times {
            let start = *next * KEY_BYTES;
            let told = one(&self.keys[start..start + KEY_BYTES]);
            *next += 1 + usize::from(told.is_negative());
            if *next * KEY_BYTES >= self.keys.len() {
                *next = 0;
            }
        }
    }
}

impl Picks {
    /// The picks in groups, in their order.
    fn groups(&self) -> impl Iterator<Item = impl Iterator<Item = &str> + Clone> + Clone {
        let keys = self.keys.as_bytes().chunks(GROUP * KEY_BYTES);
        keys.map(|group| {
            group.chunks(KEY_BYTES).map(|key| std::str::from_utf8(key).expect("keys are of ASCII"))
        })
    }
}

fn filled_map() -> BareMap {
    let mut map = BareMap::new();
    (0..KEYS).map(key).for_each(|key| {
        map.increment(&key);
    });
    map
}

/// Counters under all keys that are `wanted`.
fn filled(wanted: impl Fn(&str) -> bool) -> Keyspace {
    let mut keyspace = Keyspace::new(DIGEST_KEY, Config::default());
    (0..KEYS).map(key).filter(|key| wanted(key)).for_each(|key| increment(&mut keyspace, &key));
    keyspace
}

fn increment(keyspace: &mut Keyspace, key: &str) {
    let operation = Operation::Increment { key, kind: Kind::PnCounter, amount: 1 };
    let applied = keyspace.apply(&operation, ORIGIN, || Hlc::ZERO).expect("an increment by 1 is accepted");
    black_box(applied);
}

fn key(number: u64) -> String {
    format!("key {number:012}")
}

fn slots() -> impl Iterator<Item = u8> + Clone {
    (0..SLOTS).map(|slot| u8::try_from(slot).expect("a slot's number is a byte"))
}

const KEYS: u64 = 1_000_000;
const KEY_BYTES: usize = 16;
const GROUP: usize = 32;
/// So many that the caches do not learn them.
const PICKS: usize = 1 << 22;
const STEP_BYTES_MAX: usize = 1 << 20;
const DIGEST_KEY: [u8; 16] = [7; 16];
const ORIGIN: ReplicaId = ReplicaId::from_u64(0x9e37_79b9_7f4a_7c15);

/// A round is long enough for each slot to compact its logs, and its turns short enough to meet the same noise.
const MACRO: Rounds = Rounds { count: 9, turns: 20, times: Some(50_000) };
