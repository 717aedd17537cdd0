//! What the node tells a client of itself and of its cluster.

use std::path::Path;
use std::time::Duration;

use trellis_rpc::{ClusterStatus, MemberState, MemberStatus, NodeSnapshot, NodeUsage};
use trellis_swim::State;

use super::{Clients, not_serving};
use crate::core::{self, Phase, Status};
use crate::runtime::clock;
use crate::runtime::memory::resident_bytes;
use crate::runtime::snapshots::Told;

impl Clients {
    /// Describes the cluster as this node sees it.
    pub(super) fn describe(&self) -> ClusterStatus {
        let status = self.core.status(clock::now());
        let absent = self.core.absent_members();
        let mut members: Vec<MemberStatus> = status.members.iter().map(member_status).collect();
        if let Some(own) = members.iter_mut().find(|member| member.name == status.local.name) {
            own.usage = Some(self.usage(&status));
        }
        members.extend(absent.iter().map(|(node, name)| MemberStatus {
            name: name.clone(),
            node: Some(*node),
            ..MemberStatus::default()
        }));
        members.sort_by(|a, b| a.name.cmp(&b.name));
        ClusterStatus {
            cluster: self.cluster.clone(),
            founding: status.founding,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            members,
            is_converged: status.is_converged && absent.is_empty(),
            warnings: warnings(&status, &self.snapshots.told()),
            awareness: status.health.awareness,
        }
    }

    fn usage(&self, status: &Status) -> NodeUsage {
        let newest = self.snapshots.told().newest;
        NodeUsage {
            keys: status.usage.keys as u64,
            log_bytes: folder_bytes(&self.wal).unwrap_or(0),
            memory_bytes: resident_bytes().unwrap_or(0),
            uptime_millis: millis(status.uptime),
            snapshot: newest.map(|newest| NodeSnapshot {
                start_lsn: newest.start.as_u64(),
                bytes: newest.bytes,
                age_millis: newest.age().map(millis),
            }),
            log_bytes_behind_snapshot: self.snapshots.log_bytes(),
        }
    }
}

fn member_status(member: &core::MemberStatus) -> MemberStatus {
    let is_met = member.meta.boot_nonce != 0;
    MemberStatus {
        name: member.name.clone(),
        node: is_met.then_some(member.meta.node),
        replica: is_met.then_some(member.meta.replica),
        state: match member.state {
            State::Alive => MemberState::Alive,
            State::Suspect => MemberState::Suspect,
            State::Dead => MemberState::Dead,
            State::Left => MemberState::Left,
        },
        is_guest: member.meta.is_guest,
        client_address: member.meta.client_address.clone(),
        peer_address: member.peer_address.clone(),
        incarnation: member.incarnation,
        since_millis: millis(member.since),
        last_heard_millis: member.last_heard.map(millis),
        lag: member.unacknowledged,
        usage: None,
    }
}

fn warnings(status: &Status, snapshots: &Told) -> Vec<String> {
    let mut warnings = Vec::new();
    if status.phase != Phase::Serving {
        warnings.push(not_serving(status.phase).message);
    }
    if status.slots_remaining > 0 {
        warnings.push(format!("{} of 256 slots are still to be taken over", status.slots_remaining));
    }
    if status.conflicts > 0 {
        warnings.push("two live processes showed one name: see the node's log, stop one of them".to_owned());
    }
    if status.diverged > 0 {
        warnings.push(format!(
            "equal clocks had different digests {} times: see the node's log",
            status.diverged
        ));
    }
    if status.health.is_isolated && status.members.len() > 1 {
        warnings.push("no other member is up, as this node sees it".to_owned());
    }
    if status.health.awareness > 0 {
        warnings.push(format!(
            "this node is not well (awareness {}): it was late or missed answers, and suspects others more slowly",
            status.health.awareness
        ));
    }
    if status.is_disk_full {
        warnings.push("the disk is full: writes wait until there is room in data_dir".to_owned());
    }
    if status.is_skewed {
        warnings.push(format!(
            "the wall clock is {} ms ahead of the others': register writes are refused",
            status.clock_ahead_millis
        ));
    }
    let rejected = snapshots.rejected.iter();
    warnings.extend(rejected.map(|rejected| format!("a snapshot was not used at the start: {rejected}")));
    if let Some(failure) = &snapshots.failure {
        warnings.push(format!("the last snapshot failed, and the log grows: {failure}"));
    }
    warnings
}

fn folder_bytes(folder: &Path) -> Option<u64> {
    let files = std::fs::read_dir(folder).ok()?;
    Some(files.filter_map(|file| file.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum())
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
