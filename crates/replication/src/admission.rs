//! Whom a node accepts at a hello, and what it learns from it.

use crate::fault;
use crate::identity::{FoundingId, Identity, NodeId};
use crate::message::{Hello, Refusal};
use crate::roster::{Owner, Roster};

/// The oldest protocol version that this code speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest protocol version that this code speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// What an accepted hello adds to the roster.
#[derive(Debug, PartialEq)]
pub(crate) struct Admission {
    /// The sender's roster with the sender itself in it.
    pub(crate) roster: Roster,
    /// The node whose place the sender takes.
    pub(crate) superseded: Option<NodeId>,
}

/// Judges a hello that came over a connection whose certificate says `certified`.
///
/// # Errors
///
/// The first reason not to talk with the sender, in the order: cluster, protocol, name, removal, founding, a removed
/// donor, this node's own name, stale process, replica of another node, name held by another. Nothing is changed here
/// in any case.
pub(crate) fn admit(
    local: &Identity,
    cluster: &str,
    roster: &Roster,
    certified: &str,
    hello: &Hello,
) -> Result<Admission, Refusal> {
    let node = hello.identity.node;
    if hello.cluster != cluster {
        return Err(Refusal::WrongCluster { ours: cluster.to_owned(), theirs: hello.cluster.clone() });
    }
    if hello.protocol_min > PROTOCOL_MAX || hello.protocol_max < PROTOCOL_MIN {
        return Err(Refusal::Protocol { min: PROTOCOL_MIN, max: PROTOCOL_MAX });
    }
    if hello.identity.name != certified {
        return Err(Refusal::WrongName {
            certified: certified.to_owned(),
            claimed: hello.identity.name.clone(),
        });
    }
    if roster.removed.contains(&node) && !fault::is_off("R14 a removed node is refused") {
        return Err(Refusal::Removed { node });
    }
    same_founding(roster.founding, hello.roster.founding)?;
    refuse_heir_of_removed(roster, hello)?;
    if hello.identity.name == local.name || node == local.node {
        return Err(Refusal::NameTaken { name: local.name.clone(), holder: local.node });
    }
    // A process may itself have heard of the one that follows it.
    let is_stale = [roster, &hello.roster]
        .iter()
        .any(|roster| roster.has_successor(node, hello.identity.replica, hello.identity.epoch));
    if is_stale && !fault::is_off("R14 a process that has a successor is refused") {
        return Err(Refusal::Stale { node });
    }
    if hello.identity.replica == local.replica
        || roster.replicas.get(&hello.identity.replica).is_some_and(|owner| owner.node != node)
    {
        let violation = format!("replica {} is another node's", hello.identity.replica);
        return Err(Refusal::Violation(violation));
    }
    let superseded = superseded(roster, hello)?;

    let mut learned = hello.roster.clone();
    learned.members.entry(node).or_default().name = certified.to_owned();
    learned.replicas.insert(hello.identity.replica, Owner { node, epoch: hello.identity.epoch });
    learned.removed.extend(superseded);
    Ok(Admission { roster: learned, superseded })
}

fn same_founding(ours: Option<FoundingId>, theirs: Option<FoundingId>) -> Result<(), Refusal> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours != theirs => Err(Refusal::FoundedApart { ours, theirs }),
        _ => Ok(()),
    }
}

/// Who holds the sender's name must be the sender, or the node that the sender found to be gone.
fn superseded(roster: &Roster, hello: &Hello) -> Result<Option<NodeId>, Refusal> {
    match roster.holder(&hello.identity.name) {
        Some(holder) if holder != hello.identity.node => {
            if hello.supersedes == Some(holder) || hello.roster.removed.contains(&holder) {
                Ok(Some(holder))
            } else {
                Err(Refusal::NameTaken { name: hello.identity.name.clone(), holder })
            }
        }
        _ => Ok(None),
    }
}

/// R12: a newcomer of whom no member has told, and one of whose donors is removed here, brings what all others
/// refuse.
fn refuse_heir_of_removed(roster: &Roster, hello: &Hello) -> Result<(), Refusal> {
    let node = hello.identity.node;
    if roster.members.contains_key(&node) {
        return Ok(());
    }
    let donors = hello.roster.members.get(&node).map(|record| &record.donors);
    let has_removed_donor = donors.into_iter().flatten().any(|(replica, _)| {
        let owner = roster.replicas.get(replica).or_else(|| hello.roster.replicas.get(replica));
        owner.is_some_and(|owner| roster.removed.contains(&owner.node))
    });
    if has_removed_donor { Err(Refusal::Removed { node }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
