//! At rest: all nodes hold the same, every slot is settled that can be, and it is what the logs hold together.

use std::collections::BTreeSet;

use trellis_crdt::{ReplicaId, VersionVector};

use super::{Held, Violation};
use crate::model::Model;
use crate::sim::host::Host;

/// Whether all that last hold the same clocks, see each other alive, and have told each other everything.
pub(super) fn are_in_step(hosts: &[Host]) -> bool {
    let mut lasting = hosts.iter().filter(|host| !host.is_retired);
    let Some(first) = lasting.next().and_then(Host::core) else { return false };
    let clock = first.look_at_peers(|replicator, _| replicator.clock().clone());
    let is_alive_to_all = |host: &Host| {
        host.core().is_some_and(|core| {
            let same = core.look_at_peers(|replicator, swim| {
                let has_all = replicator.is_drained()
                    && replicator.peers().all(|(name, peer)| {
                        let lasts = hosts.iter().any(|other| other.name == name && !other.is_retired);
                        !lasts || (peer.is_connected && peer.is_in_step && peer.unacknowledged == 0)
                    });
                has_all
                    && *replicator.clock() == clock
                    && hosts.iter().filter(|other| !other.is_retired && !other.is_twin).all(|other| {
                        let member = swim.member(&other.name.to_owned());
                        member.is_some_and(|member| member.state == trellis_swim::State::Alive)
                    })
            });
            same && core.log().last() == core.log().durable()
        })
    };
    hosts.iter().filter(|host| !host.is_retired).all(is_alive_to_all)
}

/// Compares the slots of all that last.
///
/// A slot may stay unsettled for one reason: something of an origin spread whose own log is gone, so that no clock can
/// ever reach it, until the replica is sealed (R14).
pub(super) fn check(hosts: &[Host], model: &Model) -> Held {
    let lasting: Vec<(u8, &Host)> = hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| !host.is_retired)
        .map(|(index, host)| (index as u8, host))
        .collect();
    let slots: BTreeSet<u8> = model.operations().iter().map(|operation| operation.slot).collect();
    for slot in slots {
        let views = lasting.iter().filter_map(|(index, host)| Some((*index, view(host, slot)?)));
        let views: Vec<(u8, View)> = views.collect();
        check_slot(slot, &views)?;
    }
    Ok(())
}

#[derive(Debug)]
struct View {
    clock: VersionVector,
    ceiling: VersionVector,
    is_settled: bool,
    /// Replicas whose own log is at hand: their clocks cover all that they let go.
    has_log_of: BTreeSet<ReplicaId>,
}

fn check_slot(slot: u8, views: &[(u8, View)]) -> Held {
    for ((one, ours), (other, theirs)) in views.iter().zip(views.iter().skip(1)) {
        if ours.clock != theirs.clock {
            let (ours, theirs) = (&ours.clock, &theirs.clock);
            let detail = format!("slot {slot}: {ours:?} at n{}, {theirs:?} at n{}", one + 1, other + 1);
            return Err(violation(vec![*one, *other], detail));
        }
    }
    for (index, view) in views.iter().filter(|(_, view)| !view.is_settled) {
        let beyond = view.ceiling.beyond(&view.clock).map(|(replica, _)| replica);
        let has_log = |replica: &ReplicaId| views.iter().any(|(_, view)| view.has_log_of.contains(replica));
        if let Some(replica) = beyond.into_iter().find(has_log) {
            let detail = format!(
                "slot {slot} of n{} is not settled although the log of {replica} is there",
                index + 1
            );
            return Err(violation(vec![*index], detail));
        }
    }
    Ok(())
}

fn view(host: &Host, slot: u8) -> Option<View> {
    let has_log_of = host.directory.durable.own_replicas.clone();
    host.core().map(|core| {
        core.look_at_slot(slot, |keyspace| View {
            clock: keyspace.clock(slot).clone(),
            ceiling: keyspace.ceiling(slot).clone(),
            is_settled: keyspace.is_settled(slot),
            has_log_of,
        })
    })
}

fn violation(hosts: Vec<u8>, detail: String) -> Violation {
    Violation { invariant: "all_end_equal", hosts, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_and_a_slot_that_could_be_settled_are_seen() {
        let (lost, kept) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
        let view = |clock: &[(ReplicaId, u64)], ceiling: &[(ReplicaId, u64)]| View {
            clock: clock.iter().copied().collect(),
            ceiling: ceiling.iter().copied().collect(),
            is_settled: clock == ceiling,
            has_log_of: BTreeSet::from([kept]),
        };
        let settled = || view(&[(kept, 3)], &[(kept, 3)]);
        assert_eq!(check_slot(1, &[(0, settled()), (1, settled())]), Ok(()));
        assert!(check_slot(1, &[(0, settled()), (1, view(&[(kept, 2)], &[(kept, 2)]))]).is_err());
        assert!(check_slot(1, &[(0, view(&[(kept, 2)], &[(kept, 3)]))]).is_err());
        assert_eq!(check_slot(1, &[(0, view(&[], &[(lost, 3)]))]), Ok(()));
    }
}
