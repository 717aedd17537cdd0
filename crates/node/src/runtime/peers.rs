//! The calls of other nodes, handed to the core.

use std::time::Duration;

use tokio::sync::mpsc;
use trellis_replication::{
    Gossip, LinkEvent, LinkKind, Message, Ping, Pong, PushReply, PushRequest, SyncReply, SyncRequest,
};
use trellis_rpc::{Failure, Inbound, PeerCertificate, PeerHandler, Reason};

use super::clock;
use super::driver::Driver;
use super::streams::{GOODBYE_PATIENCE, Lane, LinkHost, forward};

/// Answers other nodes from the core of this one.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub(crate) driver: Driver,
}

impl PeerHandler for Peers {
    async fn ping(&self, from: &PeerCertificate, ping: Ping) -> Result<Pong, Failure> {
        let waiting = self.driver.answer_ping(&from.name, &ping);
        let no_answer = || Failure::new(Reason::DeadlineExceeded, "the member asked after did not answer");
        match tokio::time::timeout(RELAY_PATIENCE, waiting).await {
            Ok(Ok(pong)) => Ok(*pong),
            _ => Err(no_answer()),
        }
    }

    async fn gossip(&self, from: &PeerCertificate, news: Gossip) -> Result<Gossip, Failure> {
        let answer = self.driver.core().answer_gossip(&from.name, &news, clock::now());
        self.driver.pump();
        answer.map_err(|refusal| Failure::new(Reason::Removed, refusal.to_string()))
    }

    async fn push(
        &self,
        from: PeerCertificate,
        requests: Inbound<PushRequest>,
        replies: mpsc::Sender<PushReply>,
    ) {
        let unwrap = |message| match message {
            Message::PushReply(reply) => Some(reply),
            _ => None,
        };
        self.serve(&from.name, LinkKind::PushIn, requests, LinkEvent::PushRequest, replies, unwrap).await;
    }

    async fn sync(
        &self,
        from: PeerCertificate,
        requests: Inbound<SyncRequest>,
        replies: mpsc::Sender<SyncReply>,
    ) {
        let unwrap = |message| match message {
            Message::SyncReply(reply) => Some(reply),
            _ => None,
        };
        self.serve(&from.name, LinkKind::SyncIn, requests, LinkEvent::SyncRequest, replies, unwrap).await;
    }
}

impl Peers {
    /// Serves a stream until the peer ends it or the core closes it.
    async fn serve<Req, Rep>(
        &self,
        peer: &str,
        kind: LinkKind,
        mut requests: Inbound<Req>,
        as_event: impl Fn(Req) -> LinkEvent,
        replies: mpsc::Sender<Rep>,
        unwrap: impl Fn(Message) -> Option<Rep> + Send + 'static,
    ) where
        Rep: Send + 'static,
    {
        let Lane { link, outbound, closed } = self.driver.accept(peer, kind);
        let mut sending = tokio::spawn(forward(outbound, replies, unwrap));
        tokio::pin!(closed);
        loop {
            tokio::select! {
                request = requests.next() => match request {
                    Some(Ok(request)) => self.driver.handle_link(link, as_event(request)),
                    _ => break,
                },
                _ = &mut closed => break,
            }
        }
        self.driver.detach(link);
        // What was sent before the close still goes out, unless the peer does not take it.
        if tokio::time::timeout(GOODBYE_PATIENCE, &mut sending).await.is_err() {
            sending.abort();
        }
    }
}

/// How long the answer of a member that is probed for another is waited for.
const RELAY_PATIENCE: Duration = Duration::from_secs(2);
