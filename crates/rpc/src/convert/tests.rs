//! Messages read back as they were written, and nothing else is one.

use bytes::Bytes;
use prost::Message;
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult, quickcheck};
use trellis_crdt::{Hlc, Kind, VersionVector};
use trellis_replication::{
    FoundingId, Gossip, Hello, Holder, Identity, MemberRecord, NodeClock, NodeId, Owner, Ping, Pong,
    PushReply, PushRequest, PushedDelta, Refusal, Roster, SlotDigest, SlotEnd, SlotPart, SyncChunk, SyncOpen,
    SyncReply, SyncRequest,
};

use super::*;
use crate::calls::*;
use crate::pb::peer;

#[test]
fn messages_between_nodes_come_out_as_they_went_in() {
    check_round_trip::<Ping, peer::PingRequest>();
    check_round_trip::<Pong, peer::PingResponse>();
    check_round_trip::<Gossip, peer::News>();
    check_round_trip::<PushRequest, peer::PushDeltaRequest>();
    check_round_trip::<PushReply, peer::PushDeltaResponse>();
    check_round_trip::<SyncRequest, peer::SyncStateRequest>();
    check_round_trip::<SyncReply, peer::SyncStateResponse>();
    check_round_trip::<Refusal, peer::Refusal>();
}

#[test]
fn calls_of_clients_come_out_as_they_went_in() {
    check_round_trip::<Increment, pb::IncrementRequest>();
    check_round_trip::<Incremented, pb::IncrementResponse>();
    check_round_trip::<GetCounter, pb::GetCounterRequest>();
    check_round_trip::<Counter, pb::GetCounterResponse>();
    check_round_trip::<SetRegister, pb::SetRegisterRequest>();
    check_round_trip::<GetRegister, pb::GetRegisterRequest>();
    check_round_trip::<Register, pb::GetRegisterResponse>();
    check_round_trip::<GetKey, pb::GetKeyRequest>();
    check_round_trip::<KeyContent, pb::GetKeyResponse>();
    check_round_trip::<DeleteKey, pb::DeleteKeyRequest>();
    check_round_trip::<Deleted, pb::DeleteKeyResponse>();
    check_round_trip::<ListKeys, pb::ListKeysRequest>();
    check_round_trip::<KeyPage, pb::ListKeysResponse>();
    check_round_trip::<ClusterStatus, pb::GetClusterStatusResponse>();
    check_round_trip::<SnapshotTaken, pb::TakeSnapshotResponse>();
}

#[test]
fn damaged_messages_are_refused_or_read_and_never_panic() {
    check_damage::<PushRequest, peer::PushDeltaRequest>();
    check_damage::<PushReply, peer::PushDeltaResponse>();
    check_damage::<SyncRequest, peer::SyncStateRequest>();
    check_damage::<SyncReply, peer::SyncStateResponse>();
    check_damage::<Gossip, peer::News>();
    check_damage::<Pong, peer::PingResponse>();
    check_damage::<ClusterStatus, pb::GetClusterStatusResponse>();
    check_damage::<Increment, pb::IncrementRequest>();
}

#[test]
fn payloads_are_slices_of_the_message_and_not_copies() {
    let delta = PushedDelta { slot: 1, seq: 1, payload: Bytes::from(vec![7; 1000]) };
    let wire = peer::PushDeltaRequest::from(PushRequest::Deltas(vec![delta])).encode_to_vec();
    let wire = Bytes::from(wire);
    let range = wire.as_ptr_range();
    let read = PushRequest::try_from(peer::PushDeltaRequest::decode(wire).unwrap()).unwrap();
    let PushRequest::Deltas(deltas) = read else { panic!("deltas were written") };
    assert!(range.contains(&deltas[0].payload.as_ptr()));
}

