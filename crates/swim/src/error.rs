//! What can be wrong with what the host or a peer hands in.

use std::time::Duration;

/// The host asked wrong: a setting or the local member's description is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A duration is outside its range.
    #[error("{setting} is {value:?}, must be from {min:?} to {max:?}")]
    Duration {
        /// The field of the configuration.
        setting: &'static str,
        /// What it was set to.
        value: Duration,
        /// The least it may be.
        min: Duration,
        /// The most it may be.
        max: Duration,
    },
    /// A count or size is outside its range.
    #[error("{setting} is {value}, must be from {min} to {max}")]
    Number {
        /// The field of the configuration, or of the local member.
        setting: &'static str,
        /// What it was set to.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
}

/// A message or a reply was refused; nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It speaks for another cluster: check the address, do not try again.
    #[error("the message is of another cluster")]
    OtherCluster,
    /// It is of a protocol version that this crate does not speak: upgrade one side.
    #[error("protocol version {0} is not spoken here")]
    UnknownVersion(u8),
    /// It is of a kind that this version does not know.
    #[error("message kind {0} is not known here")]
    UnknownKind(u8),
    /// The peer misbehaves: the bytes are no message.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// The peer misbehaves: the message is longer than allowed.
    #[error("message of {length} bytes, at most {limit} are taken")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// What was said is not of the member that it is taken to be of. A request: the peer misbehaves, it says that it is
    /// another than its link proves. A reply: so does it, or the address is another member's by this time.
    #[error("the message is of another member than the one that its link proves")]
    NotOfTheSender,
    /// The address belongs to another member by this time.
    #[error("the message is meant for another member")]
    NotForThisMember,
    /// A ping is asked for on behalf of another, but its target is not known to be up here: ask another helper.
    #[error("the target of the ping is not a member here")]
    UnknownTarget,
    /// Too many pings are under way on behalf of others: ask another helper.
    #[error("{limit} pings are under way on behalf of others")]
    Busy {
        /// How many may be under way at a time.
        limit: usize,
    },
    /// No transmission of this id waits for a reply: it expired, or was answered.
    #[error("nothing waits for this reply")]
    UnknownTransmit,
    /// The reply is not one to what was sent.
    #[error("the reply does not fit what was sent")]
    UnexpectedReply,
}

/// A broadcast was not taken; nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The host asked wrong: a part of it is too long.
    #[error("{part} of {length} bytes, at most {limit} are taken")]
    TooLong {
        /// `key` or `payload`.
        part: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// So much is held that is at least as urgent and was never sent: try again later, or let it be.
    #[error("no room among {count_max} broadcasts or {bytes_max} bytes that are held")]
    Full {
        /// How many are held at most.
        count_max: usize,
        /// How many bytes of keys and payloads are held at most.
        bytes_max: usize,
    },
    /// This member has left: join again first.
    #[error("this member has left")]
    HasLeft,
}
