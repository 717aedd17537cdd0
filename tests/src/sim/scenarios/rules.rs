//! The rules of replication, each by the history that goes wrong without it.

use trellis_crdt::Kind;
use trellis_node::core::{Phase, RequestError};
use trellis_storage::slot_of;

use super::{
    SECOND, TRIO, add, add_element, cut_off, expect, keys_of_one_slot, many_keys, millis, remove_element,
    switch,
};
use crate::invariants::Held;
use crate::sim::plan::{Limits, Weather};
use crate::sim::world::{Outcome, World};

/// Disks stall in turn while everybody writes and streams break: what waits for a log is told to nobody.
pub(super) fn r1_nothing_leaves_a_node_before_it_is_durable() -> Held {
    for shards in [1, 2, 8] {
        let mut world = World::formed(3, Limits { shards, ..Limits::cramped() })?;
        for round in 0..12 {
            let name = TRIO[round % 3];
            world.stall(name, true);
            for key in &many_keys()[..8] {
                add(&mut world, TRIO[(round + 1) % 3], key, 1)?;
                add(&mut world, name, key, 1)?;
            }
            world.run_for(millis(40))?;
            if round % 4 == 3 {
                world.break_all_streams();
            }
            world.stall(name, false);
            world.run_for(millis(40))?;
        }
        world.rest()?;
    }
    Ok(())
}

/// A donor's disk stalls in the middle of a transfer while every key is written there.
pub(super) fn r1_a_chunk_waits_for_what_was_written_since_the_transfer_began() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    world.crash("n2");
    write_everywhere(&mut world, &many_keys(), 7)?;
    forget_the_ring(&mut world)?;
    world.boot("n2")?;
    world.run_until("the transfer has begun", |world| received(world, "n2") > 0)?;
    expect(received(&world, "n2") < 40, "the transfer is under way")?;
    world.stall("n1", true);
    write_everywhere(&mut world, &many_keys(), 1)?;
    world.run_for(SECOND)?;
    world.stall("n1", false);
    world.run_until("n2 has all", |world| many_keys().iter().all(|key| world.value("n2", key) == 8))?;
    world.rest()
}

/// Deltas are lost, doubled and overtaken: a clock that passed a hole would never be sent what is in it.
pub(super) fn r2_the_clock_passes_no_hole_and_the_hole_is_filled() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.set_weather(Weather {
        lost_per_mille: 250,
        doubled_per_mille: 150,
        overtaking_per_mille: 300,
        ..Weather::FAIR
    });
    // In one slot, and so that none makes up for another one that was lost.
    let keys = keys_of_one_slot(60);
    for key in &keys {
        add(&mut world, "n1", key, 1)?;
        add(&mut world, "n2", key, 1)?;
        world.run_for(millis(3))?;
    }
    world.set_weather(Weather::FAIR);
    world.run_until("all have all", |world| keys.iter().all(|key| world.all_show(&TRIO, key, 2)))?;
    let wanted = |name: &&str| world.counter(name, |count| count.ranges_wanted);
    expect(TRIO.iter().map(wanted).sum::<u64>() > 0, "somebody asked for a range")?;
    world.rest()
}

/// More deltas arrive beyond a hole than may be remembered: what is merged without a record is gone at the next start.
pub(super) fn r2_what_does_not_fit_in_the_early_set_is_dropped_whole() -> Held {
    let mut limits = Limits::roomy();
    limits.storage.early_max_per_slot = 2;
    let mut world = World::formed(2, limits)?;
    world.set_weather(Weather { lost_per_mille: 1000, ..Weather::FAIR });
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(5))?;
    world.set_weather(Weather::FAIR);
    for _ in 0..8 {
        add(&mut world, "n1", "hits", 1)?;
    }
    let dropped = |world: &World| {
        let looked = world.core("n2").map(|core| {
            core.look_at_slot(slot_of("hits"), |keyspace| keyspace.usage().counters.deltas_dropped)
        });
        looked.unwrap_or(0)
    };
    world.run_until("something has no room", |world| dropped(world) > 0)?;
    world.run_until("n2 has all", |world| world.value("n2", "hits") == 9)?;
    world.rest()
}

