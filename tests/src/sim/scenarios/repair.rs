//! What went wrong once in a random history, and was mended.

use super::{SECOND, add, expect, many_keys, millis};
use crate::invariants::Held;
use crate::sim::plan::{Limits, Weather};
use crate::sim::world::World;

/// Acknowledgements are lost, and the ring has forgotten the deltas that would be offered again: that the peer has them
/// is known all the same once both clocks are seen to be equal, in the round that follows a transfer or by gossip.
pub(super) fn acknowledgements_that_were_lost_are_made_good() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    world.set_weather(Weather { lost_per_mille: 1000, ..Weather::FAIR });
    let ticket = world.increment_for("n1", many_keys()[0], 1, 2)?;
    for key in &many_keys()[1..] {
        add(&mut world, "n1", key, 1)?;
    }
    world.run_until("n2 has all by catch-up", |world| {
        many_keys().iter().all(|key| world.value("n2", key) == 1)
    })?;
    expect(unacknowledged(&world) > 0, "n1 has not heard of it")?;
    expect(!world.is_answered(ticket), "nor can it answer who waits for n2")?;
    world.set_weather(Weather::FAIR);
    world.run_until("n1 knows that n2 has all", |world| unacknowledged(world) == 0)?;
    expect(world.is_answered(ticket), "who waited for n2 is answered")?;
    world.rest()
}

/// A process dies behind a cut, so that nothing ends the stream to it; its successor greets at once, and what is
/// written then must not go to the old stream.
pub(super) fn a_stream_to_a_process_that_is_gone_is_dropped_when_its_successor_greets() -> Held {
    for seed in 1..=5 {
        let mut world = World::formed_from(2, Limits::roomy(), seed)?;
        world.cut("n1", "n2", true);
        world.crash("n2");
        world.cut("n1", "n2", false);
        world.boot("n2")?;
        world.run_for(millis(300))?;
        add(&mut world, "n1", "hits", 1)?;
        world.run_for(millis(100))?;
        expect(world.value("n2", "hits") == 1, "the successor has it")?;
        world.rest()?;
    }
    Ok(())
}

/// n1 has heard of n5 by its greeting alone, and knows no address of it. When a transfer from n2 runs out of time, the
/// next in turn is n5, which fails at once, and n3 must follow without another timer.
pub(super) fn a_pull_that_fails_at_once_lets_the_next_one_start() -> Held {
    let mut limits = Limits::roomy();
    limits.replication.transfer_timeout = 2 * SECOND;
    let mut world = World::formed(4, limits)?;
    world.lose_calls_of("n1", true);
    world.boot("n5")?;
    world.run_until("n5 has greeted n1", |world| has_met(world, "n5"))?;
    world.run_for(millis(50))?;
    let is_known = world
        .core("n1")
        .is_some_and(|core| core.look_at_peers(|_, swim| swim.member(&"n5".to_owned()).is_some()));
    expect(!is_known, "n1 has no address of n5")?;
    // What n1 asks for waits for its own log, so that the transfer from n2 does not go on.
    world.stall("n1", true);
    add(&mut world, "n1", "hits", 1)?;
    for name in ["n2", "n5", "n3"] {
        greet_with_news(&mut world, name)?;
    }
    world.run_for(3 * SECOND)?;
    world.stall("n1", false);
    world.lose_calls_of("n1", false);
    world.rest()
}

/// Breaks the streams of a node and has it write before it greets again: its clock is beyond those of the others.
fn greet_with_news(world: &mut World, name: &str) -> Held {
    world.break_streams_of(name);
    world.run_for(millis(3))?;
    add(world, name, "hits", 1)?;
    world.run_for(millis(150))
}

fn has_met(world: &World, peer: &str) -> bool {
    world.core("n1").is_some_and(|core| {
        core.look_at_peers(|replicator, _| {
            replicator.peers().any(|(name, status)| name == peer && status.identity.is_some())
        })
    })
}

/// Operations of n1 that it does not know n2 to hold.
fn unacknowledged(world: &World) -> u64 {
    world.core("n1").map_or(0, |core| {
        core.look_at_peers(|replicator, _| replicator.peers().map(|(_, peer)| peer.unacknowledged).sum())
    })
}
