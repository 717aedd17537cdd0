//! Prints how many bytes a key takes, everything included: `cargo run --release -p trellis-storage --example memory`.
//!
//! A million counters under 16-byte keys, written by one replica and by three, once each and five times each in random
//! order. Counted is by how much the process grows: each case in a process of its own, as Linux tells it.

use std::process::Command;

use trellis_crdt::{Hlc, Kind, ReplicaId};
use trellis_storage::{Config, Keyspace, Operation};

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some(writers), Some(rounds)) = (arguments.next(), arguments.next()) {
        let (writers, rounds) = (writers.parse().expect("a number"), rounds.parse().expect("a number"));
        println!("{}", bytes_per_key(writers, rounds));
        return;
    }
    println!("{:<10}{:>18}{:>14}", "writers", "increments each", "bytes a key");
    for (writers, rounds) in [(1, 1), (1, 5), (3, 1), (3, 5)] {
        let exe = std::env::current_exe().expect("an example knows where it is");
        let output = Command::new(exe).args([writers, rounds].map(|number: u64| number.to_string())).output();
        let output = output.expect("an example can start itself");
        let bytes = String::from_utf8_lossy(&output.stdout);
        println!("{writers:<10}{rounds:>18}{:>14}", bytes.trim());
    }
}

fn bytes_per_key(writers: u64, rounds: u64) -> u64 {
    let before = resident_bytes();
    let mut keyspace = Keyspace::new([7; 16], Config::default());
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
                let operation = Operation::Increment { key: &key, kind: Kind::PnCounter, amount: 1 };
                keyspace.apply(&operation, origin, || Hlc::ZERO).expect("an increment by 1 is accepted");
            }
        }
    }
    assert_eq!(keyspace.keys() as u64, KEYS);
    resident_bytes().saturating_sub(before) / KEYS
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells what a process holds");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("in pages");
    pages * 4096
}

const KEYS: u64 = 1_000_000;
