//! Calls of clients: what arrives, and what the listener keeps away from handlers.

use std::sync::Arc;
use std::time::Duration;

use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use trellis_crdt::Kind;
use trellis_rpc::{
    Counter, DeleteKey, Deleted, ErrorKind, GetKey, GetRegister, Health, Incremented, KeyContent, KeySummary,
    KeyValue, ListKeys, MemberState, Reason, Register, Role, ServerConfig, SetRegister, WriteOutcome,
};

use crate::support::{Garden, Nothing, Raw, Running, Toy, answer, call_raw, increment, read};

#[tokio::test]
async fn every_call_reaches_the_handler_and_its_answer_comes_back() {
    let garden = Garden::new("garden");
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), ServerConfig::clients()).await;
    let client = running.client(garden.client(Role::Client));

    let five = answer("n1", Incremented { value: 5, is_exact: true });
    assert_eq!(client.increment(increment("counter1", 5)).await, Ok(five));
    let counter = Counter { value: 5, is_exact: true, kind: Some(Kind::PnCounter) };
    assert_eq!(client.get_counter(read("counter1")).await, Ok(answer("n1", counter)));
    let absent = Counter { value: 0, is_exact: true, kind: None };
    assert_eq!(client.get_counter(read("counter2")).await, Ok(answer("n1", absent)));

    let set = SetRegister { key: "motd".into(), value: "hello".into(), ..SetRegister::default() };
    assert_eq!(client.set_register(set).await, Ok(answer("n1", ())));
    let register = Register { values: vec!["hello".into()], kind: Some(Kind::LwwRegister) };
    let get = GetRegister { key: "motd".into(), kind: None };
    assert_eq!(client.get_register(get).await, Ok(answer("n1", register)));

    let content = KeyContent {
        kinds: vec![Kind::PnCounter],
        value: Some(KeyValue::Counter { value: 5, is_exact: true }),
    };
    let get = GetKey { key: "counter1".into(), kind: None };
    assert_eq!(client.get_key(get).await, Ok(answer("n1", content)));

    let list = ListKeys { prefix: "counter".into(), page_token: "7".into(), ..ListKeys::default() };
    let page = client.list_keys(list).await.unwrap().body;
    assert_eq!(page.keys, [KeySummary { key: "counter1".into(), kind: Kind::PnCounter }]);
    assert_eq!(page.next_page_token, "7");

    let delete = DeleteKey { key: "counter1".into(), ..DeleteKey::default() };
    assert_eq!(client.delete_key(delete.clone()).await, Ok(answer("n1", Deleted { existed: true })));
    assert_eq!(client.delete_key(delete).await, Ok(answer("n1", Deleted { existed: false })));

    let status = client.cluster_status().await.unwrap().body;
    assert_eq!(status.members[0].state, MemberState::Alive);
}

#[tokio::test]
async fn a_failure_arrives_with_its_reason_and_facts() {
    let garden = Garden::new("garden");
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), ServerConfig::clients()).await;
    let client = running.client(garden.client(Role::Client));
    let error = client.increment(increment("", 5)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
    assert_eq!(error.reason, Some(Reason::InvalidKey));
    assert_eq!(error.outcome, WriteOutcome::NotDone);
    assert_eq!(error.to_string(), "the key is empty");
}

#[tokio::test]
async fn a_handler_that_panics_answers_internal_and_the_connection_goes_on() {
    let garden = Garden::new("garden");
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), ServerConfig::clients()).await;
    let client = running.client(garden.client(Role::Client));
    client.increment(increment("counter1", 1)).await.unwrap();
    let error = client.increment(increment("panic", 1)).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (ErrorKind::Internal, Some(Reason::Internal)));
    assert_eq!(error.outcome, WriteOutcome::Unknown);
    assert_eq!(error.metadata["incident_id"].len(), 16);
    assert!(!error.to_string().contains("a defect of the toy"));
    assert_eq!(client.increment(increment("counter1", 1)).await.unwrap().body.value, 2);
}

#[tokio::test]
async fn a_call_past_the_limit_of_the_node_is_cut_and_its_write_may_stand() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let config = ServerConfig { call_timeout: Duration::from_millis(20), ..ServerConfig::clients() };
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), config).await;
    let client = running.client(garden.client(Role::Client));
    let error = client.increment(increment("stuck", 1)).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (ErrorKind::TimedOut, Some(Reason::DeadlineExceeded)));
    assert_eq!(error.outcome, WriteOutcome::Unknown);
    toy.dropped.notified().await;
}

#[tokio::test]
async fn a_snapshot_takes_as_long_as_its_caller_waits_whatever_the_limit_of_the_node() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let config = ServerConfig { call_timeout: Duration::from_millis(20), ..ServerConfig::clients() };
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), config).await;
    let boss = running.client(garden.client(Role::Admin));
    let busy = toy.is_busy.write().await;
    let taking = boss.take_snapshot();
    let release = async {
        toy.begun.notified().await;
        let error = boss.increment(increment("stuck", 1)).await.unwrap_err();
        assert_eq!(error.reason, Some(Reason::DeadlineExceeded), "the limit has passed");
        drop(busy);
    };
    let (taken, ()) = tokio::join!(taking, release);
    assert_eq!(taken.unwrap().body.start_lsn, 7);
}

