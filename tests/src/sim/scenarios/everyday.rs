//! What a cluster does all day: it counts, nodes come and go, and nothing is lost.

use trellis_crdt::Kind;
use trellis_node::core::Core;

use super::{SECOND, TRIO, add, cut_off, delete, expect, many_keys, millis, write};
use crate::invariants::Held;
use crate::sim::plan::Limits;
use crate::sim::world::World;

/// Three nodes form a cluster, two of them count, and all of them show the sum.
pub(super) fn three_nodes_found_join_and_count() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 5)?;
    add(&mut world, "n2", "hits", -2)?;
    world.run_for(millis(20))?;
    expect(world.all_show(&TRIO, "hits", 3), "all show 3")?;
    world.rest()
}

/// A node misses writes while it is down, and nobody writes anything after it is back.
pub(super) fn a_node_that_was_away_catches_up_without_any_write() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(20))?;
    world.crash("n2");
    for key in many_keys() {
        add(&mut world, "n1", key, 7)?;
        add(&mut world, "n3", "hits", 1)?;
    }
    world.run_for(12 * SECOND)?;
    world.boot("n2")?;
    world.run_until("n2 has everything", |world| {
        world.value("n2", "hits") == 41 && many_keys().iter().all(|key| world.value("n2", key) == 7)
    })?;
    world.rest()
}

/// All processes die at one moment and start in another order than they first did.
pub(super) fn all_nodes_restart_at_once_and_agree() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    for name in TRIO {
        add(&mut world, name, "hits", 7)?;
    }
    world.run_for(millis(5))?;
    TRIO.iter().for_each(|name| world.crash(name));
    for name in ["n3", "n1", "n2"] {
        world.boot(name)?;
    }
    world.run_until("all have all", |world| world.all_show(&TRIO, "hits", 21))?;
    world.rest()
}

/// Two nodes do not hear each other while both count.
pub(super) fn a_cut_between_two_nodes_heals_and_nothing_is_lost() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    cut_off(&mut world, "n1", &["n2"], true);
    for _ in 0..20 {
        add(&mut world, "n1", "hits", 1)?;
        add(&mut world, "n2", "hits", 1)?;
        world.run_for(millis(100))?;
    }
    cut_off(&mut world, "n1", &["n2"], false);
    world.run_until("all have all", |world| world.all_show(&TRIO, "hits", 40))?;
    world.rest()
}

/// A register is written twice and a counter is deleted, each at another node.
pub(super) fn registers_and_deletions_reach_everybody() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.run_for(millis(20))?;
    write(&mut world, "n2", "title", Kind::LwwRegister, 2)?;
    add(&mut world, "n2", "hits", 9)?;
    world.run_for(millis(20))?;
    delete(&mut world, "n3", "hits")?;
    world.run_for(millis(20))?;
    for name in TRIO {
        expect(world.tokens(name, "title") == [2], "the later write shows")?;
        expect(world.kinds(name, "hits").is_empty(), "the counter is gone")?;
    }
    world.rest()
}

/// Writes go on while one node crashes and starts again and again; digests are compared all the time.
pub(super) fn no_two_nodes_ever_disagree_at_equal_clocks() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    let keys = many_keys();
    for round in 0..200 {
        let name = TRIO[round % 3];
        if world.core(name).is_some() {
            add(&mut world, name, keys[round % 17], 1)?;
        }
        if round % 40 == 39 {
            world.crash("n2");
            world.run_for(millis(700))?;
            world.boot("n2")?;
        }
        world.run_for(millis(10))?;
    }
    world.run_for(40 * SECOND)?;
    world.rest()
}

/// One write goes to two peers, once each, and nothing more is sent afterwards.
pub(super) fn a_quiet_cluster_is_in_step_and_sends_no_deltas() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(5 * SECOND)?;
    let sent =
        |world: &World| TRIO.iter().map(|name| world.counter(name, |count| count.deltas_sent)).sum::<u64>();
    expect(sent(&world) == 2, "each peer was sent the delta once")?;
    world.run_for(20 * SECOND)?;
    expect(sent(&world) == 2, "nothing was sent afterwards")?;
    world.rest()
}

/// A node that is about to stop waits for its own log and for its peers' logs.
pub(super) fn a_node_is_drained_once_its_writes_are_durable_and_its_peers_have_them() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    let is_drained = |world: &World| world.core("n1").is_some_and(Core::is_drained);
    expect(is_drained(&world), "there is nothing to drain")?;
    world.stall("n2", true);
    add(&mut world, "n1", "hits", 1)?;
    if let Some(core) = world.core("n1") {
        core.drain();
    }
    expect(!is_drained(&world), "the log has not taken it")?;
    world.run_for(millis(5))?;
    expect(!is_drained(&world), "n2 has not made it durable")?;
    world.stall("n2", false);
    world.run_until("it is drained", is_drained)?;
    expect(world.value("n2", "hits") == 1, "n2 has it")?;
    world.rest()
}
