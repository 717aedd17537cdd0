//! What is written on both sides of a cut: resets and increments, values and their removal, two kinds under one key.

use trellis_crdt::Kind;
use trellis_storage::ReadValue;

use super::{
    SECOND, TRIO, add, add_element, cut_off, delete, expect, many_keys, millis, remove_element, switch, write,
};
use crate::invariants::Held;
use crate::sim::plan::Limits;
use crate::sim::world::World;

/// A counter is reset where the last increment had not arrived, and goes on after a second reset.
pub(super) fn r7_a_reset_keeps_the_increments_that_it_did_not_see() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(SECOND)?;
    world.cut("n1", "n3", true);
    world.crash("n2");
    add(&mut world, "n1", "hits", 5)?;
    delete(&mut world, "n3", "hits")?;
    add(&mut world, "n3", "hits", 2)?;
    world.run_for(SECOND)?;
    world.cut("n1", "n3", false);
    world.boot("n2")?;
    world.run_until("the unseen remain", |world| world.all_show(&TRIO, "hits", 7))?;
    delete(&mut world, "n1", "hits")?;
    add(&mut world, "n1", "hits", 5)?;
    world.run_until("a fresh start counts", |world| world.all_show(&TRIO, "hits", 5))?;
    world.rest()
}

/// A counter is reset and goes on at the node that owns its only slot: in the old generation, the reset amounts would
/// swallow the increment by maximum.
pub(super) fn r7_a_fresh_start_counts_where_the_old_amounts_are_held() -> Held {
    let mut world = World::formed(2, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(millis(50))?;
    delete(&mut world, "n2", "hits")?;
    world.run_for(millis(50))?;
    add(&mut world, "n1", "hits", 5)?;
    world.run_for(millis(50))?;
    expect(world.all_show(&["n1", "n2"], "hits", 5), "the increment counts at both")?;
    world.rest()
}

/// n3 hears of an increment that n1 made after n2's reset, but not of the reset: without the reset parts in it the
/// whole old amount would count at n3.
pub(super) fn r7_an_increment_that_overtakes_a_reset_brings_nothing_back() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(millis(50))?;
    world.cut("n2", "n3", true);
    // The reset must not cover n1's slot whole, or the slot starts anew.
    world.cut("n1", "n2", true);
    delete(&mut world, "n2", "hits")?;
    add(&mut world, "n1", "hits", 5)?;
    world.run_for(millis(50))?;
    world.cut("n1", "n2", false);
    world.run_for(millis(200))?;
    expect(world.value("n1", "hits") == 5, "n1 has heard of the reset")?;
    add(&mut world, "n1", "hits", 1)?;
    world.run_for(millis(50))?;
    expect(world.value("n3", "hits") == 6, "so has n3, by the increment")?;
    world.rest()
}

/// n3 and then n2 reset what n1 counted; n4 hears of the second reset first, of the other next, and at last of n1's
/// increments, of which the later one was made before n1 heard of any reset. Had the second reset left out what the
/// first one took back, n4 would keep the slot of the first reset away by its list, and count everything of n1.
pub(super) fn r7_a_reset_carries_every_slot_those_already_reset_too() -> Held {
    let mut world = World::formed(4, Limits::roomy())?;
    world.cut("n1", "n4", true);
    add(&mut world, "n1", "hits", 10)?;
    world.run_for(millis(20))?;
    cut_off(&mut world, "n1", &["n2", "n3"], true);
    world.cut("n3", "n4", true);
    delete(&mut world, "n3", "hits")?;
    world.run_for(millis(20))?;
    expect(world.kinds("n2", "hits").is_empty(), "n2 has heard of n3's reset")?;
    add(&mut world, "n2", "hits", 1)?;
    delete(&mut world, "n2", "hits")?;
    add(&mut world, "n1", "hits", 5)?;
    world.run_for(millis(20))?;
    world.cut("n3", "n4", false);
    world.run_for(millis(200))?;
    world.cut("n1", "n4", false);
    world.run_until("n4 counts what nobody reset", |world| world.value("n4", "hits") == 5)?;
    world.rest()
}

