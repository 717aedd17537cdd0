//! Every reason to refuse a hello, and what an accepted one teaches.

use std::collections::BTreeMap;

use trellis_crdt::{Hlc, ReplicaId};

use super::*;
use crate::clock::NodeClock;
use crate::roster::MemberRecord;

fn identity(name: &str, node: u64, replica: u64, epoch: u64) -> Identity {
    Identity {
        name: name.to_owned(),
        node: NodeId::from_u64(node),
        replica: ReplicaId::from_u64(replica),
        epoch,
        boot_nonce: replica,
    }
}

fn hello(identity: Identity) -> Hello {
    Hello {
        cluster: "garden".to_owned(),
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        identity,
        is_guest: false,
        supersedes: None,
        durable_lsn: 1,
        roster: Roster { founding: Some(FoundingId::from_u64(1)), ..Roster::default() },
        clock: NodeClock::new(),
        hlc: Hlc::ZERO,
    }
}

/// Node 1 with replica 11 judges; node 2 with replica 22 of epoch 5 is a member.
fn judge(change: impl FnOnce(&mut Roster, &mut Hello)) -> Result<Admission, Refusal> {
    let mut roster = Roster { founding: Some(FoundingId::from_u64(1)), ..Roster::default() };
    for (name, node, replica) in [("n1", 1, 11), ("n2", 2, 22)] {
        let record = MemberRecord { name: name.to_owned(), ..MemberRecord::default() };
        roster.members.insert(NodeId::from_u64(node), record);
        let owner = Owner { node: NodeId::from_u64(node), epoch: 5 };
        roster.replicas.insert(ReplicaId::from_u64(replica), owner);
    }
    let mut hello = hello(identity("n2", 2, 22, 5));
    change(&mut roster, &mut hello);
    admit(&identity("n1", 1, 11, 5), "garden", &roster, "n2", &hello)
}

#[test]
fn a_known_member_is_accepted_and_supersedes_nobody() {
    let admission = judge(|_, _| ()).unwrap();
    assert_eq!(admission.superseded, None);
    assert_eq!(admission.roster.replicas[&ReplicaId::from_u64(22)].node, NodeId::from_u64(2));
}

#[test]
fn another_cluster_is_refused() {
    let refusal = judge(|_, hello| hello.cluster = "desert".to_owned()).unwrap_err();
    assert_eq!(refusal, Refusal::WrongCluster { ours: "garden".to_owned(), theirs: "desert".to_owned() });
}

#[test]
fn a_protocol_without_a_common_version_is_refused() {
    let expected = Refusal::Protocol { min: PROTOCOL_MIN, max: PROTOCOL_MAX };
    let newer =
        judge(|_, hello| (hello.protocol_min, hello.protocol_max) = (PROTOCOL_MAX + 1, PROTOCOL_MAX + 2));
    assert_eq!(newer.unwrap_err(), expected);
    let older = judge(|_, hello| (hello.protocol_min, hello.protocol_max) = (0, 0));
    assert_eq!(older.unwrap_err(), expected);
}

#[test]
fn a_name_that_is_not_the_certified_one_is_refused() {
    let refusal = judge(|_, hello| hello.identity.name = "n3".to_owned()).unwrap_err();
    assert_eq!(refusal, Refusal::WrongName { certified: "n2".to_owned(), claimed: "n3".to_owned() });
}

#[test]
fn a_removed_node_is_refused_for_ever() {
    let node = NodeId::from_u64(2);
    let refusal = judge(|roster, _| {
        roster.removed.insert(node);
    });
    assert_eq!(refusal.unwrap_err(), Refusal::Removed { node });
}

#[test]
fn nodes_founded_apart_refuse_each_other_and_one_not_founded_is_welcome() {
    let (ours, theirs) = (FoundingId::from_u64(1), FoundingId::from_u64(2));
    let refusal = judge(|_, hello| hello.roster.founding = Some(theirs)).unwrap_err();
    assert_eq!(refusal, Refusal::FoundedApart { ours, theirs });
    assert!(judge(|_, hello| hello.roster.founding = None).is_ok());
}

