//! Traps that systems of this kind have fallen into: dots used twice, clocks that lie, promises kept by nobody.

use std::time::Duration;

use trellis_crdt::Kind;
use trellis_node::core::{Phase, RequestError};

use super::{SECOND, TRIO, add, cut_off, delete, expect, keys_of_one_slot, many_keys, millis, write};
use crate::invariants::Held;
use crate::sim::plan::Limits;
use crate::sim::world::{Outcome, World};

/// A node writes a hundred times, its disk syncs the first sixty, and it crashes: nobody has the others, and what it
/// writes next takes no dot of theirs.
pub(super) fn t1_a_lost_unsynced_suffix_leaves_no_dot_behind() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    for count in 0..100 {
        if count == 60 {
            world.run_for(millis(50))?;
            world.stall("n1", true);
        }
        let outcome = world.increment("n1", "hits", 1)?;
        let is_taken_or_busy = matches!(outcome, Outcome::Taken(_) | Outcome::Refused(RequestError::Busy));
        expect(is_taken_or_busy, "the log takes it, as far as it has room")?;
        if count % 10 == 0 {
            world.run_for(millis(1))?;
        }
    }
    world.run_for(millis(50))?;
    world.crash("n1");
    world.stall("n1", false);
    world.boot("n1")?;
    for _ in 0..30 {
        add(&mut world, "n1", "hits", 1)?;
    }
    world.run_until("all show what was synced and what came later", |world| {
        world.all_show(&TRIO, "hits", 90)
    })?;
    world.rest()
}

/// A directory is emptied under a node whose operations the others hold.
pub(super) fn t1_a_wiped_directory_mints_under_another_replica() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    count_at(&mut world, "n2", 5)?;
    world.crash("n2");
    world.replace_disk("n2");
    world.boot("n2")?;
    world.run_until("n2 serves", |world| world.phase("n2") == Some(Phase::Serving))?;
    count_at(&mut world, "n2", 5)?;
    world.run_until("all count", |world| world.all_show(&TRIO, "hits", 10))?;
    world.rest()
}

/// A node runs on from an old copy of its directory while the others hold what it wrote since.
pub(super) fn t1_a_restored_copy_mints_no_dot_twice() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    count_at(&mut world, "n2", 5)?;
    let copy = world.copy_disk("n2");
    count_at(&mut world, "n2", 5)?;
    world.crash("n2");
    world.put_disk("n2", &copy);
    world.boot("n2")?;
    count_at(&mut world, "n2", 5)?;
    world.run_until("all count", |world| world.all_show(&TRIO, "hits", 15))?;
    world.rest()
}

/// A second process runs from a copy of a running node's directory, and both take writes.
pub(super) fn t1_a_cloned_directory_mints_no_dot_twice() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    count_at(&mut world, "n2", 5)?;
    world.boot_twin("n2")?;
    count_at(&mut world, "n2", 5)?;
    count_at(&mut world, "n2-twin", 7)?;
    world.run_for(3 * SECOND)?;
    world.retire_twin_of("n2")?;
    world.run_until("what n2 took is everywhere", |world| {
        TRIO.iter().all(|name| world.value(name, "hits") >= 10)
    })?;
    world.rest()
}

/// What a copy of a directory is too old to hold was acknowledged, and its peers have it.
pub(super) fn t2_what_a_restored_copy_lacks_comes_back_from_its_peers() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    let copy = world.copy_disk("n2");
    count_at(&mut world, "n2", 5)?;
    write(&mut world, "n2", "title", Kind::MvRegister, 1)?;
    world.run_for(millis(50))?;
    world.crash("n2");
    world.put_disk("n2", &copy);
    world.boot("n2")?;
    expect(world.value("n2", "hits") == 0, "the copy does not hold it")?;
    world.run_until("n2 has it back", |world| {
        world.value("n2", "hits") == 5 && world.tokens("n2", "title") == [1]
    })?;
    write(&mut world, "n2", "title", Kind::MvRegister, 2)?;
    world.run_for(millis(50))?;
    expect(world.tokens("n1", "title") == [2], "what came back is replaced like anything else")?;
    world.rest()
}

/// n1 writes, and n2 a moment later without having heard of it; n3 has n2's write and deletes it, while n4 has both. A
/// deletion that removed what it saw would leave nothing at n4, which holds the greater write alone, and n1's write at
/// n3, where that arrives last: one set of operations, and two states.
pub(super) fn t6_a_deletion_takes_every_lesser_write_whichever_it_saw() -> Held {
    let mut world = World::formed(4, Limits::roomy())?;
    cut_off(&mut world, "n1", &["n2", "n3"], true);
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.run_for(millis(20))?;
    write(&mut world, "n2", "title", Kind::LwwRegister, 2)?;
    world.run_for(millis(20))?;
    expect(world.tokens("n4", "title") == [2], "n4 has both, and shows the greater")?;
    delete(&mut world, "n3", "title")?;
    world.run_for(millis(20))?;
    cut_off(&mut world, "n1", &["n2", "n3"], false);
    world.run_until("nobody shows anything", |world| {
        ["n1", "n2", "n3", "n4"].iter().all(|name| world.kinds(name, "title").is_empty())
    })?;
    world.rest()
}

