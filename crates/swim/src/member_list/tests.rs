//! Turns, samples and digests.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;

use super::*;

#[test]
fn every_member_that_is_up_has_its_turn_once_per_round() {
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(1);
    let mut list = MemberList::new(record("me", State::Alive), now);
    for id in ["a", "b", "c", "d"] {
        list.put(record(id, State::Alive), &mut rng, now);
    }
    list.put(record("d", State::Dead), &mut rng, now);
    let mut orders = BTreeSet::new();
    for _ in 0..20 {
        let round: Vec<_> = (0..3).filter_map(|_| list.next_in_turn(&mut rng, |_| true)).collect();
        let names: BTreeSet<_> = round.iter().map(|slot| list.at(*slot).member.id.clone()).collect();
        assert_eq!(names, BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
        orders.insert(round);
    }
    assert!(orders.len() > 1, "the order is drawn anew");
    let b = list.slot(&"b".to_owned()).unwrap();
    assert_eq!(list.next_in_turn(&mut rng, |slot| slot == b), Some(b));
    assert_eq!(list.next_in_turn(&mut rng, |_| false), None);
}

#[test]
fn the_circle_gives_each_member_one_predecessor_and_skips_who_is_not_alive_for_sure() {
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(5);
    let ids: Vec<_> = (0..12).map(|number| format!("n{number}")).collect();
    let mut lists: BTreeMap<_, _> = ids
        .iter()
        .map(|own| {
            let mut list = MemberList::new(record(own, State::Alive), now);
            for id in ids.iter().filter(|id| *id != own) {
                list.put(record(id, State::Alive), &mut rng, now);
            }
            (own.clone(), list)
        })
        .collect();
    let next = |list: &MemberList<String>| {
        let slot = list.successor(|_| true)?;
        Some(list.at(slot).member.id.clone())
    };
    let mut around = vec![ids[0].clone()];
    for _ in 0..11 {
        around.extend(next(&lists[&around[around.len() - 1]]));
    }
    assert_eq!(around.iter().collect::<BTreeSet<_>>().len(), 12, "all are on the way around: {around:?}");
    assert_eq!(next(&lists[&around[11]]), Some(around[0].clone()));
    for (place, own) in around.iter().enumerate() {
        let list = &lists[own];
        let precedes = |id: &String| list.slot(id).is_some_and(|slot| list.is_predecessor(slot, 3));
        let mut expected: Vec<_> = (1..=3).map(|step| &around[(place + step) % 12]).collect();
        expected.sort();
        let mut found: Vec<_> = ids.iter().filter(|id| *id != own && precedes(id)).collect();
        found.sort();
        assert_eq!(found, expected, "{own} is one of the three before each of these");
    }
    let list = lists.get_mut(&around[0]).unwrap();
    list.put(record(&around[1], State::Suspect), &mut rng, now);
    list.put(record(&around[2], State::Dead), &mut rng, now);
    assert_eq!(next(list).as_ref(), Some(&around[3]));
    let fifth = list.slot(&around[5]).unwrap();
    assert!(
        !list.is_predecessor(fifth, 2) && list.is_predecessor(fifth, 3),
        "those between that are alive count"
    );
    let taken = list.slot(&around[3]);
    let free = list.successor(|slot| Some(slot) != taken).unwrap();
    assert_eq!(list.at(free).member.id, around[4]);
}

#[test]
fn a_sample_is_of_distinct_members_that_are_up() {
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(2);
    let mut list = MemberList::new(record("me", State::Alive), now);
    for (id, state) in [("a", State::Alive), ("b", State::Suspect), ("c", State::Dead), ("d", State::Left)] {
        list.put(record(id, state), &mut rng, now);
    }
    let [a, b] = ["a", "b"].map(|id| list.slot(&id.to_owned()).unwrap());
    let mut sample = list.sample(5, None, &mut rng);
    sample.sort();
    assert_eq!(sample, [a, b]);
    assert_eq!(list.sample(5, Some(a), &mut rng), [b]);
    for number in 0..40 {
        list.put(record(&format!("x{number}"), State::Alive), &mut rng, now);
    }
    for _ in 0..100 {
        let sample: BTreeSet<_> = list.sample(4, Some(a), &mut rng).into_iter().collect();
        assert!(sample.len() == 4 && !sample.contains(&a), "{sample:?}");
    }
}

#[test]
fn the_digest_depends_on_what_is_known_and_on_no_order() {
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(3);
    let mut one = MemberList::new(record("a", State::Alive), now);
    let mut other = MemberList::new(record("b", State::Alive), now);
    one.put(record("b", State::Alive), &mut rng, now);
    other.put(record("c", State::Dead), &mut rng, now);
    assert_ne!(one.digest(), other.digest());
    one.put(record("c", State::Dead), &mut rng, now);
    other.put(record("a", State::Suspect), &mut rng, now);
    assert_eq!(one.buckets(), other.buckets(), "and not on suspicions");
    let left = one.put(record("c", State::Left), &mut rng, now);
    assert_ne!(one.digest(), other.digest());
    one.retire(left);
    let gone = other.slot(&"c".to_owned()).unwrap();
    other.remove(gone);
    assert_eq!(one.buckets(), other.buckets(), "what is to be forgotten is no part of it");
    other.change_local(|local| local.incarnation += 1);
    assert_ne!(one.digest(), other.digest());
}

#[test]
fn a_slot_is_used_again_after_its_member_is_forgotten() {
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(4);
    let mut list = MemberList::new(record("me", State::Alive), now);
    let a = list.put(record("a", State::Dead), &mut rng, now);
    list.remove(a);
    assert_eq!((list.len(), list.slot(&"a".to_owned())), (1, None));
    let b = list.put(record("b", State::Alive), &mut rng, now);
    assert_eq!((a, list.peers_up_count()), (b, 1));
}

fn record(id: &str, state: State) -> Member<String> {
    Member { id: id.to_owned(), epoch: 1, incarnation: 0, state, addr: "x".into(), meta: Default::default() }
}
