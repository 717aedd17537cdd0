//! Calls and streams between nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tonic_types::StatusExt;
use trellis_crdt::{Hlc, ReplicaId};
use trellis_replication::{
    Gossip, Hello, Identity, NodeClock, NodeId, Ping, Pong, PushReply, PushRequest, PushedDelta, Roster,
    SlotPart, SyncChunk, SyncOpen, SyncReply, SyncRequest,
};
use trellis_rpc::{
    Failure, Inbound, LinkError, PeerCertificate, PeerClient, PeerHandler, Reason, ServerConfig,
};

use crate::support::{Garden, Raw, Running, call_raw, patient};

#[tokio::test]
async fn pings_and_gossip_are_answered_by_whom_they_reach() {
    let garden = Garden::new("garden");
    let running =
        Running::peers(garden.node("n1"), Arc::new(ToyPeer::default()), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    assert_eq!(peer.name(), "n1");
    let ping = Ping { swim: Bytes::from_static(b"ping"), wall_millis: 5, joining: None };
    let pong = peer.ping(ping, LONG).await.unwrap();
    assert_eq!(pong, pong_of("n1", b"ping n2"));
    let answer = peer.gossip(news(b"hello"), LONG).await.unwrap();
    assert_eq!(answer, news(b"hello n2"));
}

#[tokio::test]
async fn deltas_go_out_and_acknowledgements_come_back_on_one_stream() {
    let garden = Garden::new("garden");
    let running =
        Running::peers(garden.node("n1"), Arc::new(ToyPeer::default()), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    let (sender, mut replies) = peer.push().await.unwrap();
    sender.send(PushRequest::Hello(Box::new(hello("n2")))).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok(PushReply::Hello(Box::new(hello("n1"))))));
    for seq in 1..=100 {
        let delta = PushedDelta { slot: 7, seq, payload: vec![0; 1000].into() };
        sender.send(PushRequest::Deltas(vec![delta])).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(PushReply::Acked(vec![(7, seq)]))));
    }
    drop(sender);
    assert_eq!(replies.next().await, None);
    assert_eq!(replies.next().await, None);
}

#[tokio::test]
async fn a_transfer_larger_than_every_window_comes_through_whole() {
    let garden = Garden::new("garden");
    let running =
        Running::peers(garden.node("n1"), Arc::new(ToyPeer::default()), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    let (sender, mut replies) = peer.sync().await.unwrap();
    sender.send(SyncRequest::Open(open())).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok(SyncReply::Differs(Box::new(hello("n1"))))));
    for number in 0..CHUNKS {
        sender.send(SyncRequest::More).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(SyncReply::Chunk(chunk(number)))));
    }
    sender.send(SyncRequest::More).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok(SyncReply::Done)));
    assert_eq!(replies.next().await, None);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_stream_it_is_on_and_no_other() {
    let garden = Garden::new("garden");
    let handler = Arc::new(ToyPeer::default());
    let config = ServerConfig { message_bytes_max: 1 << 20, ..ServerConfig::peers() };
    let running = Running::peers(garden.node("n1"), Arc::clone(&handler), config).await;
    let peer = dial(&garden, &running).await;
    let (sender, mut replies) = peer.push().await.unwrap();
    let delta = PushedDelta { slot: 7, seq: 1, payload: vec![0; 2 << 20].into() };
    sender.send(PushRequest::Deltas(vec![delta])).await.unwrap();
    assert_eq!(replies.next().await, None);
    assert_eq!(*handler.ended.lock().unwrap(), [LinkError::MessageTooLarge]);
    assert_eq!(peer.gossip(news(b"hello"), LONG).await, Ok(news(b"hello n2")));
}

