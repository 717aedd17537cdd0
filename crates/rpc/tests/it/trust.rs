//! Who is let in, by whom, and who passes for a node.

use std::io::ErrorKind as IoErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic_types::StatusExt;
use trellis_rpc::{
    Client, DialConfig, DialError, Endpoint, ErrorKind, Failure, LinkError, PeerClient, Reason, Role,
    ServerConfig, TlsFiles, TlsReloader, WriteOutcome, WrongPeer,
};

use crate::peers::ToyPeer;
use crate::support::{
    Garden, Nothing, Raw, Running, Toy, call_raw, increment, nowhere, patient, read, tls_stream,
};

#[tokio::test]
async fn a_reader_reads_and_does_not_write() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    let reader = running.client(garden.client(Role::Reader));
    reader.get_counter(read("counter1")).await.unwrap();
    let error = reader.increment(increment("counter1", 5)).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (ErrorKind::Denied, Some(Reason::RoleNotAllowed)));
    assert_eq!(error.outcome, WriteOutcome::NotDone);
    assert_eq!(error.metadata["role"], "reader");
    assert_eq!(toy.calls(), 1);
    running.client(garden.client(Role::Admin)).increment(increment("counter1", 5)).await.unwrap();
}

#[tokio::test]
async fn only_an_administrator_has_a_node_take_a_snapshot_or_leave() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    for tls in [garden.client(Role::Client), garden.client(Role::Reader), garden.node("n2")] {
        let client = running.client(tls);
        for error in [client.take_snapshot().await.unwrap_err(), client.leave().await.unwrap_err()] {
            assert_eq!((error.kind, error.reason), (ErrorKind::Denied, Some(Reason::RoleNotAllowed)));
            assert_eq!(error.outcome, WriteOutcome::NotDone);
        }
    }
    assert_eq!(toy.calls(), 0);
    let boss = running.client(garden.client(Role::Admin));
    let taken = boss.take_snapshot().await.unwrap();
    assert_eq!((taken.node.as_str(), taken.body.start_lsn), ("n1", 7));
    assert_eq!(boss.leave().await.unwrap().node, "n1");
}

#[tokio::test]
async fn a_nodes_certificate_is_refused_by_the_client_service() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    let error = running.client(garden.node("n2")).get_counter(read("counter1")).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (ErrorKind::Denied, Some(Reason::RoleNotAllowed)));
    assert_eq!(toy.calls(), 0);
}

#[tokio::test]
async fn a_clients_certificate_is_refused_at_the_peer_port_whatever_it_calls() {
    let garden = Garden::new("garden");
    let peer = Arc::new(ToyPeer::default());
    let running = Running::peers(garden.node("n1"), Arc::clone(&peer), ServerConfig::peers()).await;
    for role in [Role::Client, Role::Reader, Role::Admin] {
        let tls = garden.client(role);
        let dialled = PeerClient::dial(&running.address, None, &tls, &slow_dial()).await.unwrap();
        let refused = dialled.ping(Default::default(), Duration::from_secs(60)).await.unwrap_err();
        assert!(is_refused(&refused, Reason::RoleNotAllowed), "{refused:?}");
        let refused = dialled.push().await.unwrap_err();
        assert!(is_refused(&refused, Reason::RoleNotAllowed), "{refused:?}");
        let error = running.client(tls).get_counter(read("counter1")).await.unwrap_err();
        assert_eq!((error.kind, error.reason), (ErrorKind::Denied, Some(Reason::RoleNotAllowed)));
    }
    assert_eq!(peer.calls(), 0);
}