#[test]
fn an_exchange_between_nodes_in_sync_takes_at_most_100_bytes() {
    let open = SyncOpen {
        node: NodeId::from_u64(u64::MAX),
        replica: ReplicaId::from_u64(u64::MAX),
        roster_hash: u64::MAX,
        clock_hash: u64::MAX,
        hello: None,
    };
    let request = peer::SyncStateRequest::from(SyncRequest::Open(open)).encoded_len();
    let reply = peer::SyncStateResponse::from(SyncReply::InSync).encoded_len();
    assert!(request + reply <= 100, "{request} and {reply} bytes");
}

#[test]
fn a_clock_of_every_slot_takes_few_bytes_an_entry() {
    let origins = [11, 22, 33].map(ReplicaId::from_u64);
    let vector = |seq| origins.into_iter().map(move |origin| (origin, seq)).collect::<VersionVector>();
    let clock: NodeClock = (0..=255).map(|slot| (slot, vector(1000 + u64::from(slot)))).collect();
    let bytes = peer::NodeClock::from(clock).encoded_len();
    assert!(bytes <= 768 * 5 + 100, "{bytes} bytes for 768 entries");
}

#[test]
fn broken_rules_are_named_by_their_field() {
    let clock = |slots: &[u32], origin_indexes: &[u32], seqs: &[u64]| {
        let clock = peer::NodeClock {
            origins: vec![1, 2],
            slots: slots.to_vec(),
            origin_indexes: origin_indexes.to_vec(),
            seqs: seqs.to_vec(),
        };
        NodeClock::try_from(clock).map_err(|error| error.field)
    };
    assert!(clock(&[0, 0, 9], &[0, 1, 0], &[1, 1, 5]).is_ok());
    assert_eq!(clock(&[0], &[0], &[]), Err("clock"));
    assert_eq!(clock(&[3, 2], &[0, 0], &[1, 1]), Err("clock"));
    assert_eq!(clock(&[3, 3], &[0, 0], &[1, 1]), Err("clock"));
    assert_eq!(clock(&[256], &[0], &[1]), Err("clock.slots"));
    assert_eq!(clock(&[0], &[2], &[1]), Err("clock.origin_indexes"));
    assert_eq!(clock(&[0], &[0], &[0]), Err("clock.seqs"));

    let kind = Increment::try_from(pb::IncrementRequest { kind: 99, ..Default::default() });
    assert_eq!(kind, invalid("kind", "is not known"));
    let empty = PushRequest::try_from(peer::PushDeltaRequest { message: None });
    assert_eq!(empty, invalid("push.message", "is missing"));
    let digest = peer::SlotDigest { slot: 0, clock_hash: 0, digest: Bytes::from_static(&[0; 15]) };
    assert_eq!(SlotDigest::try_from(digest), invalid("news.digests.digest", "is not 16 bytes"));
    let wanted = peer::Wanted { slot: 0, first: 5, last: 4 };
    let wanted =
        peer::PushDeltaResponse { message: Some(peer::push_delta_response::Message::Wanted(wanted)) };
    assert_eq!(PushReply::try_from(wanted), invalid("wanted.last", "is before first"));
}

#[test]
fn a_refusal_of_a_later_version_reads_as_its_text() {
    let unknown = peer::Refusal { text: "too tall".to_owned(), kind: None };
    assert_eq!(Refusal::try_from(unknown), Ok(Refusal::Violation("too tall".to_owned())));
}

#[test]
fn a_request_without_options_means_the_defaults() {
    let request = Increment::try_from(pb::IncrementRequest::default()).unwrap();
    assert_eq!(request, Increment::default());
}

quickcheck! {
    fn kinds_travel_as_their_codes(code: u8) -> bool {
        let request = pb::GetCounterRequest { key: String::new(), kind: i32::from(code) };
        let known = code == 0 || Kind::from_code(code).is_some();
        GetCounter::try_from(request).map(|read| read.kind) == Ok(Kind::from_code(code)) || !known
    }
}

fn check_round_trip<T, W>()
where
    T: Sample + TryFrom<W, Error = InvalidMessage>,
    W: From<T> + Message + Default,
{
    fn holds<T, W>(sampled: Sampled<T>) -> bool
    where
        T: Sample + TryFrom<W, Error = InvalidMessage>,
        W: From<T> + Message + Default,
    {
        let bytes = W::from(sampled.0.clone()).encode_to_vec();
        T::try_from(W::decode(&bytes[..]).unwrap()) == Ok(sampled.0)
    }
    QuickCheck::new().tests(100).quickcheck(holds::<T, W> as fn(Sampled<T>) -> bool);
}