/// Transfers are cut after every number of chunks: what came stays, and no clock covers what did not.
pub(super) fn r3_a_cut_transfer_hides_nothing() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    let mut keys = many_keys();
    keys.extend(keys_of_one_slot(24));
    world.crash("n2");
    write_everywhere(&mut world, &keys, 7)?;
    forget_the_ring(&mut world)?;
    world.boot("n2")?;
    for chunks in 0..6 {
        world.cut_transfers_after(Some(chunks));
        world.run_for(millis(1_500))?;
    }
    world.cut_transfers_after(None);
    world.run_until("n2 has all", |world| keys.iter().all(|key| world.value("n2", key) == 7))?;
    world.rest()
}

/// The first chunk of a slot cannot be read and the others can: the clock that comes last is not for this node.
pub(super) fn r3_no_clock_is_adopted_over_an_entry_that_was_refused() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    let keys = keys_of_one_slot(24);
    world.crash("n2");
    write_everywhere(&mut world, &keys, 7)?;
    forget_the_ring(&mut world)?;
    world.garble_transfers(true);
    world.boot("n2")?;
    world.run_until("an entry is refused", |world| world.has_said("n2", "Unmergeable"))?;
    world.garble_transfers(false);
    world.run_until("n2 has all", |world| keys.iter().all(|key| world.value("n2", key) == 7))?;
    world.rest()
}

/// Every key of a slot is written again while a transfer of the slot is under way and deltas are lost: a clock of the
/// end of the scan covers writes to what was scanned before them.
pub(super) fn r3_a_write_to_what_was_scanned_already_is_not_covered() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    let keys = keys_of_one_slot(24);
    world.crash("n2");
    write_everywhere(&mut world, &keys, 7)?;
    forget_the_ring(&mut world)?;
    world.boot("n2")?;
    world.run_until("the transfer has begun", |world| received(world, "n2") > 0)?;
    expect(received(&world, "n2") < 12, "the transfer is under way")?;
    world.set_weather(Weather { lost_per_mille: 1000, ..Weather::FAIR });
    write_everywhere(&mut world, &keys, 1)?;
    world.run_until("the transfer is over", |world| received(world, "n2") >= 24)?;
    world.run_for(millis(20))?;
    world.set_weather(Weather::FAIR);
    world.run_until("n2 has all", |world| keys.iter().all(|key| world.value("n2", key) == 8))?;
    world.rest()
}

/// A node has a key of two origins by catch-up, and is then the only one from which others can take what they lack of
/// it: one lacks what the first origin wrote, the other what the second did.
pub(super) fn r4_an_entry_is_indexed_under_every_origin_that_wrote_it() -> Held {
    let mut world = World::formed(5, Limits::roomy())?;
    world.crash("n3");
    world.cut("n4", "n5", true);
    world.cut("n2", "n4", true);
    world.cut("n1", "n5", true);
    add(&mut world, "n1", "hits", 1)?;
    add(&mut world, "n2", "hits", 2)?;
    world.run_for(millis(100))?;
    expect(world.value("n4", "hits") == 1 && world.value("n5", "hits") == 2, "n4 and n5 lack one each")?;
    world.cut("n1", "n4", true);
    world.cut("n2", "n5", true);
    cut_off(&mut world, "n3", &["n4", "n5"], true);
    // Without their rings the writers can give state only.
    for name in ["n1", "n2"] {
        world.crash(name);
        world.boot(name)?;
    }
    world.boot("n3")?;
    world.run_until("n3 has both", |world| world.value("n3", "hits") == 3)?;
    world.run_for(millis(20))?;
    world.crash("n1");
    world.crash("n2");
    cut_off(&mut world, "n3", &["n4", "n5"], false);
    world.run_until("n4 and n5 have both", |world| world.all_show(&["n4", "n5"], "hits", 3))?;
    world.rest()
}

