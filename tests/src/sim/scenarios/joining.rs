//! Nodes without state, nodes that lost it, and nodes whose place was taken.

use trellis_crdt::Kind;
use trellis_node::core::{Phase, RequestError};

use super::{SECOND, TRIO, add, cut_off, expect, keys_of_one_slot, many_keys, millis};
use crate::invariants::Held;
use crate::sim::plan::Limits;
use crate::sim::world::{Outcome, Scripted, World};

/// A node without state finds nobody.
pub(super) fn r12_a_guest_serves_nothing() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.crash("n1");
    world.crash("n2");
    world.boot("n3")?;
    world.run_for(2 * SECOND)?;
    let refused = || RequestError::NotServing(Phase::Guest);
    expect(world.increment("n3", "hits", 1)? == Outcome::Refused(refused()), "it takes no write")?;
    let read = world.core("n3").map(|core| core.read("hits", None).map(drop));
    expect(read == Some(Err(refused())), "it answers no read")?;
    expect(world.has_said("n3", "Waiting"), "it says that it waits")?;
    world.rest()
}

/// A newcomer meets one that has not got everything itself, and nobody else.
pub(super) fn r12_a_guest_gives_nothing() -> Held {
    let mut world = World::formed(1, Limits::cramped())?;
    for key in all_keys() {
        add(&mut world, "n1", key, 1)?;
        world.run_for(millis(1))?;
    }
    world.boot("n2")?;
    let is_under_way = |world: &World| {
        let left = world.core("n2").map(|core| core.look_at_peers(|peers, _| peers.slots_remaining()));
        left.is_some_and(|left| (1..256).contains(&left))
    };
    world.run_until("the transfer is under way", is_under_way)?;
    cut_off(&mut world, "n1", &["n2"], true);
    world.boot("n3")?;
    cut_off(&mut world, "n1", &["n3"], true);
    world.run_for(20 * SECOND)?;
    expect(world.phase("n2") == Some(Phase::Guest), "n2 has not all")?;
    expect(world.phase("n3") == Some(Phase::Guest), "n3 finds no donor")?;
    cut_off(&mut world, "n1", &["n2", "n3"], false);
    world.run_until("both serve", |world| {
        ["n2", "n3"].iter().all(|name| world.phase(name) == Some(Phase::Serving))
    })?;
    world.rest()
}

/// A guest crashes in the middle of its transfer: what it has adopted by then makes no member of it.
pub(super) fn r12_a_guest_that_restarts_midway_goes_on_as_a_guest() -> Held {
    let mut world = filled_pair()?;
    world.boot("n3")?;
    world.run_until("the transfer is under way", |world| remaining(world) < 256)?;
    world.run_for(millis(2))?;
    expect(remaining(&world) > 0, "the transfer is not over")?;
    world.crash("n3");
    world.boot("n3")?;
    expect(world.phase("n3") == Some(Phase::Guest), "it is still a guest")?;
    expect((1..=256).contains(&remaining(&world)), "it has slots to adopt")?;
    serves_with_all(&mut world)
}

/// The donor of a guest crashes in the middle of the transfer, and another one gives the rest.
pub(super) fn r12_a_guest_whose_donor_dies_midway_serves_only_when_it_has_all() -> Held {
    let mut world = filled_pair()?;
    world.boot("n3")?;
    world.run_until("the transfer is under way", |world| remaining(world) < 256)?;
    expect(remaining(&world) > 0, "the transfer is not over")?;
    let gives = |world: &World, name: &str| world.counter(name, |count| count.entries_sent) > 0;
    let donor = if gives(&world, "n1") { "n1" } else { "n2" };
    world.crash(donor);
    expect(world.phase("n3") == Some(Phase::Guest), "it has not all yet")?;
    serves_with_all(&mut world)
}

/// Every transfer breaks after some chunks, and one of two donors dies for good meanwhile.
pub(super) fn r12_a_guest_whose_streams_break_all_the_time_serves_only_when_it_has_all() -> Held {
    let mut world = filled_pair()?;
    world.cut_transfers_after(Some(4));
    world.boot("n3")?;
    world.run_for(3 * SECOND)?;
    world.crash("n1");
    world.run_for(10 * SECOND)?;
    world.cut_transfers_after(None);
    serves_with_all(&mut world)
}

/// Clients write to every key of both members while a guest takes everything over.
pub(super) fn t4_a_joiner_equals_its_donor_though_every_key_is_written_meanwhile() -> Held {
    let mut world = filled_pair()?;
    world.boot("n3")?;
    world.run_until("the transfer is under way", |world| remaining(world) < 256)?;
    for round in 0..6 {
        for key in all_keys() {
            add(&mut world, if round % 2 == 0 { "n1" } else { "n2" }, key, 1)?;
        }
        world.run_for(millis(1))?;
    }
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    world.run_until("n3 has all", |world| all_keys().iter().all(|key| world.value("n3", key) == 13))?;
    world.rest()
}

/// A node finds its disk empty: it comes back under its name as another node, with what the others hold.
pub(super) fn a_node_that_lost_its_disk_comes_back_as_a_guest_under_its_name() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n3", "hits", 4)?;
    add(&mut world, "n1", "hits", 3)?;
    world.run_for(millis(20))?;
    world.crash("n3");
    world.replace_disk("n3");
    world.boot("n3")?;
    expect(world.phase("n3") == Some(Phase::Guest), "it is a guest")?;
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    expect(world.value("n3", "hits") == 7, "it has all")?;
    add(&mut world, "n3", "hits", 1)?;
    world.run_until("the others hear of it", |world| world.all_show(&TRIO, "hits", 8))?;
    let members = world.core("n1").map(|core| core.look_at_peers(|_, swim| swim.members().count()));
    expect(members == Some(3), "it has taken the place of the lost one")?;
    world.rest()
}

