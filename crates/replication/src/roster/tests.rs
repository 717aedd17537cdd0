//! The roster is a join: union in any order gives the same.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

/// A roster over few nodes and replicas, so that two of them often speak of the same.
#[derive(Clone, Debug)]
struct Small(Roster);

impl Arbitrary for Small {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut roster = Roster { founding: Some(FoundingId::from_u64(1)), ..Roster::default() };
        for _ in 0..u8::arbitrary(g) % 5 {
            let node = NodeId::from_u64(u64::arbitrary(g) % 4);
            let name = format!("n{}", u8::arbitrary(g) % 3);
            let donors = (0..u8::arbitrary(g) % 3)
                .map(|_| (ReplicaId::from_u64(u64::arbitrary(g) % 4), u64::arbitrary(g) % 3))
                .collect();
            roster.members.insert(node, MemberRecord { name, donors });
            roster.removed.extend(bool::arbitrary(g).then_some(node));
            let owner = Owner { node, epoch: u64::arbitrary(g) % 3 };
            roster.replicas.insert(ReplicaId::from_u64(u64::arbitrary(g) % 4), owner);
        }
        Self(roster)
    }
}

fn union(one: &Roster, other: &Roster) -> Roster {
    let mut union = one.clone();
    union.merge(other);
    union
}

quickcheck! {
    fn a_union_is_associative(a: Small, b: Small, c: Small) -> bool {
        union(&union(&a.0, &b.0), &c.0) == union(&a.0, &union(&b.0, &c.0))
    }

    fn a_union_is_commutative(a: Small, b: Small) -> bool {
        union(&a.0, &b.0) == union(&b.0, &a.0)
    }

    fn what_is_held_is_no_news(a: Small, b: Small) -> bool {
        let mut held = union(&a.0, &b.0);
        held.merge(&a.0).is_empty() && held.merge(&b.0).is_empty()
    }

    fn the_news_alone_bring_another_up_to_date(a: Small, b: Small) -> bool {
        let mut one = a.0.clone();
        let news = one.merge(&b.0);
        union(&a.0, &news) == one
    }

    fn hashes_are_equal_if_and_only_if_the_rosters_are(a: Small, b: Small) -> bool {
        (a.0.hash() == b.0.hash()) == (a.0 == b.0)
    }
}

#[test]
fn a_donor_at_lsn_zero_is_news_once() {
    let mut told = Roster::default();
    let donors = BTreeMap::from([(ReplicaId::from_u64(9), 0)]);
    told.members.insert(NodeId::from_u64(1), MemberRecord { name: "n1".to_owned(), donors });
    let mut roster = Roster::default();
    assert_eq!(roster.merge(&told), told);
    assert_eq!(roster.merge(&told), Roster::default());
}

#[test]
fn a_name_is_held_by_a_member_that_was_not_removed() {
    let mut roster = Roster::default();
    for bits in [1, 2] {
        let record = MemberRecord { name: "n1".to_owned(), ..MemberRecord::default() };
        roster.members.insert(NodeId::from_u64(bits), record);
    }
    roster.removed.insert(NodeId::from_u64(1));
    assert_eq!(roster.holder("n1"), Some(NodeId::from_u64(2)));
    assert_eq!(roster.holder("n2"), None);
}

#[test]
fn the_newest_replica_of_a_node_is_the_one_of_the_greatest_epoch() {
    let node = NodeId::from_u64(1);
    let mut roster = Roster::default();
    for (replica, epoch) in [(30, 5), (10, 7), (20, 6)] {
        roster.replicas.insert(ReplicaId::from_u64(replica), Owner { node, epoch });
    }
    assert_eq!(roster.newest_replica(node), Some((ReplicaId::from_u64(10), 7)));
    assert_eq!(roster.newest_replica(NodeId::from_u64(2)), None);
}
