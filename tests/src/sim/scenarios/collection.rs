//! What was removed and then forgotten, where every node had heard of it: nothing that turns up later brings it back.

use trellis_crdt::Kind;

use super::{
    SECOND, TRIO, add, add_element, cut_off, delete, expect, keys_of_one_slot, millis, remove_element, switch,
};
use crate::invariants::Held;
use crate::sim::plan::Limits;
use crate::sim::world::World;

/// A counter is deleted and dropped everywhere, and then every delta that was ever sent arrives once more.
pub(super) fn t8_an_old_delta_of_what_was_dropped_is_no_news() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.keep_pushes();
    add(&mut world, "n1", "hits", 10)?;
    add_element(&mut world, "n2", "tags", "red")?;
    world.run_for(millis(50))?;
    delete(&mut world, "n2", "hits")?;
    delete(&mut world, "n3", "tags")?;
    world.run_for(SECOND)?;
    for name in TRIO {
        for key in ["hits", "tags"] {
            expect(world.collect(name, key)? == 1, "the deletion is dropped")?;
            expect(world.kept_of(name, key) == (0, 0), "and nothing is left")?;
        }
    }
    world.repeat_pushes();
    world.run_for(SECOND)?;
    for name in TRIO {
        for key in ["hits", "tags"] {
            expect(world.kinds(name, key).is_empty(), "what was deleted stays deleted")?;
            expect(world.kept_of(name, key) == (0, 0), "and forgotten")?;
        }
    }
    add(&mut world, "n1", "hits", 3)?;
    world.run_until("it counts from nothing", |world| world.all_show(&TRIO, "hits", 3))?;
    world.rest()
}

/// n1 has dropped a counter that n2 reset, when n3 comes back from an old copy of its disk, counts on what it holds, and
/// gives n1 the counter whole: n1's old slot, which was dropped there, and a new one.
pub(super) fn r6_an_entry_brings_its_new_slot_and_not_the_one_that_was_dropped_here() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(millis(50))?;
    let copy = world.copy_disk("n3");
    delete(&mut world, "n2", "hits")?;
    world.run_for(SECOND)?;
    expect(world.collect("n1", "hits")? == 1, "the counter is dropped at n1")?;
    come_back_from(&mut world, &copy)?;
    expect(world.value("n3", "hits") == 10, "n3 has not heard of the reset")?;
    add(&mut world, "n3", "hits", 5)?;
    give_state_to_n1(&mut world)?;
    world.run_until("n1 counts what is new", |world| world.value("n1", "hits") == 5)?;
    expect(world.kept_of("n1", "hits").0 == 1, "in one slot")?;
    take_state_from_n2(&mut world)?;
    world.run_until("all count what is new", |world| world.all_show(&TRIO, "hits", 5))?;
    world.rest()
}

/// The owner of a slot has dropped it and counts on, while the others still hold it, reset.
pub(super) fn r7_a_counter_that_was_dropped_counts_afresh_beside_those_who_kept_it() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    add(&mut world, "n2", "hits", 1)?;
    world.run_for(millis(50))?;
    delete(&mut world, "n2", "hits")?;
    world.run_for(SECOND)?;
    expect(world.collect("n1", "hits")? == 1, "the counter is dropped at its owner")?;
    expect(world.kept_of("n2", "hits").0 == 2, "and kept elsewhere")?;
    add(&mut world, "n1", "hits", 5)?;
    world.run_until("the increment counts", |world| world.all_show(&TRIO, "hits", 5))?;
    world.run_for(SECOND)?;
    for name in TRIO {
        world.collect(name, "hits")?;
        expect(world.kept_of(name, "hits") == (1, 1), "what is left is one slot")?;
    }
    delete(&mut world, "n3", "hits")?;
    add(&mut world, "n2", "hits", 2)?;
    world.run_for(SECOND)?;
    expect(world.all_show(&TRIO, "hits", 2), "and goes on as ever")?;
    world.rest()
}

/// n2 resets a counter whose last increment n3 has not got: the reset is stable, and what it saw is not.
pub(super) fn r10_a_removal_is_kept_until_its_whole_list_is_stable() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(SECOND)?;
    world.cut("n1", "n3", true);
    add(&mut world, "n1", "hits", 5)?;
    world.run_for(millis(20))?;
    delete(&mut world, "n2", "hits")?;
    world.run_for(millis(20))?;
    expect(world.kinds("n3", "hits").is_empty(), "n3 has heard of the reset")?;
    for name in TRIO {
        expect(world.collect(name, "hits")? == 0, "it is kept")?;
    }
    world.cut("n1", "n3", false);
    world.run_for(SECOND)?;
    for name in TRIO {
        expect(world.kinds(name, "hits").is_empty(), "nothing came back")?;
        expect(world.collect(name, "hits")? == 1, "now it is stable")?;
    }
    world.rest()
}

