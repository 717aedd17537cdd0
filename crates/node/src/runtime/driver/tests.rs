//! Effects performed against what the core says next, and against themselves.

use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use trellis_rpc::{CertificateAuthority, ServerConfig, TlsFiles, TlsReloader, serve_peers};
use trellis_storage::Operation;
use trellis_wal::{MemoryDisk, Syncer};

use super::*;
use crate::core::solo::Solo;
use crate::core::{Answer, CallFailure, Request};
use crate::runtime::peers::Peers;

struct Bench {
    driver: Driver,
    tls: Arc<TlsReloader>,
    _syncer: Syncer<MemoryDisk>,
    certificates: TempDir,
}

impl Bench {
    /// What a node of this name shows and trusts.
    fn tls(&self, name: &str) -> Arc<TlsReloader> {
        load(&self.certificates, name)
    }
}

/// A core that founded a cluster of its own, the driver of its effects, and a log that nobody syncs.
fn bench() -> Bench {
    let certificates = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::create(Some("garden")).unwrap();
    authority.save(certificates.path()).unwrap();
    for name in ["n1", "n2", "n3"] {
        authority.issue_node(name, &[]).unwrap().save(certificates.path()).unwrap();
    }
    let tls = load(&certificates, "n1");
    let Solo { core, syncer, .. } = Solo::founder(clock::now().instant);
    let outgoing = Outgoing::new(Arc::clone(&tls));
    let driver = Driver::new(Arc::new(core), outgoing, Concerns::default(), Health::default());
    Bench { driver, tls, _syncer: syncer, certificates }
}

fn load(certificates: &TempDir, name: &str) -> Arc<TlsReloader> {
    let file = |name: String| certificates.path().join(name);
    let ca = file("ca.crt".to_owned());
    let files = TlsFiles { ca, cert: file(format!("{name}.crt")), key: file(format!("{name}.key")) };
    Arc::new(TlsReloader::load(files).unwrap())
}

#[tokio::test]
async fn a_stream_that_is_closed_while_it_is_dialled_is_never_opened() {
    let Bench { driver, tls, .. } = bench();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Any number that the core does not use for another stream will do.
    let link = driver.core().accept("n1", LinkKind::PushIn, clock::now());
    driver.perform(Effect::Open { link, kind: LinkKind::PushOut, peer: "n1".to_owned(), address });
    driver.perform(Effect::Close { link });

    let peers = Arc::new(Peers { driver: driver.clone() });
    let served = serve_peers(listener, tls, peers, ServerConfig::peers(), std::future::pending());
    let serving = tokio::spawn(served);
    let is_over = async {
        while Arc::strong_count(&driver.shared) > 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_over).await.expect("only this test and the listener hold the driver");
    assert!(driver.shared.links.lock().is_empty());
    serving.abort();
}

#[tokio::test]
async fn who_answers_a_call_is_what_the_certificate_says_and_not_the_message() {
    let bench = bench();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Its core gives itself out for n1, at an address that n1 may have had; what it can show is n3's.
    let peers = Arc::new(Peers { driver: bench.driver.clone() });
    let served = serve_peers(listener, bench.tls("n3"), peers, ServerConfig::peers(), std::future::pending());
    let serving = tokio::spawn(served);
    let caller = Outgoing::new(bench.tls("n2"));
    let call = |peer: Option<&'static str>, address: String| {
        let caller = caller.clone();
        let request = Request::Ping(Ping::default());
        async move { caller.call(peer, &address, request, Instant::now() + PATIENCE).await }
    };
    let answered = call(None, address.clone()).await.expect("whoever is at a seed may answer");
    assert_eq!(answered.from, "n3");
    assert!(matches!(answered.answer, Answer::Pong(pong) if pong.identity.name == "n1"));
    assert_eq!(call(Some("n1"), address.clone()).await, Err(CallFailure::Closed));
    assert_eq!(call(Some("n3"), address).await.map(|answered| answered.from), Ok("n3".to_owned()));
    serving.abort();
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_connects_leaves_the_connection_to_the_next() {
    let bench = bench();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = listener.local_addr().unwrap();
    let peers = Arc::new(Peers { driver: bench.driver.clone() });
    let served = serve_peers(listener, bench.tls("n1"), peers, ServerConfig::peers(), std::future::pending());
    let serving = tokio::spawn(served);
    // A network on which three round trips, which connecting and asking take, are longer than the first call waits.
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = far.local_addr().unwrap().to_string();
    let (arrive, arriving) = watch::channel(0);
    let carrying = tokio::spawn(async move {
        for number in 1.. {
            let (mut from, _) = far.accept().await.unwrap();
            let mut arriving = arriving.clone();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(near).await.unwrap();
                arriving.wait_for(|first| *first == number).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    let caller = Outgoing::new(bench.tls("n2"));
    let call = async |patience| {
        let request = Request::Ping(Ping::default());
        caller.call(Some("n1"), &address, request, Instant::now() + patience).await
    };
    for _ in 0..2 {
        assert_eq!(call(Duration::from_millis(50)).await, Err(CallFailure::TimedOut));
    }
    // Only the first connection is ever served.
    arrive.send_replace(1);
    assert_eq!(call(PATIENCE).await.map(|answered| answered.from), Ok("n1".to_owned()));
    carrying.abort();
    serving.abort();
}

#[tokio::test]
async fn who_waits_for_the_drain_looks_again_whatever_happened() {
    // Without the one who syncs it the log would have failed.
    let Bench { driver, _syncer, .. } = bench();
    let increment = Operation::Increment { key: "hits", kind: trellis_crdt::Kind::PnCounter, amount: 1 };
    driver.core().write(&increment, clock::now()).unwrap();
    let waiting = driver.clone();
    let waiting = tokio::spawn(async move { waiting.drained().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    driver.core().handle_log_failed(clock::now());
    driver.pump();
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is told at once").unwrap();
}

#[tokio::test]
async fn a_goodbye_that_was_said_before_it_is_waited_for_is_not_missed() {
    let Bench { driver, .. } = bench();
    driver.core().leave(clock::now());
    driver.pump();
    tokio::time::timeout(PATIENCE, driver.left()).await.expect("there is nobody to tell");
}

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
