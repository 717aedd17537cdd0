//! Why a node does not talk with another.

use trellis_replication::{FoundingId, NodeId, Refusal};

use super::InvalidMessage;
use crate::pb::peer as pb;
use crate::pb::peer::refusal::{self, Kind};

impl From<Refusal> for pb::Refusal {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        let kind = match refusal {
            Refusal::WrongCluster { ours, theirs } => {
                Some(Kind::WrongCluster(refusal::WrongCluster { ours, theirs }))
            }
            Refusal::FoundedApart { ours, theirs } => Some(Kind::FoundedApart(refusal::FoundedApart {
                ours: ours.as_u64(),
                theirs: theirs.as_u64(),
            })),
            Refusal::Protocol { min, max } => Some(Kind::Protocol(refusal::Protocol { min, max })),
            Refusal::Removed { node } => Some(Kind::Removed(node.as_u64())),
            Refusal::NameTaken { name, holder } => {
                Some(Kind::NameTaken(refusal::NameTaken { name, holder: holder.as_u64() }))
            }
            Refusal::WrongName { certified, claimed } => {
                Some(Kind::WrongName(refusal::WrongName { certified, claimed }))
            }
            Refusal::Stale { node } => Some(Kind::Stale(node.as_u64())),
            Refusal::NotReady => Some(Kind::NotReady(true)),
            Refusal::Violation(what) => Some(Kind::Violation(what)),
            // A kind that has no place in the protocol yet travels as its text.
            _ => None,
        };
        Self { text, kind }
    }
}

impl TryFrom<pb::Refusal> for Refusal {
    type Error = InvalidMessage;

    /// A kind that is not known here, of a later version, reads as a violation with the sender's text.
    fn try_from(message: pb::Refusal) -> Result<Self, InvalidMessage> {
        let Some(kind) = message.kind else {
            return Ok(Self::Violation(message.text));
        };
        Ok(match kind {
            Kind::WrongCluster(of) => Self::WrongCluster { ours: of.ours, theirs: of.theirs },
            Kind::FoundedApart(of) => Self::FoundedApart {
                ours: FoundingId::from_u64(of.ours),
                theirs: FoundingId::from_u64(of.theirs),
            },
            Kind::Protocol(of) => Self::Protocol { min: of.min, max: of.max },
            Kind::Removed(node) => Self::Removed { node: NodeId::from_u64(node) },
            Kind::NameTaken(of) => Self::NameTaken { name: of.name, holder: NodeId::from_u64(of.holder) },
            Kind::WrongName(of) => Self::WrongName { certified: of.certified, claimed: of.claimed },
            Kind::Stale(node) => Self::Stale { node: NodeId::from_u64(node) },
            Kind::NotReady(_) => Self::NotReady,
            Kind::Violation(what) => Self::Violation(what),
        })
    }
}
