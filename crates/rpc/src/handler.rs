//! What a node implements to answer clients and other nodes.

use std::future::Future;

use tokio::sync::mpsc;
use trellis_replication::{Gossip, Ping, Pong, PushReply, PushRequest, SyncReply, SyncRequest};

use crate::calls::{
    ClusterStatus, Counter, DeleteKey, Deleted, GetCounter, GetKey, GetRegister, Increment, Incremented,
    KeyContent, KeyPage, ListKeys, Register, SetRegister, SnapshotTaken,
};
use crate::error::Failure;
use crate::link::Inbound;
use crate::role::PeerCertificate;

/// Answers the calls of clients and administrators. The caller's role has been checked, and nothing else of a request: keys may be
/// empty, values too long, kinds not fit.
///
/// A future that is dropped before its end was given up by its caller, or its deadline has passed.
pub trait ClientHandler: Send + Sync + 'static {
    /// Returns the name of the node, for the header of every answer.
    fn node_name(&self) -> &str;

    /// Adds to a counter.
    fn increment(&self, request: Increment) -> impl Future<Output = Result<Incremented, Failure>> + Send;

    /// Reads a counter.
    fn get_counter(&self, request: GetCounter) -> impl Future<Output = Result<Counter, Failure>> + Send;

    /// Writes a register.
    fn set_register(&self, request: SetRegister) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads a register.
    fn get_register(&self, request: GetRegister) -> impl Future<Output = Result<Register, Failure>> + Send;

    /// Reads a key of whatever kind.
    fn get_key(&self, request: GetKey) -> impl Future<Output = Result<KeyContent, Failure>> + Send;

    /// Deletes a key.
    fn delete_key(&self, request: DeleteKey) -> impl Future<Output = Result<Deleted, Failure>> + Send;

    /// Lists some keys.
    fn list_keys(&self, request: ListKeys) -> impl Future<Output = Result<KeyPage, Failure>> + Send;

    /// Tells how the cluster looks from here.
    fn cluster_status(&self) -> impl Future<Output = Result<ClusterStatus, Failure>> + Send;

    /// Takes a snapshot and answers when it is published.
    fn take_snapshot(&self) -> impl Future<Output = Result<SnapshotTaken, Failure>> + Send;

    /// Begins to leave: the node drains, says goodbye and stops.
    fn leave(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Answers other nodes. `from` is a node of the same cluster, by its certificate.
///
/// A stream lasts until the handler's future has ended and every sender of replies is dropped. It is never cut
/// from this side before that, except at the end of a shutdown: whoever must stop it ends its future.
pub trait PeerHandler: Send + Sync + 'static {
    /// Says who this process is.
    fn ping(&self, from: &PeerCertificate, ping: Ping) -> impl Future<Output = Result<Pong, Failure>> + Send;

    /// Takes news and answers with news.
    fn gossip(
        &self,
        from: &PeerCertificate,
        news: Gossip,
    ) -> impl Future<Output = Result<Gossip, Failure>> + Send;

    /// Serves a stream of deltas to its end.
    fn push(
        &self,
        from: PeerCertificate,
        requests: Inbound<PushRequest>,
        replies: mpsc::Sender<PushReply>,
    ) -> impl Future<Output = ()> + Send;

    /// Serves a stream of state to its end.
    fn sync(
        &self,
        from: PeerCertificate,
        requests: Inbound<SyncRequest>,
        replies: mpsc::Sender<SyncReply>,
    ) -> impl Future<Output = ()> + Send;
}
