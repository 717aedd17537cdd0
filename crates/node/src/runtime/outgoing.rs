//! What this node dials: streams and calls to other nodes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use trellis_replication::{LinkEvent, LinkKind, Message};
use trellis_rpc::{DialConfig, DialError, Inbound, LinkError, PeerClient, TlsReloader};

use super::streams::{GOODBYE_PATIENCE, Lane, LinkHost, forward};
use crate::core::{Answer, Answered, CallFailure, Request};

/// The connections to other nodes, one for each name and address, made when first used and again when they broke.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    tls: Arc<TlsReloader>,
    connections: Arc<Mutex<HashMap<Callee, Connection>>>,
}

/// One to a callee, open or being opened. Whoever wants it meanwhile waits for the same attempt.
#[derive(Clone, Debug)]
enum Connection {
    Open(Box<PeerClient>),
    Dialling(watch::Receiver<Option<Result<PeerClient, DialError>>>),
}

impl Connection {
    fn is_over(&self) -> bool {
        match self {
            Self::Open(client) => client.is_closed(),
            // Its task was ended: nobody will say how it went.
            Self::Dialling(outcome) => outcome.has_changed().is_err(),
        }
    }
}

/// The name that the other side must show, where it is known, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Callee {
    peer: Option<String>,
    address: String,
}

impl Outgoing {
    pub(crate) fn new(tls: Arc<TlsReloader>) -> Self {
        Self { tls, connections: Arc::default() }
    }

    /// Makes a call and waits for its answer until `deadline`. Who answered is what its certificate says.
    pub(crate) async fn call(
        &self,
        peer: Option<&str>,
        address: &str,
        request: Request,
        deadline: Instant,
    ) -> Result<Answered, CallFailure> {
        let answered = async {
            let client = self.connect(peer, address).await.map_err(|error| dial_failure(&error))?;
            let limit = deadline.saturating_duration_since(Instant::now());
            let answer = match request {
                Request::Ping(ping) => {
                    client.ping(ping, limit).await.map(|pong| Answer::Pong(Box::new(pong)))
                }
                Request::Gossip(news) => {
                    client.gossip(news, limit).await.map(|news| Answer::Gossip(Box::new(news)))
                }
            };
            let from = client.name().to_owned();
            answer.map(|answer| Answered { from, answer }).map_err(|error| {
                if error == LinkError::TimedOut { CallFailure::TimedOut } else { CallFailure::Closed }
            })
        };
        tokio::time::timeout_at(deadline.into(), answered).await.unwrap_or(Err(CallFailure::TimedOut))
    }

    /// Opens a stream and serves it until the peer ends it or the core closes it, which may be before it is open.
    pub(crate) async fn serve(
        &self,
        host: &impl LinkHost,
        lane: Lane,
        kind: LinkKind,
        peer: &str,
        address: &str,
    ) {
        if let Err(error) = self.open(host, lane, kind, peer, address).await {
            tracing::debug!(peer, address, error = &*error, "cannot open a stream");
        }
    }

    async fn open(
        &self,
        host: &impl LinkHost,
        mut lane: Lane,
        kind: LinkKind,
        peer: &str,
        address: &str,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let client = tokio::select! {
            connected = self.connect(Some(peer), address) => connected?,
            _ = &mut lane.closed => return Ok(()),
        };
        match kind {
            LinkKind::PushOut | LinkKind::PushIn => {
                let (wire, replies) = client.push().await?;
                let unwrap = |message| match message {
                    Message::PushRequest(request) => Some(request),
                    _ => None,
                };
                carry(host, lane, wire, unwrap, replies, LinkEvent::PushReply).await;
            }
            LinkKind::SyncOut | LinkKind::SyncIn => {
                let (wire, replies) = client.sync().await?;
                let unwrap = |message| match message {
                    Message::SyncRequest(request) => Some(request),
                    _ => None,
                };
                carry(host, lane, wire, unwrap, replies, LinkEvent::SyncReply).await;
            }
        }
        Ok(())
    }

    /// Returns the open connection to a node, or makes one. Who no longer waits for it leaves it to the next: on a slow
    /// network, calls that give up sooner than a connection is made would else never find one.
    pub(crate) async fn connect(&self, peer: Option<&str>, address: &str) -> Result<PeerClient, DialError> {
        let mut dialling =
            match self.connection(Callee { peer: peer.map(str::to_owned), address: address.to_owned() }) {
                Connection::Open(client) => return Ok(*client),
                Connection::Dialling(outcome) => outcome,
            };
        let outcome = dialling.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(DialError::Failed { detail: "the attempt was ended".to_owned() }))
    }

    fn connection(&self, callee: Callee) -> Connection {
        let mut connections = self.connections.lock();
        if let Some(connection) = connections.get(&callee).filter(|connection| !connection.is_over()) {
            return connection.clone();
        }
        connections.retain(|_, connection| !connection.is_over());
        let (told, outcome) = watch::channel(None);
        connections.insert(callee.clone(), Connection::Dialling(outcome.clone()));
        let outgoing = self.clone();
        tokio::spawn(async move {
            let Callee { peer, address } = &callee;
            let dialled =
                PeerClient::dial(address, peer.as_deref(), &outgoing.tls, &DialConfig::default()).await;
            {
                let mut connections = outgoing.connections.lock();
                match &dialled {
                    Ok(client) => connections.insert(callee, Connection::Open(Box::new(client.clone()))),
                    Err(_) => connections.remove(&callee),
                };
            }
            told.send_replace(Some(dialled));
        });
        Connection::Dialling(outcome)
    }
}

/// Carries messages both ways until one side is done, and then waits for the other to hear of it.
async fn carry<Req: Send + 'static, Rep>(
    host: &impl LinkHost,
    lane: Lane,
    wire: mpsc::Sender<Req>,
    unwrap: impl Fn(Message) -> Option<Req> + Send + 'static,
    mut replies: Inbound<Rep>,
    as_event: impl Fn(Rep) -> LinkEvent,
) {
    let Lane { link, outbound, mut closed } = lane;
    let sending = tokio::spawn(forward(outbound, wire, unwrap));
    host.handle_link(link, LinkEvent::Opened);
    loop {
        tokio::select! {
            reply = replies.next() => match reply {
                Some(Ok(reply)) => host.handle_link(link, as_event(reply)),
                _ => return,
            },
            _ = &mut closed => break,
        }
    }
    // The last messages go out before the stream is dropped: the peer ends its side when ours has ended.
    let ended = async {
        let _ = sending.await;
        while let Some(Ok(_)) = replies.next().await {}
    };
    let _ = tokio::time::timeout(GOODBYE_PATIENCE, ended).await;
}

fn dial_failure(error: &DialError) -> CallFailure {
    match error {
        DialError::Refused => CallFailure::Refused,
        DialError::TimedOut => CallFailure::TimedOut,
        _ => CallFailure::Closed,
    }
}