/// Much more is written behind a cut than the ring holds.
pub(super) fn r5_what_the_ring_forgot_comes_by_a_catch_up_of_the_slot() -> Held {
    let mut world = World::formed(3, Limits::cramped())?;
    cut_off(&mut world, "n1", &["n2"], true);
    let keys = many_keys();
    for round in 0..100 {
        add(&mut world, "n1", "hits", 1)?;
        add(&mut world, "n1", keys[round % 9], 1)?;
        world.run_for(millis(2))?;
    }
    world.crash("n3");
    cut_off(&mut world, "n1", &["n2"], false);
    world.run_until("n2 has all", |world| {
        world.value("n2", "hits") == 100 && world.value("n2", keys[0]) == 12
    })?;
    world.rest()
}

/// Deltas are lost until the ring has forgotten them, and transfers are cut; the next delta shows the hole, and the
/// answer to who asks for it is that the range is gone, not that nothing is in it.
pub(super) fn r5_a_range_that_is_gone_is_not_taken_for_empty() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    world.cut_transfers_after(Some(0));
    world.set_weather(Weather { lost_per_mille: 1000, ..Weather::FAIR });
    let keys = keys_of_one_slot(40);
    for key in &keys {
        add(&mut world, "n1", key, 1)?;
        world.run_for(millis(1))?;
    }
    world.set_weather(Weather::FAIR);
    world.run_until("a range is gone", |world| world.counter("n1", |count| count.ranges_gone) > 0)?;
    world.run_for(millis(20))?;
    world.cut_transfers_after(None);
    world.run_until("n2 has all", |world| keys.iter().all(|key| world.value("n2", key) == 1))?;
    world.rest()
}

/// One of two nodes at one clock has merged something beyond a hole, and the origin is down for as long as it takes to
/// compare all slots.
pub(super) fn r13_what_is_not_settled_is_not_compared() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(50))?;
    world.cut("n1", "n3", true);
    world.set_weather(Weather { lost_per_mille: 1000, ..Weather::FAIR });
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(5))?;
    world.set_weather(Weather::FAIR);
    add(&mut world, "n1", "hits", 1)?;
    let is_early = |world: &World| {
        let slot = slot_of("hits");
        world.core("n2").is_some_and(|core| core.look_at_slot(slot, |keyspace| keyspace.early_len(slot) > 0))
    };
    world.run_until("n2 has merged beyond a hole", is_early)?;
    world.crash("n1");
    world.run_for(40 * SECOND)?;
    expect(is_early(&world), "the hole is still there")?;
    world.rest()
}

/// A client waits for two nodes while the disks of the other two are stalled.
pub(super) fn r15_a_write_counts_at_a_node_once_it_is_durable_there() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.stall("n2", true);
    world.stall("n3", true);
    let ticket = world.increment_for("n1", "hits", 1, 2)?;
    world.run_for(SECOND)?;
    expect(world.value("n2", "hits") == 1, "n2 has merged it")?;
    expect(!world.is_answered(ticket), "it is durable nowhere else")?;
    world.stall("n3", false);
    world.run_for(SECOND)?;
    expect(world.is_answered(ticket), "it is durable at n3")?;
    world.rest()
}

/// A sync fails: what was durable can be read, what was not is neither shown nor told, and nothing is taken.
pub(super) fn r17_a_node_whose_log_failed_reads_what_is_durable_and_says_nothing() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(SECOND)?;
    world.fail_next_sync("n1");
    add(&mut world, "n1", "lost", 1)?;
    world.run_for(SECOND)?;
    expect(world.phase("n1") == Some(Phase::Failed), "the log failed")?;
    if let Some(core) = world.core("n1") {
        let waits_for = |key| core.read(key, None).map(|(_, lsn)| lsn);
        expect(waits_for("hits") == Ok(None), "what is durable is read")?;
        expect(waits_for("lost").is_ok_and(|lsn| lsn > Some(core.log().durable())), "what is not is not")?;
    }
    let refused = world.increment("n1", "hits", 1)?;
    let not_serving = Outcome::Refused(RequestError::NotServing(Phase::Failed));
    expect(refused == not_serving, "nothing is taken")?;
    add(&mut world, "n2", "hits", 1)?;
    world.run_for(10 * SECOND)?;
    expect(world.value("n2", "lost") == 0, "n2 has not heard of it")?;
    world.boot("n1")?;
    world.run_until("n1 is back", |world| world.value("n1", "hits") == 2)?;
    world.rest()
}

