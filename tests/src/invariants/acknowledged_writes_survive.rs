//! A write that was acknowledged is there as long as one of the disks is that acknowledged it; and as many nodes held it
//! as were promised (R15).

use std::collections::{BTreeMap, BTreeSet};

use trellis_crdt::{ReplicaId, VersionVector};
use trellis_replication::NodeId;

use super::{Held, Violation};
use crate::model::Model;
use crate::sim::directory::Directory;
use crate::sim::host::Host;

/// Every promise that was made to a client.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    writes: Vec<Promise>,
    /// What disks held that are gone: their nodes had acknowledged it all the same.
    gone: Vec<(NodeId, BTreeMap<u8, VersionVector>)>,
}

#[derive(Debug)]
struct Promise {
    slot: u8,
    origin: ReplicaId,
    seq: u64,
    /// Host and lineage of each disk that held it durably when it was acknowledged.
    disks: Vec<(u8, u32)>,
}

impl Acknowledged {
    /// A disk is about to be lost.
    pub(super) fn lost(&mut self, directory: &Directory) {
        if directory.durable.recovery.guest_of().is_some() {
            return;
        }
        let slots: BTreeSet<u8> = directory.durable.lists.keys().map(|(slot, _)| *slot).collect();
        let clocks = slots.into_iter().map(|slot| (slot, directory.durable.clock(slot).clone())).collect();
        self.gone.push((directory.node, clocks));
    }

    /// Notes who holds an acknowledged write, which must be as many nodes as was promised.
    pub(super) fn take(&mut self, hosts: &[Host], host: u8, dots: &[(u8, u64)], replicas: u32) -> Held {
        let Some(process) = &hosts[usize::from(host)].process else { return Ok(()) };
        let origin = process.replica;
        for (slot, seq) in dots {
            let removed = &hosts[usize::from(host)].directory.durable.recovery.roster().removed;
            let holds = |host: &Host| {
                let Directory { node, durable, .. } = &host.directory;
                let counts = durable.recovery.guest_of().is_none() && !removed.contains(node);
                counts && durable.clock(*slot).get(origin) >= *seq
            };
            let holders = hosts.iter().enumerate().filter(|(_, host)| holds(host));
            let disks: Vec<(u8, u32)> =
                holders.clone().map(|(index, host)| (index as u8, host.directory.lineage)).collect();
            let had = |clocks: &BTreeMap<u8, VersionVector>| {
                clocks.get(slot).is_some_and(|clock| clock.get(origin) >= *seq)
            };
            let had = self.gone.iter().filter(|(_, clocks)| had(clocks)).map(|(node, _)| *node);
            let nodes: BTreeSet<_> = holders.map(|(_, host)| host.directory.node).chain(had).collect();
            if nodes.len() < replicas as usize {
                let detail = format!(
                    "write {seq} of slot {slot} by n{} is acknowledged by {replicas} nodes and held by {}",
                    host + 1,
                    nodes.len()
                );
                return Err(violation(vec![host], detail));
            }
            self.writes.push(Promise { slot: *slot, origin, seq: *seq, disks });
        }
        Ok(())
    }

    /// Every promise whose disks are not all gone must be kept everywhere.
    pub(super) fn check(&self, hosts: &[Host], model: &Model) -> Held {
        let is_there = |(host, lineage): &(u8, u32)| {
            let host = &hosts[usize::from(*host)];
            host.directory.lineage == *lineage && !host.is_retired
        };
        for promise in self.writes.iter().filter(|promise| promise.disks.iter().any(is_there)) {
            let Promise { slot, origin, seq, .. } = promise;
            for (index, host) in hosts.iter().enumerate().filter(|(_, host)| !host.is_retired) {
                let Some(core) = host.core() else { continue };
                if core.look_at_slot(*slot, |keyspace| keyspace.clock(*slot).get(*origin)) < *seq {
                    let write = model.get(*slot, origin.as_u64(), *seq);
                    let detail = format!("n{} lacks the acknowledged write {write:?}", index + 1);
                    return Err(violation(vec![index as u8], detail));
                }
            }
        }
        Ok(())
    }
}

fn violation(hosts: Vec<u8>, detail: String) -> Violation {
    Violation { invariant: "acknowledged_writes_survive", hosts, detail }
}
