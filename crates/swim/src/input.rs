//! How the host names what happened to the core.

/// Names one transmission until its reply, failure or expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmitId(pub(crate) u64);

/// Names one request that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// What becomes of a request that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The reply is in the buffer that was handed in: it goes back at once on the link that the request came by.
    Replied,
    /// The reply follows as [`Output::Reply`](crate::Output::Reply): the host keeps the request open until then, or
    /// until its caller's deadline.
    Deferred(RequestId),
}

/// Why a transmission got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// Nobody listens at the address, or the peer refused the request.
    Refused,
    /// The deadline passed.
    TimedOut,
    /// The link broke before the reply.
    Closed,
}

/// What became of a link to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is open, and the peer has proved its id.
    Up,
    /// It broke, or could not be opened.
    Down,
}