/// A log fails between two nodes that are in step: what is durable at the node stays true, and it says nothing of it.
pub(super) fn r17_a_node_whose_log_failed_gives_nothing_and_tells_no_digest() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    for key in many_keys() {
        add(&mut world, "n1", key, 1)?;
        world.run_for(millis(2))?;
    }
    world.run_for(SECOND)?;
    world.fail_next_sync("n1");
    add(&mut world, "n1", "lost", 1)?;
    world.run_for(millis(50))?;
    expect(world.phase("n1") == Some(Phase::Failed), "the log failed")?;
    // Both are in step with what is durable at n1, and ask it whether it is with them.
    world.run_for(60 * SECOND)?;
    // n3 lacks all of it, and asks whoever answers.
    world.crash("n3");
    world.replace_disk("n3");
    world.boot("n3")?;
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    // Long enough for a comparison of all slots with everybody.
    world.run_for(60 * SECOND)?;
    expect(world.value("n3", "lost") == 0, "n3 has not heard of it")?;
    world.boot("n1")?;
    world.rest()
}

/// A counter goes to 3 and back; another one is incremented by nothing.
pub(super) fn r18_a_counter_that_came_back_to_zero_exists_and_an_increment_by_zero_makes_none() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    add(&mut world, "n1", "hits", 3)?;
    add(&mut world, "n1", "hits", -3)?;
    let Outcome::Taken(Some(written)) = world.increment("n1", "nothing", 0)? else {
        return expect(false, "an increment by 0 is taken");
    };
    expect(written.dot.is_none(), "and takes no dot")?;
    world.run_for(SECOND)?;
    for name in ["n1", "n2"] {
        expect(world.kinds(name, "hits") == [Kind::PnCounter], "a counter at 0 exists")?;
        expect(world.kinds(name, "nothing").is_empty(), "nothing came of nothing")?;
    }
    world.rest()
}

/// A set loses its last element and two flags are switched off; what is not there is removed and disabled.
pub(super) fn r18_a_set_without_elements_and_a_flag_that_is_off_do_not_exist() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    add_element(&mut world, "n1", "tags", "red")?;
    for (key, kind) in [("early", Kind::EwFlag), ("late", Kind::DwFlag)] {
        switch(&mut world, "n1", key, kind, true)?;
    }
    world.run_for(millis(50))?;
    let keys = [("tags", Kind::OrSet), ("early", Kind::EwFlag), ("late", Kind::DwFlag)];
    for (key, kind) in keys {
        expect(world.kinds("n2", key) == [kind], "each exists")?;
    }
    remove_element(&mut world, "n2", "tags", "red")?;
    for (key, kind) in [("early", Kind::EwFlag), ("late", Kind::DwFlag)] {
        switch(&mut world, "n2", key, kind, false)?;
    }
    world.run_for(millis(50))?;
    for (key, _) in keys {
        expect(world.kinds("n1", key).is_empty() && world.kinds("n2", key).is_empty(), "none is left")?;
    }
    for outcome in
        [world.remove_element("n1", "tags", "red")?, world.switch("n1", "early", Kind::EwFlag, false)?]
    {
        let Outcome::Taken(Some(written)) = outcome else { return expect(false, "nothing is removed") };
        expect(written.dot.is_none(), "and no dot is taken for it")?;
    }
    world.rest()
}

fn write_everywhere(world: &mut World, keys: &[&'static str], amount: i64) -> Held {
    keys.iter().try_for_each(|key| add(world, "n1", key, amount))
}

/// Without its ring the writer can give state only.
fn forget_the_ring(world: &mut World) -> Held {
    world.run_for(SECOND)?;
    world.crash("n1");
    world.boot("n1")
}

fn received(world: &World, name: &str) -> u64 {
    world.counter(name, |count| count.entries_received)
}