#[tokio::test]
async fn a_caller_gets_deadline_exceeded_when_its_own_time_is_over() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    let raw = raw(&garden, &running, Role::Client).await;
    let mut request = tonic::Request::new(KeyOnly { key: "stuck".into() });
    request.set_timeout(Duration::from_millis(20));
    let mut grpc = tonic::client::Grpc::with_origin(raw, Raw::origin());
    let codec = tonic_prost::ProstCodec::<_, Nothing>::default();
    let path = "/trellis.v1.ClientService/Increment".parse().unwrap();
    let status = grpc.unary(request, path, codec).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    toy.dropped.notified().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_as_such() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), ServerConfig::clients()).await;
    let client = running.client(garden.client(Role::Client));
    let set = |bytes: usize| SetRegister {
        key: "big".into(),
        value: vec![7; bytes].into(),
        ..SetRegister::default()
    };
    client.set_register(set(4 << 20 >> 1)).await.unwrap();
    let error = client.set_register(set(4 << 20)).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (ErrorKind::Rejected, Some(Reason::MessageTooLarge)));
    assert_eq!(error.metadata["limit"], (4 << 20).to_string());
    assert_eq!(toy.calls(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_request_are_the_callers_fault() {
    let garden = Garden::new("garden");
    let running = Running::clients(garden.node("n1"), Toy::new("n1"), ServerConfig::clients()).await;
    let raw = raw(&garden, &running, Role::Client).await;
    let garbage = NotText { key: vec![0xff, 0xfe] };
    let status = call_raw(raw.clone(), "/trellis.v1.ClientService/GetCounter", garbage).await;
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_ARGUMENT");
    let kind = UnknownKind { kind: 99 };
    let status = call_raw(raw.clone(), "/trellis.v1.ClientService/GetCounter", kind).await;
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "kind");
    let status = call_raw(raw, "/trellis.v1.ClientService/Nonsense", Nothing {}).await;
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert_eq!(status.get_details_error_info().unwrap().reason, "UNKNOWN_METHOD");
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_as_overload() {
    let garden = Garden::new("garden");
    let toy = Toy::new("n1");
    let config = ServerConfig { calls_max: 1, ..ServerConfig::clients() };
    let running = Running::clients(garden.node("n1"), Arc::clone(&toy), config).await;
    let client = Arc::new(running.client(garden.client(Role::Client)));
    let stuck = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.increment(increment("stuck", 1)).await }
    });
    toy.begun.notified().await;
    let error = client.increment(increment("counter1", 1)).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (ErrorKind::Overloaded, Some(Reason::Overloaded)));
    assert_eq!(error.outcome, WriteOutcome::NotDone);
    assert_eq!(error.attempts.len(), 4);
    stuck.abort();
    toy.dropped.notified().await;
}

#[tokio::test]
async fn health_and_reflection_in_both_versions_are_served_to_ordinary_clients() {
    let garden = Garden::new("garden");
    let health = Health::default();
    let tls = garden.node("n1");
    let running =
        Running::clients_with_health(tls, Toy::new("n1"), health.clone(), ServerConfig::clients()).await;
    let raw = raw(&garden, &running, Role::Reader).await;

    let mut checker = HealthClient::with_origin(raw.clone(), Raw::origin());
    for (is_serving, expected) in [(true, ServingStatus::Serving), (false, ServingStatus::NotServing)] {
        health.set_serving(is_serving).await;
        let request = HealthCheckRequest { service: "trellis.v1.ClientService".into() };
        assert_eq!(checker.check(request).await.unwrap().into_inner().status(), expected);
    }

    use tonic_reflection::pb::{v1, v1alpha};
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut reflection =
        v1::server_reflection_client::ServerReflectionClient::with_origin(raw.clone(), Raw::origin());
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let listed = answers.next().await.unwrap().unwrap().message_response;
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(listed)) = listed else {
        panic!("no list: {listed:?}");
    };
    assert!(listed.service.iter().any(|service| service.name == "trellis.v1.ClientService"));

    let file = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
        "trellis.v1.IncrementRequest".into(),
    );
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(file) };
    let mut reflection =
        v1alpha::server_reflection_client::ServerReflectionClient::with_origin(raw, Raw::origin());
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let found = answers.next().await.unwrap().unwrap().message_response;
    use v1alpha::server_reflection_response::MessageResponse;
    assert!(matches!(found, Some(MessageResponse::FileDescriptorResponse(_))), "{found:?}");
}

async fn raw(garden: &Garden, running: &Running, role: Role) -> Raw {
    let issued = garden.authority.issue_client("other", role).unwrap();
    let identity = Some((issued.certificate_pem(), issued.key_pem()));
    Raw::connect(&running.address, garden.authority.certificate_pem(), identity).await.unwrap()
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyOnly {
    #[prost(string, tag = "1")]
    key: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NotText {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct UnknownKind {
    #[prost(int32, tag = "2")]
    kind: i32,
}
