//! What a process makes of its own log: stamps, batches, and the state that arrival had made.

use trellis_crdt::Kind;
use trellis_node::core::{Phase, RequestError};

use super::{SECOND, TRIO, add, cut_off, delete, expect, keys_of_one_slot, many_keys, millis, write};
use crate::invariants::Held;
use crate::sim::plan::{Limits, Weather};
use crate::sim::world::{Outcome, Scripted, World};

/// A node that saw a deletion restarts with its wall clock five minutes behind and writes.
pub(super) fn r11_stamps_stay_above_what_was_seen_after_a_restart_with_the_wall_clock_back() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    write(&mut world, "n2", "title", Kind::LwwRegister, 1)?;
    world.run_for(SECOND)?;
    delete(&mut world, "n2", "title")?;
    world.run_for(SECOND)?;
    world.crash("n1");
    world.set_wall_ahead("n1", -300_000);
    world.boot("n1")?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 2)?;
    world.run_until("the later write shows", |world| {
        TRIO.iter().all(|name| world.tokens(name, "title") == [2])
    })?;
    world.set_wall_ahead("n1", 0);
    world.rest()
}

/// The only member of a cluster restarts with its wall clock behind: nobody but its log can tell it what it stamped.
pub(super) fn r11_stamps_stay_above_what_the_log_holds() -> Held {
    let mut world = World::formed(1, Limits::roomy())?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.run_for(SECOND)?;
    world.crash("n1");
    world.set_wall_ahead("n1", -300_000);
    world.boot("n1")?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 2)?;
    expect(world.tokens("n1", "title") == [2], "the later write shows")?;
    world.rest()
}

/// A write comes from a node whose wall clock is ahead, and is answered by one whose clock is not.
pub(super) fn r11_stamps_stay_above_what_arrived() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.set_wall_ahead("n1", 300_000);
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.run_for(millis(50))?;
    write(&mut world, "n2", "title", Kind::LwwRegister, 2)?;
    world.run_for(millis(50))?;
    expect(world.tokens("n1", "title") == [2], "the later write shows at the first writer")?;
    world.set_wall_ahead("n1", 0);
    world.rest()
}

/// A deletion from a node whose wall clock is ahead was dropped by one member and not by the other. A newcomer takes over
/// from the first, hears of no stamp but the donor's own, and writes: the second must not find the write the older one.
pub(super) fn r11_a_newcomer_stamps_above_what_its_donor_has_dropped() -> Held {
    let mut world = joined_behind_a_dropped_deletion()?;
    write(&mut world, "n3", "title", Kind::LwwRegister, 2)?;
    shows_everywhere(&mut world)
}

/// The same, and the newcomer starts again before it writes: its log must tell it, as nobody else does.
pub(super) fn r11_a_newcomer_that_starts_again_stamps_above_what_its_donor_has_dropped() -> Held {
    let mut world = joined_behind_a_dropped_deletion()?;
    world.crash("n3");
    cut_off(&mut world, "n3", &["n1", "n2"], true);
    world.boot("n3")?;
    write(&mut world, "n3", "title", Kind::LwwRegister, 2)?;
    cut_off(&mut world, "n3", &["n1"], false);
    shows_everywhere(&mut world)
}

fn joined_behind_a_dropped_deletion() -> Scripted<World> {
    let mut world = World::formed(2, Limits::roomy())?;
    world.set_wall_ahead("n1", 300_000);
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    delete(&mut world, "n1", "title")?;
    world.run_for(SECOND)?;
    expect(world.collect("n1", "title")? == 1, "n1 has dropped it")?;
    world.set_wall_ahead("n1", 0);
    world.crash("n2");
    world.boot("n3")?;
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    cut_off(&mut world, "n3", &["n2"], true);
    world.boot("n2")?;
    world.run_for(SECOND)?;
    Ok(world)
}

fn shows_everywhere(world: &mut World) -> Held {
    cut_off(world, "n3", &["n2"], false);
    world.run_until("the write shows everywhere", |world| {
        TRIO.iter().all(|name| world.tokens(name, "title") == [2])
    })?;
    world.rest()
}

/// A wall clock is set back while the process runs.
pub(super) fn r11_a_wall_clock_that_is_set_back_takes_no_stamp_back() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.set_wall_ahead("n1", -300_000);
    write(&mut world, "n1", "title", Kind::LwwRegister, 2)?;
    world.run_for(millis(50))?;
    expect(world.tokens("n2", "title") == [2], "the later write shows")?;
    world.set_wall_ahead("n1", 0);
    world.rest()
}

