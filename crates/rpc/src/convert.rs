//! Between the messages of the wire and plain types: total towards the wire, checked from it.
//!
//! What comes from the network never panics and is bounded: the lists of a message by its bytes, which the listener
//! limits, what stands for a slot by 256, names by the rule for names. A message that breaks a rule is refused
//! whole.

use trellis_crdt::ReplicaId;

use crate::pb::v1 as pb;

mod calls;
mod gossip;
mod hello;
mod push;
mod refusal;
mod roster;
mod status;
mod sync;

/// A message that no correct program sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid message: {field} {problem}")]
pub struct InvalidMessage {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// An answer to a client, whose header is apart from what was asked for.
pub(crate) trait HasHeader {
    fn header_mut(&mut self) -> &mut Option<pb::ResponseHeader>;
}

macro_rules! has_header {
    ($($answer:ident),* $(,)?) => {
        $(impl HasHeader for pb::$answer {
            fn header_mut(&mut self) -> &mut Option<pb::ResponseHeader> {
                &mut self.header
            }
        })*
    };
}

has_header!(
    IncrementResponse,
    GetCounterResponse,
    SetRegisterResponse,
    GetRegisterResponse,
    GetKeyResponse,
    DeleteKeyResponse,
    ListKeysResponse,
    GetClusterStatusResponse,
    TakeSnapshotResponse,
    LeaveResponse,
);

fn invalid<T>(field: &'static str, problem: &'static str) -> Result<T, InvalidMessage> {
    Err(InvalidMessage { field, problem })
}

/// Unwraps a field without which the message means nothing.
fn required<T>(value: Option<T>, field: &'static str) -> Result<T, InvalidMessage> {
    value.ok_or(InvalidMessage { field, problem: "is missing" })
}

fn slot(value: u32, field: &'static str) -> Result<u8, InvalidMessage> {
    u8::try_from(value).or_else(|_| invalid(field, "is not below 256"))
}

fn name(value: String, field: &'static str) -> Result<String, InvalidMessage> {
    if crate::role::is_valid_name(&value) { Ok(value) } else { invalid(field, "is not a name") }
}

fn at_least_one(value: u64, field: &'static str) -> Result<u64, InvalidMessage> {
    if value == 0 { invalid(field, "is 0") } else { Ok(value) }
}

/// Reads ids that must be ascending, so that each is there once and equal sets have equal bytes.
fn ascending(ids: &[u64], field: &'static str) -> Result<Vec<ReplicaId>, InvalidMessage> {
    if !ids.is_sorted_by(|left, right| left < right) {
        return invalid(field, "is not ascending");
    }
    Ok(ids.iter().copied().map(ReplicaId::from_u64).collect())
}

const SLOTS: usize = 256;

#[cfg(test)]
mod tests;
