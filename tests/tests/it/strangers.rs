//! Who may not speak, and to whom.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use trellis_replication::Ping;
use trellis_rpc::{Client, DialConfig, ErrorKind, GetKey, LinkError, PeerClient, Reason};
use trellis_tests::Cluster;

use crate::load::endpoint;

#[test]
fn nobody_without_a_certificate_gets_a_byte() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let ports = cluster.node("n1").ports();
    for port in [ports.client, ports.peer] {
        let heard = speak_without_certificate(&cluster, port)?;
        ensure!(heard.is_empty(), "port {port} says {heard:?}");
        let heard = speak_without_tls(port)?;
        ensure!(!heard.starts_with(b"HTTP") && heard.len() <= ALERT_BYTES, "port {port} says {heard:?}");
    }
    assert_eq!(cluster.trellis(&["incr", "k"])?.answer()?, "1");
    cluster.finish()
}

#[test]
fn a_client_may_not_speak_as_a_node() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for who in ["app", "guest", "boss"] {
        let tls = cluster.tls(who)?;
        let address = cluster.node("n1").peer_address();
        let refused = runtime.block_on(async {
            let peer = PeerClient::dial(&address, Some("n1"), &tls, &DialConfig::default()).await?;
            Ok::<_, anyhow::Error>(peer.ping(Ping::default(), Duration::from_secs(10)).await)
        })?;
        match refused {
            Err(LinkError::Refused(failure)) => assert_eq!(failure.reason, Reason::RoleNotAllowed),
            other => panic!("{who} hears {other:?}"),
        }
    }
    cluster.finish()
}

#[test]
fn a_node_may_not_speak_as_a_client() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tls = Arc::new(cluster.tls("n1")?);
    let client = Client::new(vec![endpoint(cluster.node("n1"))], tls, trellis_rpc::ClientConfig::default());
    let get = GetKey { key: "k".to_owned(), kind: None };
    let error = runtime.block_on(client.get_key(get)).expect_err("a node is no client");
    assert_eq!((error.kind, error.reason), (ErrorKind::Denied, Some(Reason::RoleNotAllowed)));

    let outcome = as_holder(&cluster, &cluster, "n1", &["incr", "k"])?;
    assert!(outcome.failure(4)?.contains("hint:"), "{outcome}");
    assert_eq!(cluster.trellis(&["get", "k"])?.code, Some(1));
    cluster.finish()
}

#[test]
fn a_reader_reads_and_does_not_write() -> Result<()> {
    let cluster = Cluster::start(1)?;
    cluster.trellis(&["incr", "k", "5"])?.answer()?;
    assert_eq!(as_holder(&cluster, &cluster, "guest", &["get", "k"])?.answer()?, "5");
    for words in [&["incr", "k"][..], &["set", "r", "x"], &["del", "k"]] {
        let outcome = as_holder(&cluster, &cluster, "guest", words)?;
        assert!(outcome.failure(4)?.contains("hint:"), "{outcome}");
    }
    assert_eq!(as_holder(&cluster, &cluster, "boss", &["incr", "k"])?.answer()?, "6");
    cluster.finish()
}

#[test]
fn a_certificate_of_another_cluster_opens_no_door() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let other = Cluster::prepare(0)?;
    let outcome = as_holder(&cluster, &other, "app", &["get", "k"])?;
    assert!(outcome.failure(4)?.contains("hint:"), "{outcome}");

    // One who trusts this cluster and comes with the other's certificate is refused by the node.
    let (ca, theirs) = (cluster.tls_files("app").ca, other.tls_files("app"));
    let mut command = cluster.command()?;
    command
        .arg("--ca")
        .arg(ca)
        .arg("--cert")
        .arg(theirs.cert)
        .arg("--key")
        .arg(theirs.key)
        .args(["get", "k"]);
    let outcome = trellis_tests::Outcome::of(&mut command)?;
    assert!(matches!(outcome.code, Some(2 | 4)), "{outcome}");
    assert!(outcome.stderr.contains("hint:"), "{outcome}");
    other.finish()?;
    cluster.finish()
}

/// Runs `trellis` against `cluster` with the certificate that `name` has in `home`, and the authority of `home`.
fn as_holder(
    cluster: &Cluster,
    home: &Cluster,
    name: &str,
    words: &[&str],
) -> Result<trellis_tests::Outcome> {
    let files = home.tls_files(name);
    let mut command = cluster.command()?;
    command.arg("--ca").arg(files.ca).arg("--cert").arg(files.cert).arg("--key").arg(files.key).args(words);
    trellis_tests::Outcome::of(&mut command)
}

/// Trusts the cluster, shows no certificate, speaks HTTP/2, and returns what it hears beyond the handshake.
fn speak_without_certificate(cluster: &Cluster, port: u16) -> Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cluster.tls_files("app").ca)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(connection, connect(port)?);
    // The handshake may end before the node has looked at the certificate: writing may work, reading must not.
    let _ = stream.write_all(HTTP2_PREFACE).and_then(|()| stream.flush());
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => ensure!(heard.is_empty(), "the node speaks to a stranger"),
        Err(error) => println!("port {port} ends with: {error}"),
    }
    Ok(heard)
}

fn speak_without_tls(port: u16) -> Result<Vec<u8>> {
    let mut stream = connect(port)?;
    stream.write_all(HTTP2_PREFACE)?;
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    Ok(heard)
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// How a client begins to speak HTTP/2, its empty settings included.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// A TLS record that says why the connection ends.
const ALERT_BYTES: usize = 7;