#[test]
fn a_newcomer_that_took_its_state_from_a_removed_node_is_refused() {
    let (donor, newcomer) = (NodeId::from_u64(9), NodeId::from_u64(3));
    let comes = |is_known: bool| {
        judge(|roster, hello| {
            roster.members.remove(&NodeId::from_u64(2));
            roster.removed.insert(donor);
            roster.replicas.insert(ReplicaId::from_u64(99), Owner { node: donor, epoch: 1 });
            hello.identity = identity("n2", 3, 33, 9);
            let donors = BTreeMap::from([(ReplicaId::from_u64(99), 4)]);
            let record = MemberRecord { name: "n2".to_owned(), donors };
            hello.roster.members.insert(newcomer, record.clone());
            if is_known {
                roster.members.insert(newcomer, record);
            }
        })
    };
    assert_eq!(comes(false).unwrap_err(), Refusal::Removed { node: newcomer });
    assert!(comes(true).is_ok());
}

#[test]
fn nobody_else_is_this_node() {
    let taken = Refusal::NameTaken { name: "n1".to_owned(), holder: NodeId::from_u64(1) };
    assert_eq!(judge(|_, hello| hello.identity.node = NodeId::from_u64(1)).unwrap_err(), taken);
    let local = identity("n2", 1, 11, 5);
    let roster = Roster::default();
    let same_name = admit(&local, "garden", &roster, "n2", &hello(identity("n2", 7, 77, 1)));
    assert!(matches!(same_name, Err(Refusal::NameTaken { .. })));
}

#[test]
fn a_process_older_than_the_newest_of_its_node_is_stale() {
    let node = NodeId::from_u64(2);
    let older = judge(|_, hello| hello.identity = identity("n2", 2, 21, 4)).unwrap_err();
    assert_eq!(older, Refusal::Stale { node });
    assert!(judge(|_, hello| hello.identity = identity("n2", 2, 23, 6)).is_ok());
}

#[test]
fn a_process_that_has_itself_heard_of_its_successor_is_stale() {
    let node = NodeId::from_u64(2);
    let refusal = judge(|_, hello| {
        hello.roster.replicas.insert(ReplicaId::from_u64(23), Owner { node, epoch: 6 });
    });
    assert_eq!(refusal.unwrap_err(), Refusal::Stale { node });
}

#[test]
fn a_replica_of_another_node_is_refused_this_one_included() {
    for taken in [11, 44] {
        let refusal = judge(|roster, hello| {
            let owner = Owner { node: NodeId::from_u64(4), epoch: 1 };
            roster.replicas.insert(ReplicaId::from_u64(44), owner);
            hello.identity.replica = ReplicaId::from_u64(taken);
            hello.identity.epoch = 9;
        });
        assert!(matches!(refusal, Err(Refusal::Violation(_))), "{refusal:?}");
    }
}

#[test]
fn a_held_name_is_taken_until_its_holder_was_found_gone() {
    let (holder, newcomer) = (NodeId::from_u64(2), identity("n2", 3, 33, 9));
    let comes = |supersedes, removed: &[NodeId]| {
        judge(|_, hello| {
            hello.identity = newcomer.clone();
            hello.supersedes = supersedes;
            hello.roster.removed.extend(removed);
        })
    };
    assert_eq!(comes(None, &[]).unwrap_err(), Refusal::NameTaken { name: "n2".to_owned(), holder });
    assert_eq!(comes(Some(NodeId::from_u64(8)), &[]).unwrap_err(), comes(None, &[]).unwrap_err());
    for admission in [comes(Some(holder), &[]), comes(None, &[holder])] {
        let admission = admission.unwrap();
        assert_eq!(admission.superseded, Some(holder));
        assert!(admission.roster.removed.contains(&holder));
    }
}

#[test]
fn the_certified_name_is_the_one_that_is_recorded() {
    let node = NodeId::from_u64(2);
    let admission = judge(|_, hello| {
        hello
            .roster
            .members
            .insert(node, MemberRecord { name: "other".to_owned(), ..MemberRecord::default() });
    });
    assert_eq!(admission.unwrap().roster.members[&node].name, "n2");
}