/// n3 catches up on a register that n2 wrote over, by transfers that are cut, and then hears of n2's deletion: what
/// n1 had written before must not return.
pub(super) fn t3_what_was_written_over_does_not_return_after_a_cut_transfer() -> Held {
    for chunks in 0..4 {
        let mut world = World::formed(3, Limits::cramped())?;
        world.crash("n3");
        write(&mut world, "n1", "title", Kind::MvRegister, 1)?;
        world.run_for(millis(50))?;
        write(&mut world, "n2", "title", Kind::MvRegister, 2)?;
        world.run_for(millis(50))?;
        for key in many_keys() {
            add(&mut world, "n1", key, 1)?;
            add(&mut world, "n2", key, 1)?;
        }
        world.run_for(millis(50))?;
        world.cut_transfers_after(Some(chunks));
        world.boot("n3")?;
        world.run_for(SECOND)?;
        delete(&mut world, "n2", "title")?;
        world.run_for(SECOND)?;
        world.cut_transfers_after(None);
        world.run_until("nothing is shown", |world| {
            TRIO.iter().all(|name| world.kinds(name, "title").is_empty())
        })?;
        world.rest()?;
    }
    Ok(())
}

/// n3 hears of a value that replaced another one, and of that one afterwards.
pub(super) fn t3_a_value_whose_successor_arrived_first_stays_away() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.cut("n1", "n3", true);
    write(&mut world, "n1", "title", Kind::MvRegister, 1)?;
    world.run_for(millis(50))?;
    write(&mut world, "n2", "title", Kind::MvRegister, 2)?;
    world.run_for(millis(50))?;
    expect(world.tokens("n3", "title") == [2], "n3 has heard of the successor")?;
    world.cut("n1", "n3", false);
    world.run_for(millis(300))?;
    for name in TRIO {
        expect(world.tokens(name, "title") == [2], "what was replaced is not shown")?;
    }
    world.rest()
}

/// Two nodes write a register that neither has from the other; a third hears of the later write first.
pub(super) fn the_greatest_stamp_wins_in_whatever_order_writes_arrive() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.cut("n1", "n2", true);
    world.cut("n1", "n3", true);
    write(&mut world, "n1", "title", Kind::LwwRegister, 1)?;
    world.run_for(millis(50))?;
    write(&mut world, "n2", "title", Kind::LwwRegister, 2)?;
    world.run_for(millis(50))?;
    cut_off(&mut world, "n1", &["n2", "n3"], false);
    world.run_for(millis(300))?;
    for name in TRIO {
        expect(world.tokens(name, "title") == [2], "the later write shows")?;
    }
    world.rest()
}

/// n1 counts 5, which n2 deletes, while n1 counts 3 more: 3 everywhere, whichever of the two arrives first.
pub(super) fn t7_a_reset_and_a_concurrent_increment_give_one_value_in_any_order() -> Held {
    for first in ["n1", "n2"] {
        let mut world = World::formed(3, Limits::roomy())?;
        add(&mut world, "n1", "hits", 5)?;
        world.run_for(millis(50))?;
        world.cut("n1", "n2", true);
        cut_off(&mut world, "n3", &["n1", "n2"], true);
        add(&mut world, "n1", "hits", 3)?;
        delete(&mut world, "n2", "hits")?;
        world.run_for(millis(50))?;
        world.cut("n3", first, false);
        world.run_for(millis(300))?;
        let alone = if first == "n1" { 8 } else { 0 };
        expect(world.value("n3", "hits") == alone, "n3 has heard of one of the two")?;
        cut_off(&mut world, "n3", &["n1", "n2"], false);
        world.cut("n1", "n2", false);
        world.run_until("all show 3", |world| world.all_show(&TRIO, "hits", 3))?;
        world.rest()?;
    }
    Ok(())
}

/// One side of a cut counts under a key, the other writes a register under it.
pub(super) fn t18_a_key_written_as_two_kinds_at_once_holds_both_everywhere() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.cut("n1", "n2", true);
    world.cut("n1", "n3", true);
    add(&mut world, "n1", "both", 4)?;
    write(&mut world, "n2", "both", Kind::LwwRegister, 9)?;
    world.run_for(SECOND)?;
    cut_off(&mut world, "n1", &["n2", "n3"], false);
    world.run_until("all hold both", |world| TRIO.iter().all(|name| world.kinds(name, "both").len() == 2))?;
    add(&mut world, "n3", "both", 1)?;
    world.run_for(SECOND)?;
    for name in TRIO {
        let total = world.core(name).and_then(|core| core.read("both", Some(Kind::PnCounter)).ok());
        let total = total.and_then(|(read, _)| read.value);
        let is_five = matches!(total, Some(ReadValue::Counter(total)) if total.value == 5);
        expect(is_five, "the counter goes on")?;
    }
    delete(&mut world, "n2", "both")?;
    world.run_until("both are gone", |world| TRIO.iter().all(|name| world.kinds(name, "both").is_empty()))?;
    world.rest()
}