fn check_damage<T, W>()
where
    T: Sample + TryFrom<W, Error = InvalidMessage>,
    W: From<T> + Message + Default,
{
    fn holds<T, W>(sampled: Sampled<T>, place: usize, value: u8, cut: usize) -> TestResult
    where
        T: Sample + TryFrom<W, Error = InvalidMessage>,
        W: From<T> + Message + Default,
    {
        let mut bytes = W::from(sampled.0).encode_to_vec();
        if bytes.is_empty() {
            return TestResult::discard();
        }
        let place = place % bytes.len();
        bytes[place] = value;
        if cut.is_multiple_of(4) {
            bytes.truncate(place);
        }
        if let Ok(Ok(read)) = W::decode(&bytes[..]).map(T::try_from) {
            // What is accepted is a value like any other.
            let again = W::from(read.clone()).encode_to_vec();
            return TestResult::from_bool(T::try_from(W::decode(&again[..]).unwrap()) == Ok(read));
        }
        TestResult::passed()
    }
    QuickCheck::new().tests(300).quickcheck(holds::<T, W> as fn(Sampled<T>, usize, u8, usize) -> TestResult);
}

/// Lets quickcheck draw values of types that are not of this crate.
#[derive(Clone, Debug)]
struct Sampled<T>(T);

impl<T: Sample> Arbitrary for Sampled<T> {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(T::sample(g))
    }
}

trait Sample: Clone + std::fmt::Debug + PartialEq + 'static {
    fn sample(g: &mut Gen) -> Self;
}

macro_rules! sample {
    ($($type:ty: $g:ident => $value:expr;)*) => {
        $(impl Sample for $type {
            fn sample($g: &mut Gen) -> Self {
                $value
            }
        })*
    };
}

