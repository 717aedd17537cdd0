//! Claims about sets.

use trellis_crdt::{Crdt, GSet, OrSet};

use super::{A, B, dot, join, joins};

#[test]
fn all_additions_to_a_g_set_are_kept() {
    let [mut at_a, mut at_b] = [GSet::<u8>::new(), GSet::new()];
    let [one, two] = [at_a.insert(dot(A, 1), 1), at_a.insert(dot(A, 2), 2)];
    let [also_two, three] = [at_b.insert(dot(B, 1), 2), at_b.insert(dot(B, 2), 3)];
    let all = joins(&[&one, &two, &also_two, &three]);
    assert!(all.iter().all(|all| all.iter().eq(&[1, 2, 3]) && all.len() == 3 && all.contains(&2)));
}

#[test]
fn a_deleted_g_set_keeps_what_the_deletion_did_not_see() {
    let (mut at_a, mut at_b) = (GSet::<u8>::new(), GSet::new());
    let [one, two] = [at_a.insert(dot(A, 1), 1), at_a.insert(dot(A, 2), 2)];
    at_b.merge(&at_a);
    let three = at_b.insert(dot(B, 1), 3);
    let two_again = at_b.insert(dot(B, 2), 2);
    let cleared = at_a.clear(dot(A, 3));
    assert!(at_a.is_empty());
    // The deletion takes one dot for all elements.
    assert!(cleared.presences().all(|(_, presence)| presence.context().get(A) == 3));
    for all in joins(&[&one, &two, &three, &two_again, &cleared]) {
        assert!(all.iter().eq(&[2, 3]));
    }
}

#[test]
fn an_addition_wins_over_a_removal_that_did_not_see_it() {
    let (mut at_a, mut at_b) = (OrSet::<u8>::new(), OrSet::new());
    let first = at_a.insert(dot(A, 1), 7);
    at_b.merge(&first);
    let removal = at_b.remove(dot(B, 1), &7).unwrap();
    let second = at_a.insert(dot(A, 2), 7);
    assert!(joins(&[&first, &removal]).iter().all(OrSet::is_empty));
    assert!(joins(&[&first, &removal, &second]).iter().all(|all| all.contains(&7)));
}

#[test]
fn a_removal_keeps_out_the_additions_that_it_saw() {
    let mut at_a = OrSet::<u8>::new();
    let addition = at_a.insert(dot(A, 1), 7);
    let removal = at_a.remove(dot(A, 2), &7).unwrap();
    let mut at_b = join([&removal]);
    at_b.merge(&addition);
    assert!(!at_b.contains(&7));
}

#[test]
fn a_removal_says_nothing_of_other_elements() {
    // With one list for the set, 9 would be taken for an element that was removed: its dot is below that of 7.
    let mut at_a = OrSet::<u8>::new();
    let nine = at_a.insert(dot(A, 1), 9);
    let seven = at_a.insert(dot(A, 2), 7);
    let removal = at_a.remove(dot(A, 3), &7).unwrap();
    assert!(joins(&[&seven, &removal, &nine]).iter().all(|all| all.iter().eq(&[9])));
}

#[test]
fn removing_what_is_not_there_takes_no_dot() {
    let mut set = OrSet::<u8>::new();
    assert_eq!(set.remove(dot(A, 1), &7), None);
    assert_eq!(set, OrSet::new());
    set.insert(dot(A, 1), 7);
    set.remove(dot(A, 2), &7).unwrap();
    assert_eq!(set.remove(dot(A, 3), &7), None);
    assert_eq!((set.len(), set.is_empty(), set.presences().len()), (0, true, 1));
    assert_eq!(set.clear(dot(A, 3)), OrSet::new());
    assert_eq!(set.context().get(A), 2);
}

#[test]
fn a_deleted_or_set_keeps_what_the_deletion_did_not_see() {
    let mut at_a = OrSet::<u8>::new();
    let [one, two] = [at_a.insert(dot(A, 1), 1), at_a.insert(dot(A, 2), 2)];
    let mut at_b = at_a.clone();
    let cleared = at_b.clear(dot(B, 1));
    let three = at_a.insert(dot(A, 3), 3);
    assert!(joins(&[&one, &two, &cleared, &three]).iter().all(|all| all.iter().eq(&[3])));
}