#[tokio::test]
async fn a_stream_whose_handler_panics_ends_with_an_incident_and_others_go_on() {
    let garden = Garden::new("garden");
    let running =
        Running::peers(garden.node("n1"), Arc::new(ToyPeer::default()), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    let (sender, mut replies) = peer.push().await.unwrap();
    sender.send(PushRequest::Gone { slot: 0 }).await.unwrap();
    let Some(Err(LinkError::Refused(failure))) = replies.next().await else {
        panic!("the stream did not fail");
    };
    assert_eq!(failure.reason, Reason::Internal);
    assert_eq!(peer.gossip(news(b"hello"), LONG).await, Ok(news(b"hello n2")));
}

#[tokio::test]
async fn a_handler_hears_when_the_other_side_is_gone() {
    let garden = Garden::new("garden");
    let handler = Arc::new(ToyPeer::default());
    let running = Running::peers(garden.node("n1"), Arc::clone(&handler), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    let (sender, mut replies) = peer.push().await.unwrap();
    sender.send(PushRequest::Hello(Box::new(hello("n2")))).await.unwrap();
    replies.next().await.unwrap().unwrap();
    drop((sender, replies));
    handler.stream_ended.notified().await;
    peer.ping(Ping::default(), LONG).await.unwrap();

    let (sender, mut replies) = peer.push().await.unwrap();
    sender.send(PushRequest::Hello(Box::new(hello("n2")))).await.unwrap();
    replies.next().await.unwrap().unwrap();
    drop((sender, replies, peer));
    handler.stream_ended.notified().await;
}

#[tokio::test]
async fn a_shutdown_ends_every_stream_after_what_its_handler_still_sends() {
    let garden = Garden::new("garden");
    let handler = Arc::new(ToyPeer::default());
    let running = Running::peers(garden.node("n1"), Arc::clone(&handler), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    let (sender, mut replies) = peer.push().await.unwrap();
    sender.send(PushRequest::Hello(Box::new(hello("n2")))).await.unwrap();
    replies.next().await.unwrap().unwrap();
    let stopping = tokio::spawn(running.stop());
    assert_eq!(replies.next().await, Some(Ok(PushReply::Acked(vec![(0, 99)]))));
    assert_eq!(replies.next().await, None);
    assert_eq!(stopping.await.unwrap().connections_cut, 0);
    assert_eq!(*handler.ended.lock().unwrap(), [LinkError::Draining]);
    let gone = peer.ping(Ping::default(), LONG).await.unwrap_err();
    assert!(matches!(gone, LinkError::Closed { .. }), "{gone:?}");
}

#[tokio::test]
async fn a_call_without_an_answer_times_out() {
    let garden = Garden::new("garden");
    let running =
        Running::peers(garden.node("n1"), Arc::new(ToyPeer::default()), ServerConfig::peers()).await;
    let peer = dial(&garden, &running).await;
    let late = peer.gossip(news(b"stuck"), Duration::from_millis(20)).await.unwrap_err();
    let is_late = match &late {
        LinkError::TimedOut => true,
        LinkError::Refused(failure) => failure.reason == Reason::DeadlineExceeded,
        _ => false,
    };
    assert!(is_late, "{late:?}");
    assert_eq!(peer.gossip(news(b"hello"), LONG).await, Ok(news(b"hello n2")));
}

#[tokio::test]
async fn a_message_that_breaks_the_rules_is_refused_before_the_handler() {
    let garden = Garden::new("garden");
    let handler = Arc::new(ToyPeer::default());
    let running = Running::peers(garden.node("n1"), Arc::clone(&handler), ServerConfig::peers()).await;
    let issued = garden.authority.issue_node("n2", &[]).unwrap();
    let identity = Some((issued.certificate_pem(), issued.key_pem()));
    let raw = Raw::connect(&running.address, garden.authority.certificate_pem(), identity).await.unwrap();
    let joining = Some(BadJoining { name: "no/name".into() });
    let status = call_raw(raw, "/trellis.peer.v1.NodeService/Ping", BadPing { joining }).await;
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "ping.joining.name");
    assert_eq!(handler.calls(), 0);
}

async fn dial(garden: &Garden, running: &Running) -> PeerClient {
    let tls = garden.node("n2");
    PeerClient::dial(&running.address, Some("n1"), &tls, &patient().dial).await.unwrap()
}

/// Answers with what it was sent and by whom, and hands out `CHUNKS` chunks.
#[derive(Default)]
pub(crate) struct ToyPeer {
    calls: AtomicUsize,
    /// Errors with which streams ended.
    ended: std::sync::Mutex<Vec<LinkError>>,
    stream_ended: Notify,
}

impl ToyPeer {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl PeerHandler for ToyPeer {
    async fn ping(&self, from: &PeerCertificate, ping: Ping) -> Result<Pong, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(pong_of("n1", &signed(&ping.swim, from)))
    }

    async fn gossip(&self, from: &PeerCertificate, news: Gossip) -> Result<Gossip, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if news.swim == "stuck" {
            std::future::pending::<()>().await;
        }
        Ok(Gossip { swim: signed(&news.swim, from).into(), ..news })
    }

    async fn push(
        &self,
        _: PeerCertificate,
        mut requests: Inbound<PushRequest>,
        replies: mpsc::Sender<PushReply>,
    ) {
        while let Some(request) = requests.next().await {
            let reply = match request {
                Ok(PushRequest::Hello(_)) => PushReply::Hello(Box::new(hello("n1"))),
                Ok(PushRequest::Deltas(deltas)) => {
                    PushReply::Acked(deltas.iter().map(|delta| (delta.slot, delta.seq)).collect())
                }
                Ok(PushRequest::Roster(_)) => continue,
                Ok(PushRequest::Gone { .. }) => panic!("a defect of the toy"),
                Err(error) => {
                    let is_draining = error == LinkError::Draining;
                    self.ended.lock().unwrap().push(error);
                    if !is_draining {
                        break;
                    }
                    PushReply::Acked(vec![(0, 99)])
                }
            };
            if replies.send(reply).await.is_err() {
                break;
            }
        }
        self.stream_ended.notify_one();
    }

    async fn sync(
        &self,
        _: PeerCertificate,
        mut requests: Inbound<SyncRequest>,
        replies: mpsc::Sender<SyncReply>,
    ) {
        let mut number = 0;
        while let Some(Ok(request)) = requests.next().await {
            let reply = match request {
                SyncRequest::Open(_) | SyncRequest::Clock { .. } => SyncReply::Differs(Box::new(hello("n1"))),
                SyncRequest::More if number == CHUNKS => SyncReply::Done,
                SyncRequest::More => {
                    number += 1;
                    SyncReply::Chunk(chunk(number - 1))
                }
            };
            let is_last = reply == SyncReply::Done;
            if replies.send(reply).await.is_err() || is_last {
                break;
            }
        }
    }
}

fn signed(text: &[u8], from: &PeerCertificate) -> Vec<u8> {
    [text, b" ", from.name.as_bytes()].concat()
}

fn identity(name: &str) -> Identity {
    Identity {
        name: name.to_owned(),
        node: NodeId::from_u64(1),
        replica: ReplicaId::from_u64(11),
        epoch: 3,
        boot_nonce: 4,
    }
}

fn hello(name: &str) -> Hello {
    Hello {
        cluster: "garden".to_owned(),
        protocol_min: 1,
        protocol_max: 1,
        identity: identity(name),
        is_guest: false,
        supersedes: None,
        durable_lsn: 10,
        roster: Roster::default(),
        clock: NodeClock::new(),
        hlc: Hlc::from_u64(77),
    }
}

fn pong_of(name: &str, swim: &[u8]) -> Pong {
    Pong {
        identity: identity(name),
        founding: None,
        is_guest: true,
        swim: swim.to_vec().into(),
        wall_millis: 6,
        holder: None,
    }
}

fn news(swim: &[u8]) -> Gossip {
    Gossip {
        node: NodeId::from_u64(2),
        replica: ReplicaId::from_u64(22),
        swim: swim.to_vec().into(),
        roster_hash: 1,
        roster: None,
        clock_hash: 2,
        digests: Vec::new(),
    }
}

fn open() -> SyncOpen {
    SyncOpen {
        node: NodeId::from_u64(2),
        replica: ReplicaId::from_u64(22),
        roster_hash: 1,
        clock_hash: 2,
        hello: None,
    }
}

fn chunk(number: u8) -> SyncChunk {
    let entries = vec![vec![number; 1 << 20].into(), vec![number; 100].into()];
    SyncChunk { roster: Roster::default(), slots: vec![SlotPart { slot: number, entries, end: None }] }
}

const CHUNKS: u8 = 8;
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, PartialEq, prost::Message)]
struct BadPing {
    #[prost(message, optional, tag = "3")]
    joining: Option<BadJoining>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BadJoining {
    #[prost(string, tag = "1")]
    name: String,
}
