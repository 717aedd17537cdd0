//! Histories that are written by hand: each is what goes wrong without one rule, or what once did.
//!
//! The list is written once, in the macro that the tests are made of as well; a scenario that is not in it does not
//! compile.

mod collection;
mod everyday;
mod joining;
mod membership;
mod partitions;
mod repair;
mod replay;
mod rules;
mod snapshots;
mod traps;

use std::time::Duration;

use trellis_crdt::Kind;
use trellis_storage::slot_of;

use super::plan::intern;
use super::world::{Outcome, World};
use crate::invariants::{Held, Violation};

/// Hands the scenarios, by the module that they are in, to a macro.
#[macro_export]
macro_rules! for_all_scenarios {
    ($take:ident) => {
        $take! {
            everyday:
                three_nodes_found_join_and_count,
                a_node_that_was_away_catches_up_without_any_write,
                all_nodes_restart_at_once_and_agree,
                a_cut_between_two_nodes_heals_and_nothing_is_lost,
                registers_and_deletions_reach_everybody,
                no_two_nodes_ever_disagree_at_equal_clocks,
                a_quiet_cluster_is_in_step_and_sends_no_deltas,
                a_node_is_drained_once_its_writes_are_durable_and_its_peers_have_them;
            rules:
                r1_nothing_leaves_a_node_before_it_is_durable,
                r1_a_chunk_waits_for_what_was_written_since_the_transfer_began,
                r2_the_clock_passes_no_hole_and_the_hole_is_filled,
                r2_what_does_not_fit_in_the_early_set_is_dropped_whole,
                r3_a_cut_transfer_hides_nothing,
                r3_no_clock_is_adopted_over_an_entry_that_was_refused,
                r3_a_write_to_what_was_scanned_already_is_not_covered,
                r4_an_entry_is_indexed_under_every_origin_that_wrote_it,
                r5_what_the_ring_forgot_comes_by_a_catch_up_of_the_slot,
                r5_a_range_that_is_gone_is_not_taken_for_empty,
                r13_what_is_not_settled_is_not_compared,
                r15_a_write_counts_at_a_node_once_it_is_durable_there,
                r17_a_node_whose_log_failed_reads_what_is_durable_and_says_nothing,
                r17_a_node_whose_log_failed_gives_nothing_and_tells_no_digest,
                r18_a_counter_that_came_back_to_zero_exists_and_an_increment_by_zero_makes_none,
                r18_a_set_without_elements_and_a_flag_that_is_off_do_not_exist;
            partitions:
                r7_a_reset_keeps_the_increments_that_it_did_not_see,
                r7_a_fresh_start_counts_where_the_old_amounts_are_held,
                r7_an_increment_that_overtakes_a_reset_brings_nothing_back,
                r7_a_reset_carries_every_slot_those_already_reset_too,
                t3_what_was_written_over_does_not_return_after_a_cut_transfer,
                t3_a_value_whose_successor_arrived_first_stays_away,
                the_greatest_stamp_wins_in_whatever_order_writes_arrive,
                t7_a_reset_and_a_concurrent_increment_give_one_value_in_any_order,
                t18_a_key_written_as_two_kinds_at_once_holds_both_everywhere,
                t18_a_set_a_flag_and_a_counter_created_at_once_are_three_entries_everywhere,
                an_element_that_was_added_again_unseen_stays_after_a_removal,
                a_flag_that_was_enabled_and_disabled_at_once_is_what_its_kind_says;
            collection:
                t8_an_old_delta_of_what_was_dropped_is_no_news,
                r6_an_entry_brings_its_new_slot_and_not_the_one_that_was_dropped_here,
                r7_a_counter_that_was_dropped_counts_afresh_beside_those_who_kept_it,
                r10_a_removal_is_kept_until_its_whole_list_is_stable,
                r10_nothing_is_dropped_while_it_is_scanned,
                r16_what_was_dropped_is_dropped_again_by_replay,
                a_flag_that_was_off_is_switched_on_where_that_was_forgotten_and_where_it_was_not;
            replay:
                r11_stamps_stay_above_what_was_seen_after_a_restart_with_the_wall_clock_back,
                r11_stamps_stay_above_what_the_log_holds,
                r11_stamps_stay_above_what_arrived,
                r11_a_newcomer_stamps_above_what_its_donor_has_dropped,
                r11_a_newcomer_that_starts_again_stamps_above_what_its_donor_has_dropped,
                r11_a_wall_clock_that_is_set_back_takes_no_stamp_back,
                r16_replay_equals_arrival,
                t16_half_of_a_batch_is_never_found,
                what_a_failed_sync_left_to_be_read_is_written_again,
                damage_to_what_was_durable_is_not_taken_for_a_torn_tail,
                reads_tell_nothing_that_a_crash_takes_back,
                a_full_log_takes_no_more;
            snapshots:
                r11_stamps_stay_above_what_only_a_snapshot_knows,
                r16_an_entry_older_than_what_a_snapshot_dropped_brings_nothing_back,
                r16_a_drop_that_a_snapshot_is_ahead_of_takes_nothing_newer,
                r16_a_slot_of_which_something_is_dropped_is_captured_again,
                r16_what_is_written_behind_its_capture_comes_from_the_log,
                r16_a_snapshot_holds_nothing_that_the_log_can_still_lose,
                r16_a_snapshot_waits_for_the_log,
                r16_members_and_removals_are_in_the_snapshot,
                r16_a_guest_that_starts_from_a_snapshot_is_a_guest,
                a_snapshot_that_rotted_is_passed_over_for_the_one_before_and_its_log,
                a_snapshot_that_is_not_what_was_written_gets_no_name,
                damage_before_the_end_of_a_snapshot_is_not_taken_for_a_torn_tail,
                nothing_is_removed_beside_a_log_that_failed;
            joining:
                r12_a_guest_serves_nothing,
                r12_a_guest_gives_nothing,
                r12_a_guest_that_restarts_midway_goes_on_as_a_guest,
                r12_a_guest_whose_donor_dies_midway_serves_only_when_it_has_all,
                r12_a_guest_whose_streams_break_all_the_time_serves_only_when_it_has_all,
                t4_a_joiner_equals_its_donor_though_every_key_is_written_meanwhile,
                a_node_that_lost_its_disk_comes_back_as_a_guest_under_its_name,
                a_lost_disk_is_replaced_although_no_process_of_the_others_ever_heard_of_it,
                a_superseded_node_that_returns_with_its_old_disk_stops,
                a_removed_node_that_restarts_from_its_log_does_not_serve,
                a_write_of_a_node_that_was_removed_meanwhile_is_not_acknowledged,
                a_member_supersedes_a_node_of_its_name_that_its_donor_had_never_heard_of;
            traps:
                t1_a_lost_unsynced_suffix_leaves_no_dot_behind,
                t1_a_wiped_directory_mints_under_another_replica,
                t1_a_restored_copy_mints_no_dot_twice,
                t1_a_cloned_directory_mints_no_dot_twice,
                t2_what_a_restored_copy_lacks_comes_back_from_its_peers,
                t6_a_deletion_takes_every_lesser_write_whichever_it_saw,
                t11_writers_that_take_turns_leave_no_more_values_than_there_are_nodes,
                t5_a_wall_clock_an_hour_ahead_or_behind_keeps_nobody_from_agreeing,
                t14_an_acknowledged_write_survives_the_node_that_took_it,
                t14_two_processes_of_one_node_count_once,
                t21_a_transfer_misses_nothing_whatever_its_frames;
            repair:
                acknowledgements_that_were_lost_are_made_good,
                a_stream_to_a_process_that_is_gone_is_dropped_when_its_successor_greets,
                a_pull_that_fails_at_once_lets_the_next_one_start;
            membership:
                a_member_that_is_silent_for_a_moment_is_suspected_and_not_dead,
                who_slept_judges_nobody_by_what_it_missed,
                both_sides_of_a_partition_keep_their_own_and_find_the_others_again;
        }
    };
}