/// Everything that changes state happens under a bad network, and then every process finds in its log what it was.
pub(super) fn r16_replay_equals_arrival() -> Held {
    for shards in [1, 2, 8] {
        let mut world = World::formed(3, Limits { shards, ..Limits::cramped() })?;
        world.set_weather(Weather {
            lost_per_mille: 150,
            overtaking_per_mille: 200,
            doubled_per_mille: 100,
            breaking_per_mille: 20,
            ..Weather::FAIR
        });
        for (round, key) in many_keys().into_iter().cycle().take(120).enumerate() {
            let (counts, writes) = (TRIO[round % 3], TRIO[(round + 1) % 3]);
            if round % 2 == 0 {
                add(&mut world, counts, key, 1)?;
            } else {
                write(&mut world, writes, key, Kind::MvRegister, round as u64)?;
            }
            if round % 7 == 0 {
                delete(&mut world, counts, key)?;
            }
            world.run_for(millis(5))?;
        }
        TRIO.iter().for_each(|name| world.crash(name));
        for name in TRIO {
            world.boot(name)?;
        }
        world.rest()?;
    }
    Ok(())
}

/// A deletion of two kinds is two records; the power goes when the first of them has reached the disk.
pub(super) fn t16_half_of_a_batch_is_never_found() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.cut("n1", "n2", true);
    let keys = keys_of_one_slot(60);
    for key in &keys {
        add(&mut world, "n1", key, 1)?;
        write(&mut world, "n2", key, Kind::MvRegister, 1)?;
        world.run_for(millis(1))?;
    }
    world.cut("n1", "n2", false);
    world.run_until("n1 holds both", |world| keys.iter().all(|key| world.kinds("n1", key).len() == 2))?;
    for (round, key) in keys.iter().enumerate() {
        // Each start begins a segment: what comes before the deletion moves it over the end of a sector.
        for _ in 0..round % 12 {
            add(&mut world, "n1", "hits", 1)?;
        }
        world.run_for(millis(5))?;
        delete(&mut world, "n1", key)?;
        world.crash_while_writing("n1", 1);
        world.boot("n1")?;
        let left = world.kinds("n1", key).len();
        expect(left == 0 || left == 2, "both went, or none")?;
    }
    world.rest()
}

/// A sync fails, and the process that ends there is followed by one that can still read what was written: it may rely on
/// nothing of it until it has written it once more.
pub(super) fn what_a_failed_sync_left_to_be_read_is_written_again() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.run_for(SECOND)?;
    world.fail_next_sync("n1");
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(50))?;
    world.end_process("n1");
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 1, "it can be read")?;
    world.run_until("n2 has it", |world| world.value("n2", "hits") == 1)?;
    world.crash("n1");
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 1, "it is there for good")?;
    world.rest()
}

/// A bit rots among records that were durable: the log is not opened as if it had ended before them.
pub(super) fn damage_to_what_was_durable_is_not_taken_for_a_torn_tail() -> Held {
    for seed in 1..=6 {
        let mut world = World::formed_from(2, Limits::roomy(), seed)?;
        for key in many_keys() {
            add(&mut world, "n1", key, 1)?;
            world.run_for(millis(1))?;
        }
        world.run_for(SECOND)?;
        world.crash("n1");
        world.rot_disk("n1");
        world.boot("n1")?;
        expect(world.phase("n1").is_none(), "the start is refused")?;
        world.rest()?;
    }
    Ok(())
}

/// A client reads what waits for a disk that takes nothing.
pub(super) fn reads_tell_nothing_that_a_crash_takes_back() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.stall("n1", true);
    add(&mut world, "n1", "hits", 1)?;
    world.read_for("n1", "hits")?;
    world.run_for(millis(50))?;
    world.crash("n1");
    world.stall("n1", false);
    world.boot("n1")?;
    expect(world.value("n1", "hits") == 0, "it was never shown")?;
    world.rest()
}

/// A disk takes nothing while clients and a peer go on writing.
pub(super) fn a_full_log_takes_no_more() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.stall("n1", true);
    let mut is_refused = false;
    for round in 0..200 {
        let key = many_keys()[round % 40];
        is_refused |= world.increment("n1", key, 1)? == Outcome::Refused(RequestError::Busy);
        add(&mut world, "n2", key, 1)?;
        world.run_for(millis(1))?;
    }
    expect(is_refused, "a write is refused while the log is full")?;
    // The bounds are looked at whenever a timer is handled.
    world.run_for(SECOND)?;
    world.stall("n1", false);
    world.run_until("n1 takes writes again", |world| {
        world.core("n1").is_some_and(|core| core.log().has_room())
    })?;
    add(&mut world, "n1", "hits", 1)?;
    world.rest()
}