/// Two clients read and write one register in turn, each at its node, which has never heard of the other's last write:
/// each write replaces all that its node holds, and what no node has seen is at most one value a node.
pub(super) fn t11_writers_that_take_turns_leave_no_more_values_than_there_are_nodes() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    for token in 1..=200 {
        write(&mut world, TRIO[token as usize % 2], "title", Kind::MvRegister, token)?;
        let most = TRIO.iter().map(|name| world.tokens(name, "title").len()).max();
        expect(most <= Some(2), "two writers leave two values")?;
        // Less than a message takes, and sometimes more.
        world.run_for(if token % 10 == 0 { millis(5) } else { Duration::from_micros(300) })?;
    }
    world.run_for(SECOND)?;
    write(&mut world, "n3", "title", Kind::MvRegister, 201)?;
    world.run_until("one value is left", |world| {
        TRIO.iter().all(|name| world.tokens(name, "title") == [201])
    })?;
    world.rest()
}

/// One wall clock is an hour ahead and one an hour behind: their nodes refuse registers once they know, nobody refuses
/// what they wrote before, and a later write wins.
pub(super) fn t5_a_wall_clock_an_hour_ahead_or_behind_keeps_nobody_from_agreeing() -> Held {
    let mut world = World::formed(5, Limits::roomy())?;
    let hour = 3_600_000;
    world.set_wall_ahead("n1", hour);
    world.set_wall_ahead("n3", -hour);
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.run_for(millis(20))?;
    write(&mut world, "n3", "title", Kind::LwwRegister, 2)?;
    world.run_for(millis(20))?;
    write(&mut world, "n2", "title", Kind::LwwRegister, 3)?;
    for name in ["n1", "n3"] {
        world.run_until("it knows", |world| world.has_said(name, "ClockSkew"))?;
        let refused = world.set(name, "title", Kind::LwwRegister, 4)?;
        expect(refused == Outcome::Refused(RequestError::ClockSkew), "it refuses to stamp")?;
        add(&mut world, name, "hits", 1)?;
    }
    write(&mut world, "n2", "title", Kind::LwwRegister, 5)?;
    world.run_until("the last write shows", |world| {
        ["n1", "n2", "n3", "n4", "n5"].iter().all(|name| world.tokens(name, "title") == [5])
    })?;
    world.set_wall_ahead("n1", 0);
    world.set_wall_ahead("n3", 0);
    world.rest()
}

/// Two nodes have acknowledged a write, and the one that took it loses its disk.
pub(super) fn t14_an_acknowledged_write_survives_the_node_that_took_it() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.stall("n3", true);
    let ticket = world.increment_for("n1", "hits", 1, 2)?;
    world.run_for(millis(100))?;
    expect(world.is_answered(ticket), "two nodes hold it")?;
    world.crash("n3");
    world.stall("n3", false);
    world.crash("n1");
    world.replace_disk("n1");
    world.boot("n1")?;
    world.boot("n3")?;
    world.run_until("it is everywhere", |world| world.all_show(&TRIO, "hits", 1))?;
    world.rest()
}

/// Three nodes are asked for where there are two: neither another process of one of them counts, nor its heir after it
/// lost its disk. A third node does.
pub(super) fn t14_two_processes_of_one_node_count_once() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    let ticket = world.increment_for("n1", "hits", 1, 3)?;
    world.run_for(millis(100))?;
    world.crash("n2");
    world.boot("n2")?;
    world.run_for(3 * SECOND)?;
    expect(!world.is_answered(ticket), "two processes are one node")?;
    world.crash("n2");
    world.replace_disk("n2");
    world.boot("n2")?;
    world.run_until("n2 serves", |world| world.phase("n2") == Some(Phase::Serving))?;
    world.run_for(3 * SECOND)?;
    expect(!world.is_answered(ticket), "a name is one node")?;
    world.boot("n3")?;
    world.run_until("three nodes hold it", |world| world.is_answered(ticket))?;
    world.rest()
}

/// Chunks of every size, from one entry each to everything at once.
pub(super) fn t21_a_transfer_misses_nothing_whatever_its_frames() -> Held {
    for chunk_bytes in [1, 60, 150, 400, 1_000, 1 << 20] {
        let mut limits = Limits::cramped();
        limits.replication.chunk_bytes = chunk_bytes;
        limits.wal.pending_bytes_max = 64 << 10;
        let mut world = World::formed(2, limits)?;
        world.crash("n2");
        let mut keys = many_keys();
        keys.extend(keys_of_one_slot(12));
        for key in &keys {
            add(&mut world, "n1", key, 7)?;
        }
        world.run_for(millis(50))?;
        world.crash("n1");
        world.boot("n1")?;
        world.boot("n2")?;
        world.boot("n3")?;
        world.run_until("both have all", |world| {
            ["n2", "n3"].iter().all(|name| keys.iter().all(|key| world.value(name, key) == 7))
        })?;
        world.rest()?;
    }
    Ok(())
}

fn count_at(world: &mut World, name: &str, times: usize) -> Held {
    for _ in 0..times {
        add(world, name, "hits", 1)?;
    }
    world.run_for(millis(50))
}