macro_rules! listed {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($((stringify!($name), $module::$name),)+)+]
    };
}

/// A scenario: its name, and what performs it.
pub type Scenario = (&'static str, fn() -> Held);

/// Every scenario.
pub const ALL: &[Scenario] = for_all_scenarios!(listed);

/// What a scenario says of itself, held against the history.
fn expect(is_so: bool, what: &str) -> Held {
    if is_so {
        return Ok(());
    }
    let detail = format!("it is not so: {what}");
    Err(Violation { invariant: "the_scenario_goes_on", hosts: Vec::new(), detail })
}

/// Adds to a counter at a node that must take it.
fn add(world: &mut World, name: &str, key: &'static str, amount: i64) -> Held {
    let outcome = world.increment(name, key, amount)?;
    took(&outcome, name, key)
}

/// Writes a token into a register at a node that must take it.
fn write(world: &mut World, name: &str, key: &'static str, kind: Kind, token: u64) -> Held {
    let outcome = world.set(name, key, kind, token)?;
    took(&outcome, name, key)
}

/// Adds an element to an or-set at a node that must take it.
fn add_element(world: &mut World, name: &str, key: &'static str, element: &str) -> Held {
    let outcome = world.add_element(name, key, element)?;
    took(&outcome, name, key)
}

/// Removes an element from an or-set at a node that must take it.
fn remove_element(world: &mut World, name: &str, key: &'static str, element: &str) -> Held {
    let outcome = world.remove_element(name, key, element)?;
    took(&outcome, name, key)
}

/// Enables or disables a flag at a node that must take it.
fn switch(world: &mut World, name: &str, key: &'static str, kind: Kind, enabled: bool) -> Held {
    let outcome = world.switch(name, key, kind, enabled)?;
    took(&outcome, name, key)
}

/// Deletes a key at a node that must take it.
fn delete(world: &mut World, name: &str, key: &'static str) -> Held {
    let outcome = world.delete(name, key)?;
    took(&outcome, name, key)
}

fn took(outcome: &Outcome, name: &str, key: &str) -> Held {
    expect(matches!(outcome, Outcome::Taken(_)), &format!("{name} takes an operation on {key}: {outcome:?}"))
}

/// Cuts a host off from these, or mends that.
fn cut_off(world: &mut World, name: &str, others: &[&str], is_cut: bool) {
    others.iter().for_each(|other| world.cut(name, other, is_cut));
}

/// Keys in many slots.
fn many_keys() -> Vec<&'static str> {
    (0..40).map(|number| intern(&format!("key{number}"))).collect()
}

/// Keys of one slot, so that a transfer of it takes several chunks.
fn keys_of_one_slot(count: usize) -> Vec<&'static str> {
    let names = (0..).map(|number| format!("item-{number}")).filter(|name| slot_of(name) == 77);
    names.take(count).map(|name| intern(&name)).collect()
}

const TRIO: [&str; 3] = ["n1", "n2", "n3"];
const SECOND: Duration = Duration::from_secs(1);

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