sample! {
    bool: g => bool::arbitrary(g);
    u8: g => u8::arbitrary(g);
    u32: g => u32::arbitrary(g);
    u64: g => u64::arbitrary(g);
    i64: g => i64::arbitrary(g);
    String: g => String::arbitrary(g);
    Bytes: g => Vec::<u8>::arbitrary(g).into();
    Kind: g => *g.choose(&Kind::ALL).unwrap();
    NodeId: g => Self::from_u64(u64::sample(g));
    FoundingId: g => Self::from_u64(u64::sample(g));
    ReplicaId: g => Self::from_u64(u64::sample(g));
    Hlc: g => Self::from_u64(u64::sample(g));
    Owner: g => Self { node: NodeId::sample(g), epoch: u64::sample(g) };
    MemberRecord: g => Self { name: any_name(g), donors: map(g) };
    Roster: g => Self {
        founding: Option::sample(g),
        members: map(g),
        removed: Vec::sample(g).into_iter().collect(),
        replicas: map(g),
    };
    VersionVector: g => map::<ReplicaId, u64, Vec<_>>(g).into_iter().map(|(origin, seq)| (origin, seq.max(1))).collect();
    NodeClock: g => map::<u8, VersionVector, Vec<_>>(g).into_iter().collect();
    Identity: g => Self {
        name: any_name(g),
        node: NodeId::sample(g),
        replica: ReplicaId::sample(g),
        epoch: u64::sample(g),
        boot_nonce: u64::sample(g),
    };
    Hello: g => Self {
        cluster: any_name(g),
        protocol_min: 1,
        protocol_max: 2,
        identity: Identity::sample(g),
        is_guest: bool::sample(g),
        supersedes: Option::sample(g),
        durable_lsn: u64::sample(g),
        roster: Roster::sample(g),
        clock: NodeClock::sample(g),
        hlc: Hlc::sample(g),
    };
    PushedDelta: g => Self { slot: u8::sample(g), seq: u64::sample(g).max(1), payload: Bytes::sample(g) };
    PushRequest: g => match u8::sample(g) % 4 {
        0 => Self::Hello(Box::new(Hello::sample(g))),
        1 => Self::Roster(Roster::sample(g)),
        2 => Self::Deltas(Vec::sample(g)),
        _ => Self::Gone { slot: u8::sample(g) },
    };
    PushReply: g => match u8::sample(g) % 4 {
        0 => Self::Hello(Box::new(Hello::sample(g))),
        1 => Self::Refused(Refusal::sample(g)),
        2 => Self::Acked(map(g)),
        _ => Self::Wanted { slot: u8::sample(g), first: 1 + u64::sample(g) / 2, last: u64::MAX },
    };
    Refusal: g => match u8::sample(g) % 9 {
        0 => Self::WrongCluster { ours: String::sample(g), theirs: String::sample(g) },
        1 => Self::FoundedApart { ours: FoundingId::sample(g), theirs: FoundingId::sample(g) },
        2 => Self::Protocol { min: u32::sample(g), max: u32::sample(g) },
        3 => Self::Removed { node: NodeId::sample(g) },
        4 => Self::NameTaken { name: String::sample(g), holder: NodeId::sample(g) },
        5 => Self::WrongName { certified: String::sample(g), claimed: String::sample(g) },
        6 => Self::Stale { node: NodeId::sample(g) },
        7 => Self::NotReady,
        _ => Self::Violation(String::sample(g)),
    };
    SyncOpen: g => Self {
        node: NodeId::sample(g),
        replica: ReplicaId::sample(g),
        roster_hash: u64::sample(g),
        clock_hash: u64::sample(g),
        hello: bool::sample(g).then(|| Box::new(Hello::sample(g))),
    };
    SyncRequest: g => match u8::sample(g) % 3 {
        0 => Self::Open(SyncOpen::sample(g)),
        1 => Self::Clock { clock: NodeClock::sample(g), adopt: Vec::sample(g) },
        _ => Self::More,
    };
    SlotEnd: g => Self { clock: VersionVector::sample(g), hlc: Hlc::sample(g) };
    SlotPart: g => Self { slot: u8::sample(g), entries: Vec::sample(g), end: Option::sample(g) };
    SyncChunk: g => Self { roster: Roster::sample(g), slots: Vec::sample(g) };
    SyncReply: g => match u8::sample(g) % 6 {
        0 => Self::InSync,
        1 => Self::Unknown,
        2 => Self::Differs(Box::new(Hello::sample(g))),
        3 => Self::Chunk(SyncChunk::sample(g)),
        4 => Self::Done,
        _ => Self::Refused(Refusal::sample(g)),
    };
    SlotDigest: g => Self { slot: u8::sample(g), clock_hash: u64::sample(g), digest: u128::arbitrary(g) };
    Gossip: g => Self {
        node: NodeId::sample(g),
        replica: ReplicaId::sample(g),
        swim: Bytes::sample(g),
        roster_hash: u64::sample(g),
        roster: bool::sample(g).then(|| Box::new(Roster::sample(g))),
        clock_hash: u64::sample(g),
        digests: Vec::sample(g),
    };
    Ping: g => Self {
        swim: Bytes::sample(g),
        wall_millis: u64::sample(g),
        joining: bool::sample(g).then(|| (any_name(g), NodeId::sample(g))),
    };
    Holder: g => Self {
        node: NodeId::sample(g),
        boot_nonce: u64::sample(g),
        address: String::sample(g),
        is_dead: bool::sample(g),
    };
    Pong: g => Self {
        identity: Identity::sample(g),
        founding: Option::sample(g),
        is_guest: bool::sample(g),
        swim: Bytes::sample(g),
        wall_millis: u64::sample(g),
        holder: Option::sample(g),
    };
}