#[tokio::test]
async fn without_a_certificate_nothing_is_answered() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    // With TLS 1.3 the client's side of the handshake ends before the server has looked for the certificate.
    let refused = match tls_stream(&running.address, garden.authority.certificate_pem(), None).await {
        Ok(mut stream) => stream.read(&mut [0; 1]).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_in_the_handshake() {
    let garden = Garden::new("garden");
    let twin = Garden::new("garden");
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), ServerConfig::clients()).await;

    let error = running.client(twin.client(Role::Client)).get_counter(read("counter1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.starts_with("the server's certificate is not valid here"), "{error}");

    // One that trusts the server and is not trusted by it.
    let own = twin.files("client");
    let mixed = TlsFiles { ca: garden.path().join("ca.crt"), ..own };
    let mixed = Arc::new(TlsReloader::load(mixed).unwrap());
    let error = running.client(mixed).increment(increment("counter1", 1)).await.unwrap_err();
    assert_eq!((error.kind, error.outcome), (ErrorKind::Denied, WriteOutcome::NotDone), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_cluster_or_without_a_role_is_unauthenticated() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    for (uris, reason) in [
        (&["trellis://meadow/client/dev"][..], "FOREIGN_CLUSTER"),
        (&[], "NO_ROLE_IN_CERTIFICATE"),
        (&["https://garden/client/dev"], "NO_ROLE_IN_CERTIFICATE"),
        (&["trellis://garden/client/dev", "trellis://garden/admin/dev"], "NO_ROLE_IN_CERTIFICATE"),
    ] {
        let (certificate, key) = forge(&garden, uris, ExtendedKeyUsagePurpose::ClientAuth);
        let ca = garden.authority.certificate_pem();
        let raw = Raw::connect(&running.address, ca, Some((&certificate, &key))).await.unwrap();
        let status = call_raw(raw, "/trellis.v1.ClientService/GetCounter", Nothing {}).await;
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert_eq!(status.get_details_error_info().unwrap().reason, reason);
    }
    assert_eq!(toy.calls(), 0);
}

#[tokio::test]
async fn a_clients_certificate_does_not_pass_for_a_server() {
    let garden = Garden::new("garden");
    let files = garden.files("posing");
    let posing = garden.authority.issue_client("posing", Role::Client).unwrap();
    posing.save(garden.path()).unwrap();
    let tls = Arc::new(TlsReloader::load(files.clone()).unwrap());
    let running = Running::clients(tls, Toy::new("posing"), ServerConfig::clients()).await;
    let error = running.client(garden.client(Role::Client)).get_counter(read("counter1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);

    // Even with a certificate that is good for servers, the role decides.
    let (certificate, key) =
        forge(&garden, &["trellis://garden/client/posing"], ExtendedKeyUsagePurpose::ServerAuth);
    std::fs::write(&files.cert, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    let tls = Arc::new(TlsReloader::load(files).unwrap());
    let running = Running::clients(tls, Toy::new("posing"), ServerConfig::clients()).await;
    let own = garden.node("n1");
    let dialled = PeerClient::dial(&running.address, None, &own, &slow_dial()).await.unwrap_err();
    assert_eq!(dialled, DialError::WrongPeer(WrongPeer::NotANode { role: Role::Client }));
}

#[tokio::test]
async fn a_node_must_show_the_name_that_was_dialled() {
    let garden = Garden::new("garden");
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), ServerConfig::clients()).await;
    let endpoint = |name: &str| Endpoint { address: running.address.clone(), node: Some(name.to_owned()) };
    let tls = garden.client(Role::Client);
    let right = Client::new(vec![endpoint("n1")], Arc::clone(&tls), patient());
    right.get_counter(read("counter1")).await.unwrap();
    let wrong = Client::new(vec![endpoint("n2")], tls, patient());
    let error = wrong.get_counter(read("counter1")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Denied, "the server is node n1, not n2"));
}

#[tokio::test]
async fn nobody_listening_and_nobody_answering_are_told_apart() {
    let garden = Garden::new("garden");
    let tls = garden.node("n1");
    let refused = PeerClient::dial(&nowhere().await, None, &tls, &slow_dial()).await.unwrap_err();
    assert_eq!(refused, DialError::Refused);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let hasty = DialConfig { connect_timeout: Duration::from_millis(20), ..DialConfig::default() };
    let timed_out = PeerClient::dial(&address, None, &tls, &hasty).await.unwrap_err();
    assert_eq!(timed_out, DialError::TimedOut);
    for address in
        ["", "n1", "n1:port", "n 1:7500", "127.0.0.1:7500/x", "a@127.0.0.1:7500", "127.0.0.1:99999"]
    {
        let invalid = PeerClient::dial(address, None, &tls, &hasty).await.unwrap_err();
        assert_eq!(invalid, DialError::InvalidAddress { address: address.to_owned() });
    }
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_dropped() {
    let garden = Garden::new("garden");
    let config = ServerConfig {
        handshake_timeout: Duration::from_millis(20),
        handshakes_max: 1,
        ..ServerConfig::clients()
    };
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), config).await;
    let mut silent = TcpStream::connect(&running.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    let mut plain = TcpStream::connect(&running.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    if let Err(error) = plain.read_to_end(&mut answer).await {
        assert_eq!(error.kind(), IoErrorKind::ConnectionReset);
    }
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_later_connections_and_earlier_ones_go_on() {
    let garden = Garden::new("garden");
    let tls = garden.node("n1");
    let running = Running::clients(Arc::clone(&tls), Toy::new("n1"), ServerConfig::clients()).await;
    let client = running.client(garden.client(Role::Client));
    client.increment(increment("counter1", 1)).await.unwrap();
    let issued = garden.authority.issue_client("other", Role::Client).unwrap();
    let shown = async || {
        let identity = Some((issued.certificate_pem(), issued.key_pem()));
        let ca = garden.authority.certificate_pem();
        let stream = tls_stream(&running.address, ca, identity).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let before = shown().await;
    assert_eq!(shown().await, before);
    garden.authority.issue_node("n1", &[]).unwrap().replace(garden.path()).unwrap();
    tls.reload().unwrap();
    assert_ne!(shown().await, before);
    assert_eq!(client.increment(increment("counter1", 1)).await.unwrap().body.value, 2);
}

/// Signs a certificate by the garden's authority, with whatever it is asked to say.
fn forge(garden: &Garden, uris: &[&str], usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let key_pem = std::fs::read_to_string(garden.path().join("ca.key")).unwrap();
    let authority = KeyPair::from_pem(&key_pem).unwrap();
    let issuer = Issuer::from_ca_cert_pem(garden.authority.certificate_pem(), authority).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

fn is_refused(error: &LinkError, expected: Reason) -> bool {
    matches!(error, LinkError::Refused(Failure { reason, .. }) if *reason == expected)
}

fn slow_dial() -> DialConfig {
    patient().dial
}