/// All processes restart, one of them on an empty disk: none of the others has heard of the node that is gone since
/// it started.
pub(super) fn a_lost_disk_is_replaced_although_no_process_of_the_others_ever_heard_of_it() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n3", "hits", 4)?;
    world.run_until("all count", |world| world.all_show(&TRIO, "hits", 4))?;
    world.run_for(millis(20))?;
    TRIO.iter().for_each(|name| world.crash(name));
    world.replace_disk("n3");
    for name in TRIO {
        world.boot(name)?;
    }
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    expect(world.value("n3", "hits") == 4, "it has what the others held")?;
    world.rest()
}

/// The disk of a node turns up again after another node has taken its place.
pub(super) fn a_superseded_node_that_returns_with_its_old_disk_stops() -> Held {
    let mut world = superseded()?;
    add(&mut world, "n3", "hits", 100)?;
    world.run_until("it stops", |world| world.phase("n3") == Some(Phase::Removed))?;
    world.run_for(5 * SECOND)?;
    expect(world.all_show(&["n1", "n2"], "hits", 4), "nobody took anything from it")?;
    world.boot("n3")?;
    world.rest()
}

/// A node that was told to be removed restarts where nobody can tell it again: its log does.
pub(super) fn a_removed_node_that_restarts_from_its_log_does_not_serve() -> Held {
    let mut world = superseded()?;
    world.run_until("it stops", |world| world.phase("n3") == Some(Phase::Removed))?;
    world.run_for(SECOND)?;
    world.crash("n3");
    cut_off(&mut world, "n3", &["n1", "n2"], true);
    world.boot("n3")?;
    expect(world.phase("n3") == Some(Phase::Removed), "it knows at once")?;
    let refused = world.increment("n3", "hits", 100)?;
    expect(refused == Outcome::Refused(RequestError::NotServing(Phase::Removed)), "it takes no write")?;
    world.run_for(5 * SECOND)?;
    cut_off(&mut world, "n3", &["n1", "n2"], false);
    world.boot("n3")?;
    world.rest()
}

/// The old n3 takes a write before it hears that it is removed; its disk has it only after.
pub(super) fn a_write_of_a_node_that_was_removed_meanwhile_is_not_acknowledged() -> Held {
    let mut world = superseded()?;
    world.stall("n3", true);
    let ticket = world.increment_for("n3", "hits", 100, 1)?;
    world.run_until("it stops", |world| world.phase("n3") == Some(Phase::Removed))?;
    world.stall("n3", false);
    world.run_for(SECOND)?;
    expect(!world.is_answered(ticket), "nobody will ever take it from there")?;
    world.crash("n3");
    world.replace_disk("n3");
    world.boot("n3")?;
    world.rest()
}

/// n1 loses its disk twice. The node between the two is known to n2 alone, which is down when n1 joins again, and the
/// donor n3 runs from a copy of its disk that is older. When n2 is back, it refuses n1 for a node of its name that n1
/// has never heard of.
pub(super) fn a_member_supersedes_a_node_of_its_name_that_its_donor_had_never_heard_of() -> Held {
    // Whether n2 refuses n1, or first agrees with n3 on who n1 is, is chance: with this seed it refuses.
    let mut world = World::formed_from(3, Limits::roomy(), 2)?;
    add(&mut world, "n2", "hits", 3)?;
    world.run_for(SECOND)?;
    let copy = world.copy_disk("n3");
    world.crash("n1");
    world.replace_disk("n1");
    world.boot("n1")?;
    world.run_until("n1 serves again", |world| world.phase("n1") == Some(Phase::Serving))?;
    world.run_for(SECOND)?;
    TRIO.iter().for_each(|name| world.crash(name));
    world.replace_disk("n1");
    world.put_disk("n3", &copy);
    world.boot("n3")?;
    world.boot("n1")?;
    world.run_until("n1 serves by n3 alone", |world| world.phase("n1") == Some(Phase::Serving))?;
    world.boot("n2")?;
    world.run_until("n1 is refused for the one between", |world| world.has_said("n1", "NameTaken"))?;
    world.rest()
}

/// n3 runs from the disk that it had before another node took its place.
fn superseded() -> Scripted<World> {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n3", "hits", 4)?;
    world.run_for(SECOND)?;
    world.crash("n3");
    let old = world.replace_disk("n3");
    world.boot("n3")?;
    world.run_until("the heir serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    world.run_for(millis(50))?;
    world.crash("n3");
    world.put_disk("n3", &old);
    world.boot("n3")?;
    Ok(world)
}

/// Two members that hold so much that a transfer takes many chunks.
fn filled_pair() -> Scripted<World> {
    let mut world = World::formed(2, Limits::cramped())?;
    for key in all_keys() {
        add(&mut world, "n1", key, 7)?;
    }
    world.run_for(SECOND)?;
    Ok(world)
}

fn all_keys() -> Vec<&'static str> {
    let mut keys = many_keys();
    keys.extend(keys_of_one_slot(24));
    keys
}

fn serves_with_all(world: &mut World) -> Held {
    world.run_until("n3 serves", |world| world.phase("n3") == Some(Phase::Serving))?;
    let has_all = all_keys().iter().all(|key| world.value("n3", key) == 7);
    expect(has_all, "it has all when it serves")?;
    expect(world.kinds("n3", all_keys()[0]) == [Kind::PnCounter], "and shows it")?;
    world.rest()
}

/// Slots that n3 has not adopted.
fn remaining(world: &World) -> usize {
    world.core("n3").map_or(0, |core| core.look_at_peers(|replicator, _| replicator.slots_remaining()))
}