/// A deletion is stable at the donor of a transfer of its slot, which is under way.
pub(super) fn r10_nothing_is_dropped_while_it_is_scanned() -> Held {
    let mut world = World::formed(2, Limits::cramped())?;
    let keys = keys_of_one_slot(25);
    add(&mut world, "n1", keys[0], 1)?;
    delete(&mut world, "n1", keys[0])?;
    world.run_for(SECOND)?;
    world.crash("n2");
    for key in &keys[1..] {
        add(&mut world, "n1", key, 7)?;
    }
    world.run_for(SECOND)?;
    world.crash("n1");
    world.boot("n1")?;
    world.boot("n2")?;
    let received = |world: &World| world.counter("n2", |count| count.entries_received);
    world.run_until("the transfer has begun", |world| received(world) > 0)?;
    expect(received(&world) < 24, "the transfer is under way")?;
    expect(world.collect("n1", keys[0])? == 0, "nothing is dropped")?;
    world.run_until("n2 has all", |world| keys[1..].iter().all(|key| world.value("n2", key) == 7))?;
    world.run_for(SECOND)?;
    expect(world.collect("n1", keys[0])? == 1, "the transfer is over")?;
    world.rest()
}

/// All nodes drop what they can, crash, and find in their logs what they had, and what they had dropped.
pub(super) fn r16_what_was_dropped_is_dropped_again_by_replay() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    for (round, name) in TRIO.into_iter().enumerate() {
        add(&mut world, name, "hits", 10)?;
        add_element(&mut world, name, "tags", TRIO[round])?;
    }
    world.run_for(SECOND)?;
    delete(&mut world, "n1", "hits")?;
    remove_element(&mut world, "n2", "tags", "n3")?;
    world.run_for(SECOND)?;
    for name in TRIO {
        expect(world.collect(name, "hits")? == 1 && world.collect(name, "tags")? == 1, "all is stable")?;
    }
    add(&mut world, "n1", "hits", 4)?;
    world.run_for(SECOND)?;
    let kept = |world: &World| TRIO.map(|name| (world.kept_of(name, "hits"), world.kept_of(name, "tags")));
    let before = kept(&world);
    TRIO.iter().for_each(|name| world.crash(name));
    for name in TRIO {
        world.boot(name)?;
    }
    expect(kept(&world) == before, "each has what it had")?;
    world.run_until("all count", |world| world.all_show(&TRIO, "hits", 4))?;
    expect(before == [((1, 1), (2, 2)); 3], "which is one slot and two elements")?;
    world.rest()
}

/// A flag in which disabling wins is switched off, all nodes know it, and one of them collects and switches it on: if it
/// had forgotten the disabling, it would not say that it had seen it, and the others would take the two for concurrent.
pub(super) fn a_flag_that_was_off_is_switched_on_where_that_was_forgotten_and_where_it_was_not() -> Held {
    for kind in [Kind::DwFlag, Kind::EwFlag] {
        let mut world = World::formed(3, Limits::roomy())?;
        switch(&mut world, "n3", "late", kind, true)?;
        world.run_for(millis(50))?;
        switch(&mut world, "n1", "late", kind, false)?;
        world.run_for(SECOND)?;
        world.collect("n2", "late")?;
        switch(&mut world, "n2", "late", kind, true)?;
        world.run_until("it is on everywhere", |world| {
            TRIO.iter().all(|name| world.kinds(name, "late") == [kind])
        })?;
        delete(&mut world, "n3", "late")?;
        world.run_for(SECOND)?;
        for name in TRIO {
            world.collect(name, "late")?;
            expect(world.kept_of(name, "late") == (0, 0), "once it is deleted nothing is left")?;
        }
        world.rest()?;
    }
    Ok(())
}

/// n3 runs on from an old copy of its disk, and nobody hears it.
fn come_back_from(world: &mut World, copy: &crate::sim::world::Disk) -> Held {
    cut_off(world, "n3", &["n1", "n2"], true);
    world.crash("n3");
    world.put_disk("n3", copy);
    world.boot("n3")
}

/// n3, which has no ring of what it wrote, lets n1 catch up and cannot do so itself.
fn give_state_to_n1(world: &mut World) -> Held {
    world.run_for(millis(50))?;
    world.crash("n3");
    world.boot("n3")?;
    world.starve(Some("n3"));
    world.cut("n3", "n1", false);
    Ok(())
}

/// n3 hears of what it had forgotten from n2, which has dropped nothing, before it hears of n1's clock: what is to be
/// done otherwise, the floor of R8, is not there yet.
fn take_state_from_n2(world: &mut World) -> Held {
    world.cut("n3", "n1", true);
    world.break_streams_of("n3");
    world.run_for(millis(50))?;
    world.starve(None);
    world.cut("n3", "n2", false);
    world.run_until("n3 is in step with n2", |world| {
        world.have_equal_clocks(&["n2", "n3"], "hits") && world.value("n3", "hits") == 5
    })?;
    world.cut("n3", "n1", false);
    Ok(())
}
