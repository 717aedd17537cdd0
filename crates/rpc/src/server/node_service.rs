//! NodeService between the wire and a [`PeerHandler`].

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use trellis_replication::{Gossip, Ping, PushReply, SyncReply};

use super::gate::panic_text;
use crate::config::STREAM_QUEUE_MESSAGES;
use crate::convert::InvalidMessage;
use crate::error::{Failure, Reason};
use crate::handler::PeerHandler;
use crate::link::Inbound;
use crate::pb::peer as pb;
use crate::role::PeerCertificate;

pub(super) struct NodeService<H> {
    handler: Arc<H>,
    draining: CancellationToken,
}

impl<H: PeerHandler> NodeService<H> {
    pub(super) fn new(handler: Arc<H>, draining: CancellationToken) -> Self {
        Self { handler, draining }
    }

    /// Opens a stream: `serve` runs as a task of its own, so that what comes in is taken while what goes out waits.
    fn open<Wire, Inner, Reply, WireReply, Serving>(
        &self,
        request: Request<Streaming<Wire>>,
        serve: impl FnOnce(PeerCertificate, Inbound<Inner>, mpsc::Sender<Reply>) -> Serving,
    ) -> Result<Response<Replies<Reply, WireReply>>, Status>
    where
        Wire: Send + 'static,
        Inner: TryFrom<Wire, Error = InvalidMessage>,
        Serving: Future<Output = ()> + Send + 'static,
    {
        let from = PeerCertificate::clone(&*caller(&request)?);
        let requests = Inbound::new(request.into_inner(), Some(self.draining.clone()));
        let (sender, replies) = mpsc::channel(STREAM_QUEUE_MESSAGES);
        let handler = tokio::spawn(serve(from, requests, sender));
        Ok(Response::new(Replies { replies, handler: Some(handler), wire: PhantomData }))
    }
}

#[tonic::async_trait]
impl<H: PeerHandler> pb::node_service_server::NodeService for NodeService<H> {
    async fn ping(&self, request: Request<pb::PingRequest>) -> Result<Response<pb::PingResponse>, Status> {
        let from = caller(&request)?;
        let ping = Ping::try_from(request.into_inner()).map_err(refuse)?;
        Ok(Response::new(self.handler.ping(&from, ping).await?.into()))
    }

    async fn gossip(
        &self,
        request: Request<pb::GossipRequest>,
    ) -> Result<Response<pb::GossipResponse>, Status> {
        let from = caller(&request)?;
        let missing = InvalidMessage { field: "news", problem: "is missing" };
        let news = request.into_inner().news.ok_or(missing).and_then(Gossip::try_from).map_err(refuse)?;
        let news = self.handler.gossip(&from, news).await?.into();
        Ok(Response::new(pb::GossipResponse { news: Some(news) }))
    }

    type PushDeltaStream = Replies<PushReply, pb::PushDeltaResponse>;

    async fn push_delta(
        &self,
        request: Request<Streaming<pb::PushDeltaRequest>>,
    ) -> Result<Response<Self::PushDeltaStream>, Status> {
        let handler = Arc::clone(&self.handler);
        self.open(
            request,
            |from, requests, replies| async move { handler.push(from, requests, replies).await },
        )
    }

    type SyncStateStream = Replies<SyncReply, pb::SyncStateResponse>;

    async fn sync_state(
        &self,
        request: Request<Streaming<pb::SyncStateRequest>>,
    ) -> Result<Response<Self::SyncStateStream>, Status> {
        let handler = Arc::clone(&self.handler);
        self.open(
            request,
            |from, requests, replies| async move { handler.sync(from, requests, replies).await },
        )
    }
}

/// What a handler sends on a stream, until every sender is dropped and its task has ended.
pub(super) struct Replies<Reply, WireReply> {
    replies: mpsc::Receiver<Reply>,
    handler: Option<JoinHandle<()>>,
    wire: PhantomData<fn() -> WireReply>,
}

impl<Reply, WireReply: From<Reply>> Stream for Replies<Reply, WireReply> {
    type Item = Result<WireReply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.replies.poll_recv(cx) {
            Poll::Ready(Some(reply)) => return Poll::Ready(Some(Ok(reply.into()))),
            Poll::Ready(None) => {}
            Poll::Pending => return Poll::Pending,
        }
        let Some(handler) = &mut self.handler else {
            return Poll::Ready(None);
        };
        let Poll::Ready(ended) = Pin::new(handler).poll(cx) else {
            return Poll::Pending;
        };
        self.handler = None;
        match ended.map_err(tokio::task::JoinError::try_into_panic) {
            Err(Ok(panic)) => {
                let detail = format!("the handler of a stream panicked: {}", panic_text(&*panic));
                Poll::Ready(Some(Err(Failure::internal(&detail).into())))
            }
            Ok(()) | Err(Err(_)) => Poll::Ready(None),
        }
    }
}

/// Returns who calls, as the gate found it.
fn caller<T>(request: &Request<T>) -> Result<Arc<PeerCertificate>, Failure> {
    let caller = request.extensions().get::<Arc<PeerCertificate>>();
    caller.cloned().ok_or_else(|| Failure::internal("a call passed the gate without its caller"))
}

fn refuse(error: InvalidMessage) -> Failure {
    Failure::new(Reason::InvalidArgument, error.to_string()).at(error.field)
}
