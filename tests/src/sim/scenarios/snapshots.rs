//! What a process makes of a snapshot and the log behind it, where that is not what it would make of the whole log
//! by itself.

use trellis_crdt::Kind;
use trellis_node::core::{CaptureLimits, Phase};

use super::{SECOND, TRIO, add, cut_off, delete, expect, keys_of_one_slot, many_keys, millis, write};
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

/// Writes come behind the capture of their atoms, and before that of the slot is over: the slot's clock, as of before the
/// first of them, does not cover them, so that replay takes them for new.
pub(super) fn r16_what_is_written_behind_its_capture_comes_from_the_log() -> Held {
    let capture = CaptureLimits { step_bytes: 1, chunk_bytes: 200 };
    let rhythm = SnapshotRhythm { every_micros: (HOUR, HOUR), step_micros: (100, 100), capture };
    let mut world = World::formed(1, Limits { snapshots: Some(rhythm), ..Limits::roomy() })?;
    let keys = keys_of_one_slot(60);
    for key in &keys {
        add(&mut world, "n1", key, 1)?;
        world.run_for(millis(2))?;
    }
    world.begin_snapshot("n1")?;
    world.go_on_with_snapshot("n1", 2)?;
    for key in &keys {
        add(&mut world, "n1", key, 1)?;
    }
    world.run_for(millis(50))?;
    world.finish_snapshot("n1")?;
    world.crash("n1");
    world.boot("n1")?;
    expect(world.starts_from_snapshots() == 1, "it starts from the snapshot")?;
    expect(keys.iter().all(|key| world.value("n1", key) == 2), "all is there")?;
    world.rest()
}

/// A snapshot has taken in what is not durable yet, and then the log fails: it never gets its name.
pub(super) fn r16_a_snapshot_holds_nothing_that_the_log_can_still_lose() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(SECOND)?;
    world.stall("n1", true);
    add(&mut world, "n1", "hits", 10)?;
    world.begin_snapshot("n1")?;
    world.capture_all("n1")?;
    world.fail_next_sync("n1");
    world.stall("n1", false);
    world.run_for(millis(50))?;
    expect(world.phase("n1") == Some(Phase::Failed), "the log failed")?;
    expect(world.finish_snapshot("n1").is_err(), "the snapshot is given up")?;
    world.crash("n1");
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 1, "what was not durable is gone")?;
    world.rest()
}

/// The same without a failure: the snapshot waits until the log has caught up.
pub(super) fn r16_a_snapshot_waits_for_the_log() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    world.run_for(SECOND)?;
    world.begin_snapshot("n1")?;
    world.stall("n1", true);
    add(&mut world, "n1", "hits", 10)?;
    world.capture_all("n1")?;
    world.go_on_with_snapshot("n1", 100)?;
    world.crash("n1");
    world.stall("n1", false);
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 0, "what was not durable is gone")?;
    expect(world.starts_from_snapshots() == 0, "and no snapshot has it")?;
    world.rest()
}

/// What the log told of members is in the snapshot alone: who was removed stays removed, and a guest stays one.
pub(super) fn r16_members_and_removals_are_in_the_snapshot() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(50))?;
    world.crash("n3");
    let old = world.replace_disk("n3");
    world.boot("n3")?;
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    world.run_for(SECOND)?;
    let removed = |world: &World| {
        world.core("n1").map(|core| core.look_at_peers(|replicator, _| replicator.roster().clone()))
    };
    let before = removed(&world);
    expect(before.as_ref().is_some_and(|roster| roster.removed.len() == 1), "n1 knows the removal")?;
    world.snapshot("n1")?;
    world.crash("n1");
    cut_off(&mut world, "n1", &["n2", "n3"], true);
    world.boot("n1")?;
    expect(world.starts_from_snapshots() == 1, "it starts from the snapshot")?;
    let kept = removed(&world).zip(before).is_some_and(|(held, before)| {
        held.removed == before.removed && held.members.keys().eq(before.members.keys())
    });
    expect(kept, "and knows it still")?;
    drop(old);
    cut_off(&mut world, "n1", &["n2", "n3"], false);
    world.rest()
}

/// A guest takes a snapshot in the middle of its transfer: from it, it starts as a guest.
pub(super) fn r16_a_guest_that_starts_from_a_snapshot_is_a_guest() -> Held {
    let mut world = World::formed(1, Limits::cramped())?;
    for key in many_keys() {
        add(&mut world, "n1", key, 1)?;
        world.run_for(millis(2))?;
    }
    world.boot("n2")?;
    let lacks = |world: &World| {
        world.core("n2").map_or(0, |core| core.look_at_peers(|peers, _| peers.slots_remaining()))
    };
    world.run_until("the transfer is under way", |world| (1..256).contains(&lacks(world)))?;
    world.cut("n1", "n2", true);
    world.run_for(SECOND)?;
    let before = lacks(&world);
    world.snapshot("n2")?;
    world.crash("n2");
    world.boot("n2")?;
    expect(world.starts_from_snapshots() == 1, "it starts from the snapshot")?;
    expect(world.phase("n2") == Some(Phase::Guest) && lacks(&world) == before, "it is a guest")?;
    world.cut("n1", "n2", false);
    world.run_until("n2 serves", |world| world.phase("n2") == Some(Phase::Serving))?;
    expect(many_keys().iter().all(|key| world.value("n2", key) == 1), "it has all")?;
    world.rest()
}

/// A bit goes wrong on its way to the disk: the snapshot is read back, and gets no name.
pub(super) fn a_snapshot_that_is_not_what_was_written_gets_no_name() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(SECOND)?;
    world.begin_snapshot("n1")?;
    world.capture_all("n1")?;
    world.spoil_snapshot_of("n1");
    expect(world.finish_snapshot("n1").is_err(), "the snapshot is given up")?;
    expect(world.snapshots_given_up() == 1, "as it was read back")?;
    world.crash("n1");
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 1, "the log has it")?;
    world.snapshot("n1")?;
    world.rest()
}

/// The last group of records rots, which nothing but a snapshot says to have been durable.
pub(super) fn damage_before_the_end_of_a_snapshot_is_not_taken_for_a_torn_tail() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    world.run_for(SECOND)?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    let is_durable =
        |world: &World| world.core("n1").is_some_and(|core| core.log().durable() == core.log().last());
    world.run_until("it is durable", is_durable)?;
    world.snapshot("n1")?;
    world.crash("n1");
    world.rot_tail("n1");
    world.boot("n1")?;
    expect(world.phase("n1").is_none() && world.starts_refused() == 1, "the start is refused")?;
    world.rest()?;
    expect(world.tokens("n1", "title") == [1], "all is there again")
}

/// A third snapshot was published when the log fails: what it makes needless stays.
pub(super) fn nothing_is_removed_beside_a_log_that_failed() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    for _ in 0..2 {
        add(&mut world, "n1", "hits", 1)?;
        world.run_for(SECOND)?;
        world.snapshot("n1")?;
    }
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(SECOND)?;
    world.begin_snapshot("n1")?;
    world.publish_snapshot("n1")?;
    world.fail_next_sync("n1");
    add(&mut world, "n1", "lost", 1)?;
    world.run_for(millis(50))?;
    expect(world.phase("n1") == Some(Phase::Failed), "the log failed")?;
    expect(world.finish_snapshot("n1").is_err(), "nothing is removed")?;
    world.crash("n1");
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 3, "what was durable is there")?;
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
