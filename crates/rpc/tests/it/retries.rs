//! What the client does when an endpoint does not serve.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use trellis_rpc::{
    Attempt, Client, ClientConfig, Endpoint, ErrorKind, Reason, Role, ServerConfig, WriteOutcome,
};

use crate::support::{Garden, Running, Toy, increment, nowhere, patient, read};

#[tokio::test]
async fn calls_go_to_the_next_endpoint_and_stay_there() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n2");
    let running = Running::clients(garden.node("n2"), Arc::clone(&toy), ServerConfig::clients()).await;
    let gone = Endpoint { address: nowhere().await, node: None };
    let client = Client::new(vec![gone, running.endpoint()], garden.client(Role::Client), patient());
    for value in 1..=3 {
        let answer = client.increment(increment("counter1", 1)).await.unwrap();
        assert_eq!((answer.node.as_str(), answer.body.value), ("n2", value));
    }
}

#[tokio::test]
async fn a_write_that_was_surely_not_done_is_tried_elsewhere() {
    let garden = Garden::new("garden");
    let joining = Toy::failing("n1", Reason::NotReady);
    let serving = Toy::new("n2");
    let first = Running::clients(garden.node("n1"), Arc::clone(&joining), ServerConfig::clients()).await;
    let second = Running::clients(garden.node("n2"), Arc::clone(&serving), ServerConfig::clients()).await;
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::new(endpoints, garden.client(Role::Client), patient());
    assert_eq!(client.increment(increment("counter1", 5)).await.unwrap().body.value, 5);
    assert_eq!((joining.calls(), serving.calls()), (1, 1));
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_is_never_tried_again_and_a_read_is() {
    let garden = Garden::new("garden");
    let failed = Toy::failing("n1", Reason::StorageFailed);
    let serving = Toy::new("n2");
    let first = Running::clients(garden.node("n1"), Arc::clone(&failed), ServerConfig::clients()).await;
    let second = Running::clients(garden.node("n2"), Arc::clone(&serving), ServerConfig::clients()).await;
    let endpoints = vec![first.endpoint(), second.endpoint()];
    let client = Client::new(endpoints, garden.client(Role::Client), patient());
    let error = client.increment(increment("counter1", 5)).await.unwrap_err();
    assert_eq!((error.reason, error.outcome), (Some(Reason::StorageFailed), WriteOutcome::Unknown));
    assert_eq!(error.metadata["phase"], "test");
    assert_eq!((failed.calls(), serving.calls()), (1, 0));
    assert_eq!(client.get_counter(read("counter1")).await.unwrap().node, "n2");
}

#[tokio::test]
async fn a_write_whose_connection_breaks_before_the_answer_has_an_unknown_outcome() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let config = ServerConfig { drain_timeout: Duration::ZERO, ..ServerConfig::clients() };
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), config).await;
    let client = running.client(garden.client(Role::Client));
    let call = tokio::spawn(async move { client.increment(increment("stuck", 1)).await });
    toy.begun.notified().await;
    assert_eq!(running.stop().await.connections_cut, 1);
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.outcome), (ErrorKind::Unreachable, WriteOutcome::Unknown));
    assert_eq!(error.attempts.len(), 1);
    assert_eq!(toy.calls(), 1);
}

#[tokio::test]
async fn an_endpoint_that_came_back_is_dialled_again() {
    let garden = Garden::new("garden");
    let tls = garden.node("n1");
    let running = Running::clients(Arc::clone(&tls), Toy::new("n1"), ServerConfig::clients()).await;
    let address = running.address.clone();
    let client = running.client(garden.client(Role::Client));
    client.increment(increment("counter1", 5)).await.unwrap();
    assert_eq!(running.stop().await.connections_cut, 0);

    let listener = TcpListener::bind(&address).await.unwrap();
    let again = trellis_rpc::serve_clients(
        listener,
        tls,
        Toy::new("n1"),
        trellis_rpc::Health::default(),
        ServerConfig::clients(),
        std::future::pending(),
    );
    let again = tokio::spawn(again);
    assert_eq!(client.increment(increment("counter1", 1)).await.unwrap().body.value, 1);
    again.abort();
}

#[tokio::test]
async fn every_attempt_is_told_when_nobody_serves() {
    let garden = Garden::new("garden");
    let addresses = [nowhere().await, nowhere().await];
    let endpoints = addresses.iter().map(|address| Endpoint { address: address.clone(), node: None });
    let config = ClientConfig { rounds_max: 1, ..patient() };
    let client = Client::new(endpoints.collect(), garden.client(Role::Client), config.clone());
    let error = client.increment(increment("counter1", 1)).await.unwrap_err();
    assert_eq!((error.kind, error.outcome), (ErrorKind::Unreachable, WriteOutcome::NotDone));
    let refused =
        |address: &String| Attempt { endpoint: address.clone(), message: "connection refused".into() };
    assert_eq!(error.attempts, addresses.iter().map(refused).collect::<Vec<_>>());

    let client = Client::new(Vec::new(), garden.client(Role::Client), config);
    assert_eq!(client.get_counter(read("counter1")).await.unwrap_err().kind, ErrorKind::Unreachable);
}

#[tokio::test]
async fn callers_that_wait_for_the_same_dial_share_its_failure() {
    let garden = Garden::new("garden");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { address: silent.local_addr().unwrap().to_string(), node: None };
    let mut config = ClientConfig { rounds_max: 1, ..patient() };
    config.dial.connect_timeout = Duration::from_millis(50);
    let client = Client::new(vec![endpoint], garden.client(Role::Client), config);
    let (one, other) = tokio::join!(client.get_counter(read("a")), client.get_counter(read("b")));
    assert_eq!(one.unwrap_err().message, "no connection in time");
    assert_eq!(other.unwrap_err().message, "no connection in time");
    silent.accept().await.unwrap();
    let second = tokio::time::timeout(Duration::ZERO, silent.accept()).await;
    assert!(second.is_err(), "both dialled");
}