/// Three sides of a cut put a counter, a set and a flag under one key.
pub(super) fn t18_a_set_a_flag_and_a_counter_created_at_once_are_three_entries_everywhere() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    world.cut("n2", "n3", true);
    cut_off(&mut world, "n1", &["n2", "n3"], true);
    add(&mut world, "n1", "all", 4)?;
    add_element(&mut world, "n2", "all", "red")?;
    switch(&mut world, "n3", "all", Kind::DwFlag, true)?;
    world.run_for(millis(200))?;
    world.cut("n2", "n3", false);
    cut_off(&mut world, "n1", &["n2", "n3"], false);
    let kinds = [Kind::PnCounter, Kind::OrSet, Kind::DwFlag];
    world.run_until("all hold the three", |world| {
        TRIO.iter().all(|name| world.kinds(name, "all") == kinds && world.has_element(name, "all", "red"))
    })?;
    remove_element(&mut world, "n1", "all", "red")?;
    world.run_until("the others stay", |world| {
        TRIO.iter().all(|name| world.kinds(name, "all") == [Kind::PnCounter, Kind::DwFlag])
    })?;
    delete(&mut world, "n3", "all")?;
    world.run_until("all are gone", |world| TRIO.iter().all(|name| world.kinds(name, "all").is_empty()))?;
    world.rest()
}

/// n1 adds an element once more while n2 removes it: n3 hears of the two in either order.
pub(super) fn an_element_that_was_added_again_unseen_stays_after_a_removal() -> Held {
    for first in ["n1", "n2"] {
        let mut world = World::formed(3, Limits::roomy())?;
        add_element(&mut world, "n1", "tags", "red")?;
        add_element(&mut world, "n1", "tags", "blue")?;
        world.run_for(millis(50))?;
        world.cut("n1", "n2", true);
        cut_off(&mut world, "n3", &["n1", "n2"], true);
        add_element(&mut world, "n1", "tags", "red")?;
        remove_element(&mut world, "n2", "tags", "red")?;
        remove_element(&mut world, "n2", "tags", "blue")?;
        world.run_for(millis(50))?;
        world.cut("n3", first, false);
        world.run_for(millis(300))?;
        expect(world.has_element("n3", "tags", "red") == (first == "n1"), "n3 has heard of one of the two")?;
        cut_off(&mut world, "n3", &["n1", "n2"], false);
        world.cut("n1", "n2", false);
        world.run_until("the addition stays and the removal holds", |world| {
            TRIO.iter().all(|name| {
                world.has_element(name, "tags", "red") && !world.has_element(name, "tags", "blue")
            })
        })?;
        world.rest()?;
    }
    Ok(())
}

/// n1 enables a flag of either kind while n2 disables it.
pub(super) fn a_flag_that_was_enabled_and_disabled_at_once_is_what_its_kind_says() -> Held {
    let mut world = World::formed(3, Limits::roomy())?;
    for (key, kind) in [("early", Kind::EwFlag), ("late", Kind::DwFlag)] {
        switch(&mut world, "n3", key, kind, true)?;
        world.run_for(millis(50))?;
        world.cut("n1", "n2", true);
        switch(&mut world, "n1", key, kind, true)?;
        switch(&mut world, "n2", key, kind, false)?;
        world.run_for(millis(50))?;
        world.cut("n1", "n2", false);
        let kinds = if kind == Kind::EwFlag { &[kind][..] } else { &[] };
        world
            .run_until("all say the same", |world| TRIO.iter().all(|name| world.kinds(name, key) == kinds))?;
    }
    switch(&mut world, "n1", "late", Kind::DwFlag, true)?;
    world.run_until("who has seen both decides", |world| {
        TRIO.iter().all(|name| world.kinds(name, "late") == [Kind::DwFlag])
    })?;
    world.rest()
}
