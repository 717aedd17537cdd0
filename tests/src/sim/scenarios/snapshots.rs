//! What a process makes of a snapshot and the log behind it, where that is not what it would make of the whole log
//! by itself.

use trellis_crdt::Kind;
use trellis_node::core::CaptureLimits;

use super::{SECOND, TRIO, add, cut_off, delete, expect, keys_of_one_slot, millis, write};
use crate::invariants::Held;
use crate::sim::agenda::Micros;
use crate::sim::plan::{Limits, SnapshotRhythm};
use crate::sim::world::World;

/// A deletion is dropped, and the log that told of it is needed no more: its stamp is in the snapshot alone. The only
/// member of a cluster restarts with its wall clock behind and writes.
pub(super) fn r11_stamps_stay_above_what_only_a_snapshot_knows() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    delete(&mut world, "n1", "title")?;
    world.run_for(SECOND)?;
    expect(world.collect("n1", "title")? == 1, "the deletion is dropped")?;
    world.run_for(SECOND)?;
    world.snapshot("n1")?;
    world.crash("n1");
    world.set_wall_ahead("n1", -300_000);
    world.boot("n1")?;
    expect(world.starts_from_snapshots() == 1, "it starts from the snapshot")?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 2)?;
    expect(world.tokens("n1", "title") == [2], "the later write shows")?;
    world.rest()
}

/// A counter that was reset comes to n1 by catch-up, is dropped there and counts afresh, all of it while a snapshot is
/// taken. The log behind its start has the old amount, of which the snapshot knows that it is gone.
pub(super) fn r16_an_entry_older_than_what_a_snapshot_dropped_brings_nothing_back() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.crash("n1");
    add(&mut world, "n2", "hits", 10)?;
    world.run_for(SECOND)?;
    // Its ring is gone with its process: n1 has to catch up.
    world.crash("n2");
    world.boot("n2")?;
    world.boot("n1")?;
    world.begin_snapshot("n1")?;
    expect(world.value("n1", "hits") == 0, "n1 has not heard of it")?;
    world.run_until("n1 has caught up", |world| world.value("n1", "hits") == 10)?;
    expect(world.counter("n1", |count| count.entries_received) > 0, "by an entry")?;
    delete(&mut world, "n3", "hits")?;
    world.run_for(SECOND)?;
    expect(world.collect("n1", "hits")? == 1, "it is dropped")?;
    add(&mut world, "n1", "hits", 5)?;
    world.run_for(millis(50))?;
    world.finish_snapshot("n1")?;
    start_alone(&mut world)?;
    expect(world.value("n1", "hits") == 5, "it counts what is new")?;
    expect(world.kept_of("n1", "hits").0 == 1, "in one slot")?;
    mend_and_rest(&mut world)
}

/// While a snapshot is taken a deletion is dropped, the key written again and deleted again: the record of the drop is
/// about the first deletion and not about the second, of which nobody else has heard.
pub(super) fn r16_a_drop_that_a_snapshot_is_ahead_of_takes_nothing_newer() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(millis(50))?;
    delete(&mut world, "n2", "hits")?;
    world.run_for(SECOND)?;
    world.begin_snapshot("n1")?;
    expect(world.collect("n1", "hits")? == 1, "the deletion is dropped")?;
    cut_off(&mut world, "n1", &["n2", "n3"], true);
    add(&mut world, "n1", "hits", 5)?;
    delete(&mut world, "n1", "hits")?;
    world.run_for(millis(50))?;
    let before = world.kept_of("n1", "hits");
    world.finish_snapshot("n1")?;
    start_alone(&mut world)?;
    expect(world.kept_of("n1", "hits") == before, "the second deletion is there")?;
    mend_and_rest(&mut world)
}

/// Something of a slot is dropped in the middle of its capture, which is begun again.
pub(super) fn r16_a_slot_of_which_something_is_dropped_is_captured_again() -> Held {
    let capture = CaptureLimits { step_bytes: 1, chunk_bytes: 1 << 10 };
    let rhythm = SnapshotRhythm { every_micros: (HOUR, HOUR), step_micros: (100, 100), capture };
    let mut world = World::formed(1, Limits { snapshots: Some(rhythm), ..Limits::roomy() })?;
    let keys = keys_of_one_slot(60);
    for key in &keys {
        add(&mut world, "n1", key, 7)?;
        world.run_for(millis(2))?;
    }
    delete(&mut world, "n1", keys[0])?;
    world.run_for(SECOND)?;
    world.begin_snapshot("n1")?;
    world.go_on_with_snapshot("n1", 2)?;
    expect(world.collect("n1", keys[0])? == 1, "the deletion is dropped")?;
    world.finish_snapshot("n1")?;
    world.crash("n1");
    world.boot("n1")?;
    expect(keys[1..].iter().all(|key| world.value("n1", key) == 7), "all is there")?;
    expect(world.kept_of("n1", keys[0]) == (0, 0), "and what was dropped is not")?;
    world.rest()
}

/// The newest snapshot rots: the older one and the log behind it give the same.
pub(super) fn a_snapshot_that_rotted_is_passed_over_for_the_one_before_and_its_log() -> Held {
    let mut limits = Limits::roomy();
    limits.wal.segment_bytes = 11 << 10;
    let mut world = World::formed(2, limits)?;
    for round in 1..=4 {
        for _ in 0..100 {
            add(&mut world, "n1", "hits", 1)?;
            world.run_for(millis(2))?;
        }
        let (before, removed) = (world.log_files("n1"), world.snapshot("n1")?);
        expect((round < 3) == (removed == 0), &format!("{removed} of {before} go with snapshot {round}"))?;
    }
    world.crash("n1");
    world.rot_newest_snapshot("n1");
    cut_off(&mut world, "n1", &["n2"], true);
    world.boot("n1")?;
    expect(
        world.coverage.get("starts that passed a damaged snapshot over") == 1,
        "the newest is passed over",
    )?;
    expect(world.starts_from_snapshots() == 1, "and the older is used")?;
    expect(world.value("n1", "hits") == 400, "with the log behind it")?;
    cut_off(&mut world, "n1", &["n2"], false);
    world.rest()
}

/// n1 starts from its snapshot, and nobody tells it anything.
fn start_alone(world: &mut World) -> Held {
    cut_off(world, "n1", &["n2", "n3"], true);
    world.crash("n1");
    world.boot("n1")?;
    expect(world.starts_from_snapshots() == 1, "it starts from the snapshot")
}

fn mend_and_rest(world: &mut World) -> Held {
    cut_off(world, "n1", &["n2", "n3"], false);
    world.rest()?;
    let value = world.value("n1", "hits");
    expect(world.all_show(&TRIO, "hits", value), "all agree")
}

const HOUR: Micros = 3_600_000_000;
