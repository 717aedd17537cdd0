//! Prints how many bytes a key takes, everything included: `cargo run --release -p trellis-storage --example memory`.
//!
//! A million pn-counters under 16-byte keys, written by one replica and by three, once each and five times each in random
//! order; and the same in counters of `crdts` in a hash map. Counted is by how much the process grows: each case in a
//! process of its own, as Linux tells it.

use std::process::Command;

use trellis_crdt::{Hlc, Kind, ReplicaId};
use trellis_storage::{Config, Keyspace, Operation};
use trellis_yardsticks::CounterMap;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [holder, writers, rounds] = arguments.as_slice() {
        let (writers, rounds) = (writers.parse().expect("a number"), rounds.parse().expect("a number"));
        println!("{}", bytes_per_key(holder, writers, rounds));
        return;
    }
    println!("{:<8}{:>10}{:>18}{:>14}{:>8}", "", "writers", "increments each", "bytes a key", "aim");
    for (writers, rounds, aim) in [(1, 1, 128), (1, 5, 128), (3, 1, 220), (3, 5, 220)] {
        for holder in [OURS, CRDTS] {
            let aim = if holder == OURS { format!("<= {aim}") } else { String::new() };
            let bytes = bytes_per_key_elsewhere(holder, writers, rounds);
            println!("{}", format!("{holder:<8}{writers:>10}{rounds:>18}{bytes:>14}{aim:>8}").trim_end());
        }
    }
}

/// Starts a process for one case.
fn bytes_per_key_elsewhere(holder: &str, writers: u64, rounds: u64) -> String {
    let exe = std::env::current_exe().expect("an example knows where it is");
    let output =
        Command::new(exe).arg(holder).args([writers, rounds].map(|number| number.to_string())).output();
    let output = output.expect("an example can start itself");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn bytes_per_key(holder: &str, writers: u64, rounds: u64) -> u64 {
    let before = resident_bytes();
    // Both live until the memory was looked at; the one that is not asked for is empty.
    let mut keyspace = Keyspace::new([7; 16], Config::default());
    let mut counters = CounterMap::new();
    let mut random = 1_u64;
    for round in 0..rounds {
        for writer in 0..writers {
            let origin = ReplicaId::from_u64(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(writer + 1));
            for count in 0..KEYS {
                // Knuth's MMIX generator: the low bits are poor, the high ones are not.
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = if round == 0 { count } else { (random >> 33) % KEYS };
                let key = format!("key {place:012}");
                if holder == CRDTS {
                    counters.increment(&key, origin.as_u64());
                } else {
                    let operation = Operation::Increment { key: &key, kind: Kind::PnCounter, amount: 1 };
                    keyspace.apply(&operation, origin, || Hlc::ZERO).expect("an increment by 1 is accepted");
                }
            }
        }
    }
    assert_eq!(keyspace.keys() as u64 + counters.len() as u64, KEYS);
    resident_bytes().saturating_sub(before) / KEYS
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells what a process holds");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("in pages");
    pages * 4096
}

const OURS: &str = "ours";
const CRDTS: &str = "crdts";
const KEYS: u64 = 1_000_000;
