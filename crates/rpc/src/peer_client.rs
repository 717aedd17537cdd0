//! The client for nodes among themselves: one connection, no retries.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use trellis_replication::{Gossip, Ping, Pong, PushReply, PushRequest, SyncReply, SyncRequest};

use crate::client::{Connection, DialError};
use crate::config::{DialConfig, STREAM_QUEUE_MESSAGES};
use crate::convert::InvalidMessage;
use crate::link::{Inbound, LinkError};
use crate::pb::peer as pb;
use crate::pb::peer::node_service_client::NodeServiceClient;
use crate::tls::TlsReloader;

/// A connection to another node. Clones share it; it closes when the last clone and the last stream are dropped.
#[derive(Clone, Debug)]
pub struct PeerClient {
    connection: Connection,
    node: NodeServiceClient<Connection>,
    connect_timeout: Duration,
}

impl PeerClient {
    /// Connects to the peer listener at `address` (host and port). The node there must be `expected`, if that is
    /// known.
    ///
    /// # Errors
    ///
    /// Why there is no connection; nobody listening and nobody answering are told apart.
    pub async fn dial(
        address: &str,
        expected: Option<&str>,
        tls: &TlsReloader,
        config: &DialConfig,
    ) -> Result<Self, DialError> {
        let connection = Connection::dial(address, expected, tls, config).await?;
        let origin = connection.origin();
        let node = NodeServiceClient::with_origin(connection.clone(), origin)
            .max_decoding_message_size(config.message_bytes_max);
        Ok(Self { connection, node, connect_timeout: config.connect_timeout })
    }

    /// Returns the certified name of the node at the other end.
    pub fn name(&self) -> &str {
        &self.connection.peer().name
    }

    /// Tells whether the connection is gone, so that every call will fail.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Asks who is there.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] after `limit`; otherwise why there is no answer.
    pub async fn ping(&self, ping: Ping, limit: Duration) -> Result<Pong, LinkError> {
        let mut node = self.node.clone();
        let answer = within(limit, node.ping(limited(ping.into(), limit))).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// Exchanges news.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] after `limit`; otherwise why there is no answer.
    pub async fn gossip(&self, news: Gossip, limit: Duration) -> Result<Gossip, LinkError> {
        let mut node = self.node.clone();
        let request = pb::GossipRequest { news: Some(news.into()) };
        let answer = within(limit, node.gossip(limited(request, limit))).await?.into_inner();
        let news = answer.news.ok_or(InvalidMessage { field: "news", problem: "is missing" })?;
        Ok(news.try_into()?)
    }

    /// Opens a stream of deltas. The sender holds 16 messages and waits beyond; dropping it says that no more come.
    ///
    /// # Errors
    ///
    /// Why the stream was not opened, within the connect timeout.
    pub async fn push(&self) -> Result<(mpsc::Sender<PushRequest>, Inbound<PushReply>), LinkError> {
        let (sender, requests) = mpsc::channel(STREAM_QUEUE_MESSAGES);
        let requests = ReceiverStream::new(requests).map(pb::PushDeltaRequest::from);
        let mut node = self.node.clone();
        let replies = within(self.connect_timeout, node.push_delta(requests)).await?;
        Ok((sender, Inbound::new(replies.into_inner(), None)))
    }

    /// Opens a stream that pulls state. The sender holds 16 messages and waits beyond; dropping it says that no more
    /// come.
    ///
    /// # Errors
    ///
    /// Why the stream was not opened, within the connect timeout.
    pub async fn sync(&self) -> Result<(mpsc::Sender<SyncRequest>, Inbound<SyncReply>), LinkError> {
        let (sender, requests) = mpsc::channel(STREAM_QUEUE_MESSAGES);
        let requests = ReceiverStream::new(requests).map(pb::SyncStateRequest::from);
        let mut node = self.node.clone();
        let replies = within(self.connect_timeout, node.sync_state(requests)).await?;
        Ok((sender, Inbound::new(replies.into_inner(), None)))
    }
}

fn limited<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, LinkError> {
    match timeout(limit, call).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(LinkError::TimedOut),
    }
}
