//! Who is taken for dead, and who is not.

use super::{SECOND, TRIO, add, cut_off, expect, millis};
use crate::invariants::Held;
use crate::sim::plan::Limits;
use crate::sim::world::World;

/// Two nodes do not hear each other for three seconds: some probes fail, and nobody is dead for it.
pub(super) fn a_member_that_is_silent_for_a_moment_is_suspected_and_not_dead() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    world.cut("n1", "n2", true);
    world.run_for(3 * SECOND)?;
    world.cut("n1", "n2", false);
    world.run_for(15 * SECOND)?;
    for name in ["n1", "n2"] {
        expect(world.has_said(name, "\"suspect\""), "the other was suspected")?;
        expect(!world.has_said(name, "\"dead\""), "and not called dead")?;
    }
    world.rest()
}

/// One of five nodes sleeps for long enough to be suspected. When it wakes and refutes that, others sleep through the end
/// of its time, and find all at once that it is over.
pub(super) fn who_slept_judges_nobody_by_what_it_missed() -> Held {
    for seed in 1..6 {
        let mut world = World::formed_from(5, Limits::roomy(), seed)?;
        world.run_for(5 * SECOND)?;
        world.pause("n1", 9 * SECOND);
        world.run_for(millis(8_500))?;
        for (name, asleep) in [("n2", 14), ("n3", 16), ("n4", 30)] {
            expect(world.has_said(name, "name: \"n1\", state: \"suspect\""), "n1 was suspected")?;
            world.pause(name, asleep * SECOND);
        }
        world.run_for(45 * SECOND)?;
        let nobody = |name: &&str| !is_called_dead(&world, name, "n1");
        expect(["n2", "n3", "n4", "n5"].iter().all(nobody), "and not called dead")?;
        world.rest()?;
    }
    Ok(())
}

/// Two nodes and two others do not hear each other until each side calls the other dead. When they meet again, they
/// find each other, and neither side believes what the other said of its own.
pub(super) fn both_sides_of_a_partition_keep_their_own_and_find_the_others_again() -> Held {
    let mut world = World::formed(4, Limits::roomy())?;
    // By then everybody has been reached at every seed, and no seed is contacted any more for not having answered.
    world.run_for(60 * SECOND)?;
    for name in ["n1", "n2"] {
        cut_off(&mut world, name, &["n3", "n4"], true);
    }
    add(&mut world, "n1", "hits", 1)?;
    add(&mut world, "n4", "hits", 2)?;
    // Each side has two accusers at most, who doubt themselves as well: they wait for longer than ten seconds.
    world.run_for(45 * SECOND)?;
    expect(is_called_dead(&world, "n1", "n3") && is_called_dead(&world, "n4", "n2"), "both sides gave up")?;
    for name in ["n1", "n2"] {
        cut_off(&mut world, name, &["n3", "n4"], false);
    }
    world.run_until("all count", |world| world.all_show(&TRIO, "hits", 3))?;
    world.run_for(15 * SECOND)?;
    for (one, other) in [("n1", "n2"), ("n2", "n1"), ("n3", "n4"), ("n4", "n3")] {
        expect(!is_called_dead(&world, one, other), "nobody gave up its own side")?;
    }
    world.rest()
}

fn is_called_dead(world: &World, observer: &str, member: &str) -> bool {
    world.has_said(observer, &format!("Membership {{ name: {member:?}, state: \"dead\" }}"))
}
