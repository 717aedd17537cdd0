//! Merging and encoding, against `crdts` and prost: `cargo bench -p trellis-crdt`.

use std::hint::black_box;

use trellis_crdt::{Atom, Crdt, Delta, Dot, Entry, Kind, MvRegister, OrSet, PnCounter, ReplicaId};
use trellis_yardsticks::{Aim, Bench, Contender, FlatDelta, NestedDelta, Rounds, decode, encode};
use trellis_yardsticks::{mv_register_merge, or_set_merge, pn_counter_merge};

fn main() {
    let Some(mut bench) = Bench::begin() else { return };
    counters(&mut bench);
    sets(&mut bench);
    registers(&mut bench);
    deltas(&mut bench);
    bench.end();
}

// Each aim is what was asked for over what the yardstick took then, in the same unit.

fn counters(bench: &mut Bench) {
    for (actors, aim) in [(3, 25.0 / 49.0), (16, 125.0 / 251.0)] {
        let what = format!("pn-counter of {actors} actors, merge");
        bench.compare(&what, merge_of_counters(actors), pn_counter_merge(actors), Some(Aim::AtMost(aim)));
    }
}

fn sets(bench: &mut Bench) {
    let contenders = vec![merge_of_a_member(100), merge_of_sets(100), or_set_merge(100, 3)];
    let samples = bench.measure("or-set of 100, one more merged", Rounds::MICRO, contenders);
    let (as_delta, whole) = (Aim::AtMost(0.5 / 25.7), Aim::AtMost(8.0 / 25.7));
    bench.ratio("or-set of 100, one more merged as a delta", &samples, (0, 2), Some(as_delta));
    bench.ratio("or-set of 100, one more merged as a whole", &samples, (1, 2), Some(whole));
}

fn registers(bench: &mut Bench) {
    let aim = Aim::AtMost(60.0 / 107.0);
    bench.compare("mv-register, concurrent merge", merge_of_registers(3), mv_register_merge(3), Some(aim));
}

/// Encoding is to be as fast as that of the flat message, decoding about twice as fast as that of the nested one.
fn deltas(bench: &mut Bench) {
    let (delta, flat, nested) = deltas_of_an_increment();
    let what = "increment's delta, encoding";
    let contenders = vec![
        Contender::repeated("ours", || delta.encode()),
        encode("prost, flat", flat.clone()),
        encode("prost, nested", nested.clone()),
    ];
    let samples = bench.measure(what, Rounds::MICRO, contenders);
    bench.ratio(what, &samples, (0, 1), Some(Aim::AtMost(1.0)));
    bench.ratio(what, &samples, (0, 2), None);

    let what = "increment's delta, decoding";
    let contenders = vec![decoding(&delta), decode("prost, flat", &flat), decode("prost, nested", &nested)];
    let samples = bench.measure(what, Rounds::MICRO, contenders);
    bench.ratio(what, &samples, (0, 1), None);
    bench.ratio(what, &samples, (0, 2), Some(Aim::AtMost(40.0 / 76.0)));
}

/// A counter of so many actors, each of which counted up and down, into one that lacks the last increment and the last
/// decrement of each.
fn merge_of_counters(actors: u64) -> Contender<'static> {
    let mut held = PnCounter::new();
    (1..=actors).for_each(|number| count_both_ways(&mut held, number, 1));
    let mut newer = held.clone();
    (1..=actors).for_each(|number| count_both_ways(&mut newer, number, 3));
    Contender::on_clones("ours", held, move |held| held.merge(&newer))
}

fn count_both_ways(counter: &mut PnCounter, number: u64, seq: u64) {
    counter.increment(dot(number, seq), 5).expect("far from an overflow");
    counter.increment(dot(number, seq + 1), -1).expect("far from an overflow");
}

/// One more member into a set of so many, as its delta.
fn merge_of_a_member(members: u64) -> Contender<'static> {
    let held = set(members);
    let delta = held.clone().insert(dot(1, members + 1), member(members));
    Contender::on_clones("ours, delta", held, move |held| held.merge(&delta))
}

/// A whole set that has one more member than the one of so many.
fn merge_of_sets(members: u64) -> Contender<'static> {
    let held = set(members);
    let newer = set(members + 1);
    Contender::on_clones("ours, whole", held, move |held| held.merge(&newer))
}

/// A register into another, each with one value that the other has not seen, after so many actors wrote to both.
fn merge_of_registers(actors: u64) -> Contender<'static> {
    let mut ours = MvRegister::<ReplicaId>::new();
    for actor in 1..=actors {
        ours.set(dot(actor, 1), b"an older value .."[..].into());
    }
    let mut theirs = ours.clone();
    ours.set(dot(1, 2), b"one value .....1"[..].into());
    theirs.set(dot(2, 2), b"another value .2"[..].into());
    Contender::on_clones("ours", ours, move |ours| ours.merge(&theirs))
}

fn decoding(delta: &Delta<'_>) -> Contender<'static> {
    let bytes = delta.encode();
    Contender::repeated("ours", move || {
        black_box(&Delta::<ReplicaId>::decode(&bytes).expect("it was encoded just before"));
    })
}

/// The same increment, ours and as messages.
fn deltas_of_an_increment() -> (Delta<'static>, FlatDelta, NestedDelta) {
    let (generation, seq, added, key) = (1234, 70_001, 20_001, "visits:home:2026");
    let mut counter = PnCounter::new();
    let actor = actor(1);
    counter.increment(Dot::new(actor, generation), added - 1).expect("far from an overflow");
    let dot = Dot::new(actor, seq);
    let delta = counter.increment(dot, 1).expect("far from an overflow");
    let entry = Entry { atom: Atom::new(key, Kind::PnCounter), value: delta.into() };
    let flat = FlatDelta {
        key: key.to_owned(),
        kind: Kind::PnCounter.code().into(),
        actor: actor.as_u64(),
        seq,
        generation,
        added: added.unsigned_abs(),
        subtracted: 0,
    };
    let nested = NestedDelta::from(&flat);
    (Delta { dot, entry }, flat, nested)
}

/// A set whose members were added by three actors in turn.
fn set(members: u64) -> OrSet {
    let mut set = OrSet::new();
    for place in 0..members {
        set.insert(dot(1 + place % 3, 1 + place), member(place));
    }
    set
}

fn member(place: u64) -> Box<[u8]> {
    format!("member {place:09}").into_bytes().into()
}

fn dot(number: u64, seq: u64) -> Dot {
    Dot::new(actor(number), seq)
}

/// Ids are random bits.
fn actor(number: u64) -> ReplicaId {
    ReplicaId::from_u64(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number))
}