sample! {
    WriteOptions: g => Self {
        durability: if bool::sample(g) { Durability::Memory } else { Durability::Synced },
        replicas: u32::sample(g).max(1),
    };
    Increment: g => Self {
        key: String::sample(g),
        amount: i64::sample(g),
        kind: Option::sample(g),
        options: WriteOptions::sample(g),
    };
    Incremented: g => Self { value: i64::sample(g), is_exact: bool::sample(g) };
    GetCounter: g => Self { key: String::sample(g), kind: Option::sample(g) };
    Counter: g => Self { value: i64::sample(g), is_exact: bool::sample(g), kind: Option::sample(g) };
    SetRegister: g => Self {
        key: String::sample(g),
        value: Bytes::sample(g),
        kind: Option::sample(g),
        options: WriteOptions::sample(g),
    };
    GetRegister: g => Self { key: String::sample(g), kind: Option::sample(g) };
    Register: g => Self { values: Vec::sample(g), kind: Option::sample(g) };
    GetKey: g => Self { key: String::sample(g), kind: Option::sample(g) };
    KeyValue: g => match bool::sample(g) {
        true => Self::Counter { value: i64::sample(g), is_exact: bool::sample(g) },
        false => Self::Register { values: Vec::sample(g) },
    };
    KeyContent: g => Self { kinds: Vec::sample(g), value: Option::sample(g) };
    DeleteKey: g => Self { key: String::sample(g), kind: Option::sample(g), options: WriteOptions::sample(g) };
    Deleted: g => Self { existed: bool::sample(g) };
    ListKeys: g => Self {
        prefix: String::sample(g),
        kind: Option::sample(g),
        page_size: u32::sample(g),
        page_token: String::sample(g),
    };
    KeySummary: g => Self { key: String::sample(g), kind: Kind::sample(g) };
    KeyPage: g => Self { keys: Vec::sample(g), next_page_token: String::sample(g) };
    NodeUsage: g => Self {
        keys: u64::sample(g),
        log_bytes: u64::sample(g),
        memory_bytes: u64::sample(g),
        uptime_millis: u64::sample(g),
        snapshot: Option::sample(g),
        log_bytes_behind_snapshot: u64::sample(g),
    };
    NodeSnapshot: g => Self {
        start_lsn: u64::sample(g),
        bytes: u64::sample(g),
        age_millis: Option::sample(g),
    };
    SnapshotTaken: g => Self {
        start_lsn: u64::sample(g),
        bytes: u64::sample(g),
        duration_millis: u64::sample(g),
    };
    MemberState: g => {
        *g.choose(&[Self::Alive, Self::Suspect, Self::Dead, Self::Left, Self::Unknown]).unwrap()
    };
    MemberStatus: g => Self {
        name: any_name(g),
        node: Some(NodeId::from_u64(u64::sample(g).max(1))).filter(|_| bool::sample(g)),
        replica: Some(ReplicaId::from_u64(u64::sample(g).max(1))).filter(|_| bool::sample(g)),
        state: MemberState::sample(g),
        is_guest: bool::sample(g),
        client_address: String::sample(g),
        peer_address: String::sample(g),
        incarnation: u64::sample(g),
        since_millis: u64::sample(g),
        last_heard_millis: Option::sample(g),
        lag: u64::sample(g),
        usage: Option::sample(g),
    };
    ClusterStatus: g => Self {
        cluster: any_name(g),
        founding: Option::sample(g),
        version: String::sample(g),
        members: Vec::sample(g),
        is_converged: bool::sample(g),
        warnings: Vec::sample(g),
        awareness: u32::sample(g),
    };
}

impl<T: Sample> Sample for Option<T> {
    fn sample(g: &mut Gen) -> Self {
        if bool::arbitrary(g) { Some(T::sample(g)) } else { None }
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(g: &mut Gen) -> Self {
        let count = u8::arbitrary(g) % 6;
        (0..count).map(|_| T::sample(g)).collect()
    }
}

fn map<K: Sample, V: Sample, M: FromIterator<(K, V)>>(g: &mut Gen) -> M {
    let keys: Vec<K> = Vec::sample(g);
    keys.into_iter().map(|key| (key, V::sample(g))).collect()
}

fn any_name(g: &mut Gen) -> String {
    let name: String = String::arbitrary(g).chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("n{name}")
}
