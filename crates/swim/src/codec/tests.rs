//! The bytes are what the module says, and no bytes do harm.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

#[test]
fn the_bytes_of_version_one_are_these() {
    let header = Header { epoch: 300, incarnation: 2, digest: 5, wants_record: true, is_quiet: true };
    let mut bytes = Vec::new();
    encode_head(&mut bytes, 7, header, &Body::Ping { target: "n2".to_owned() });
    let suspect = Member {
        id: "n3".to_owned(),
        epoch: 1,
        incarnation: 0,
        state: State::Suspect,
        addr: "h:1".into(),
        meta: [9].into(),
    };
    let witness = "b".to_owned();
    let sign = SignId { witness: &witness, stamp: 300 };
    encode_record(&mut bytes, &suspect, Duration::from_millis(1500), Some(sign), &["a".to_owned()]);
    let head = [7, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 0xac, 2, 2, 5, 0, 0, 0, 0, 0, 0, 0, 2, b'n', b'2'];
    let record = [21, 0, 1, 2, b'n', b'3', 1, 0, 3, b'h', b':', b'1', 1, 9];
    let told = [0xdc, 0x0b, 1, b'b', 0xac, 2, 1, 1, b'a'];
    assert_eq!(bytes, [&head[..], &record[..], &told[..]].concat());
}

#[test]
fn the_bytes_of_a_broadcast_are_these_and_its_origin_may_be_anyone() {
    let mut bytes = Vec::new();
    encode_broadcast(&mut bytes, &"n3".to_owned(), (300, 4), Priority::High, (b"k", &[9, 8]));
    let record = [13, 0, 128, 2, b'n', b'3', 0xac, 2, 4, 2, 1, b'k', 2, 9, 8];
    assert_eq!(bytes, record);
    let decoded = decode_broadcast::<String>(&record[3..]).unwrap();
    let expected = Broadcast {
        origin: "n3".to_owned(),
        epoch: 300,
        version: 4,
        priority: Priority::High,
        key: &b"k"[..],
        payload: &[9, 8],
    };
    assert_eq!(decoded, expected);
}

#[test]
fn a_priority_of_a_later_version_is_the_highest_and_what_follows_the_payload_is_ignored() {
    let priority = |code: u8| {
        let record = [1, b'b', 1, 1, code, 0, 0, 77, 78];
        decode_broadcast::<String>(&record).map(|broadcast| broadcast.priority)
    };
    let expected = [Priority::Low, Priority::Normal, Priority::High, Priority::High];
    assert_eq!([0, 1, 2, 200].map(priority), expected.map(Ok));
}

#[test]
fn a_broadcast_beyond_a_limit_is_left_out_and_one_at_all_limits_is_not() {
    let header = Header { epoch: 1, incarnation: 0, digest: 0, wants_record: false, is_quiet: false };
    let decoded = |id: usize, stamp: (u64, u64), key: usize, payload: usize| {
        let mut bytes = Vec::new();
        encode_head::<String>(&mut bytes, 7, header, &Body::Gossip);
        let head = bytes.len();
        let content = (&*vec![0; key], &*vec![0; payload]);
        encode_broadcast(&mut bytes, &"i".repeat(id), stamp, Priority::Low, content);
        let message = decode::<String>(&bytes, 7).unwrap();
        (message.broadcasts.len(), message.spoiled_count, bytes.len() - head)
    };
    assert_eq!(decoded(64, (EPOCH_MAX, VERSION_MAX), 64, 1024), (1, 0, BROADCAST_BYTES_MAX));
    for (id, stamp, key, payload) in [
        (65, (0, 0), 0, 0),
        (0, (0, 0), 0, 0),
        (1, (EPOCH_MAX + 1, 0), 0, 0),
        (1, (0, VERSION_MAX + 1), 0, 0),
        (1, (0, 0), 65, 0),
        (1, (0, 0), 0, 1025),
    ] {
        let (taken, spoiled, _) = decoded(id, stamp, key, payload);
        assert_eq!((taken, spoiled), (0, 1), "{id} {stamp:?} {key} {payload}");
    }
}

#[test]
fn the_cluster_is_checked_before_version_and_content() {
    let other = 8_u64.to_le_bytes();
    assert_eq!(decode::<String>(&other, 7), Err(MessageError::OtherCluster));
    let of_next_version = [&7_u64.to_le_bytes()[..], &[2]].concat();
    assert_eq!(decode::<String>(&of_next_version, 7), Err(MessageError::UnknownVersion(2)));
    let of_unknown_kind = [&7_u64.to_le_bytes()[..], &[1, 200, 0, 0, 0], &[0; 8]].concat();
    assert_eq!(decode::<String>(&of_unknown_kind, 7), Err(MessageError::UnknownKind(200)));
}

#[test]
fn states_fields_and_flags_of_later_versions_are_ignored() {
    let header = Header { epoch: 1, incarnation: 0, digest: 0, wants_record: false, is_quiet: false };
    let mut bytes = Vec::new();
    encode_head::<String>(&mut bytes, 7, header, &Body::Gossip);
    bytes[10] |= 0x80;
    bytes.extend_from_slice(&[3, 0, 77, 1, 2]);
    bytes.extend_from_slice(&[9, 0, 0, 1, b'x', 5, 6, 0, 0, 42, 43]);
    let message = decode::<String>(&bytes, 7).unwrap();
    assert_eq!((message.header, message.unknown_count), (header, 1));
    let ids: Vec<_> = message.updates.iter().map(|update| (&*update.id, update.stamp())).collect();
    assert_eq!(ids, [("x", (5, 6))]);
}

#[test]
fn fields_beyond_their_limits_are_refused() {
    let header = Header { epoch: 1, incarnation: 0, digest: 0, wants_record: false, is_quiet: false };
    let member = |id: usize, addr: usize, meta: usize, epoch: u64| Member {
        id: "i".repeat(id),
        epoch,
        incarnation: 0,
        state: State::Alive,
        addr: "a".repeat(addr).into(),
        meta: vec![0; meta].into(),
    };
    let decoded = |member: &Member<String>| {
        let mut bytes = Vec::new();
        encode_head::<String>(&mut bytes, 7, header, &Body::Gossip);
        encode_record(&mut bytes, member, Duration::ZERO, None, &[]);
        decode::<String>(&bytes, 7).map(|message| message.updates.len())
    };
    assert_eq!(decoded(&member(64, 261, 512, EPOCH_MAX)), Ok(1));
    for beyond in [
        member(65, 0, 0, 0),
        member(0, 0, 0, 0),
        member(1, 262, 0, 0),
        member(1, 0, 513, 0),
        member(1, 0, 0, EPOCH_MAX + 1),
    ] {
        assert!(matches!(decoded(&beyond), Err(MessageError::Malformed(_))), "{beyond:?}");
    }
}

#[test]
fn the_longest_record_is_as_long_as_said() {
    let member = Member {
        id: "i".repeat(ID_BYTES_MAX),
        epoch: EPOCH_MAX,
        incarnation: INCARNATION_MAX,
        state: State::Suspect,
        addr: "a".repeat(ADDR_BYTES_MAX).into(),
        meta: vec![0; META_BYTES_MAX].into(),
    };
    let mut bytes = Vec::new();
    let sign = SignId { witness: &member.id, stamp: u64::MAX };
    encode_record(&mut bytes, &member, Duration::MAX, Some(sign), &vec![member.id.clone(); 5]);
    assert_eq!(bytes.len(), RECORD_BYTES_MAX);
}

#[test]
fn the_longest_head_is_as_long_as_said() {
    let stamp = Header {
        epoch: EPOCH_MAX,
        incarnation: INCARNATION_MAX,
        digest: 0,
        wants_record: true,
        is_quiet: true,
    };
    let longest = "i".repeat(ID_BYTES_MAX);
    let bodies = [
        Body::Sync { instance: 1, ask: Ask::Differing([u64::MAX; BUCKETS]) },
        Body::Sync { instance: 1, ask: Ask::After { buckets: 0, id: longest.clone() } },
        Body::State { instance: 1, differing: 0, more_after: Some(longest.clone()) },
        Body::RelayedAck { target: longest, epoch: u64::MAX },
    ];
    let lengths = bodies.map(|body| {
        let mut bytes = Vec::new();
        encode_head(&mut bytes, 7, stamp, &body);
        bytes.len()
    });
    assert_eq!(lengths.into_iter().max(), Some(HEAD_BYTES_MAX), "{lengths:?}");
    let mut ping = Vec::new();
    encode_head(&mut ping, 7, stamp, &Body::Ping { target: "i".repeat(ID_BYTES_MAX) });
    assert_eq!(ping.len(), PING_HEAD_BYTES_MAX);
}

#[test]
fn too_many_accusers_and_an_id_of_no_bytes_are_refused() {
    let record = |tail: &[u8]| [&[1, 1, b'b', 1, 0, 0, 0, 0, 1, b'w', 7][..], tail].concat();
    let told = |bytes: &[u8]| decode_update::<String>(bytes).map(|update| update.unwrap().told);
    let accusers = |bytes: &[u8]| told(bytes).map(|told| told.accusers.len());
    let of_nobody = told(&[1, 1, b'b', 1, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!((of_nobody.sign, of_nobody.accusers), (None, vec![]));
    assert_eq!(accusers(&record(&[1, 1, b'c'])), Ok(1));
    assert_eq!(accusers(&record(&[4])), Err(MessageError::Malformed("too many accusers")));
    assert_eq!(accusers(&record(&[1, 0])), Err(MessageError::Malformed("not an id")));
    assert_eq!(accusers(&record(&[])), Err(MessageError::Malformed("cut short")));
}

quickcheck! {
    fn a_message_survives_its_bytes(message: Owned) -> bool {
        let bytes = message.encode();
        let decoded = decode::<String>(&bytes, 7).unwrap();
        let records: Vec<_> = decoded
            .updates
            .iter()
            .map(|update| (update.to_member(None), update.told.clone()))
            .collect();
        let broadcasts: Vec<_> = decoded.broadcasts.iter().map(Word::of).collect();
        (decoded.header, &decoded.body, records, broadcasts)
            == (message.header, &message.body, message.records, message.broadcasts)
    }

    fn arbitrary_bytes_give_no_more_records_than_bytes(bytes: Vec<u8>, kind: u8) -> bool {
        let behind_a_head = [&7_u64.to_le_bytes()[..], &[VERSION, kind % 9], &bytes].concat();
        decode::<String>(&bytes, 7).is_err()
            && decode::<String>(&behind_a_head, 7).map_or(true, |message| count(&message) <= bytes.len())
    }

    fn a_flipped_or_cut_message_gives_no_more_records_than_bytes(
        message: Owned,
        at: usize,
        bits: u8,
        is_cut: bool
    ) -> bool {
        let mut bytes = message.encode();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        bytes.truncate(if is_cut { at } else { bytes.len() });
        decode::<String>(&bytes, 7).map_or(true, |message| count(&message) <= bytes.len())
    }
}

/// A message that borrows nothing.
#[derive(Clone, Debug)]
struct Owned {
    header: Header,
    body: Body<String>,
    records: Vec<(Member<String>, Told<String>)>,
    broadcasts: Vec<Word>,
}

/// A broadcast that borrows nothing: origin, stamp, priority, key, payload.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word(String, (u64, u64), Priority, Vec<u8>, Vec<u8>);

impl Word {
    fn of(it: &Broadcast<'_, String>) -> Self {
        Self(it.origin.clone(), (it.epoch, it.version), it.priority, it.key.to_vec(), it.payload.to_vec())
    }
}

fn count(message: &Message<'_, String>) -> usize {
    message.updates.len() + message.broadcasts.len()
}

impl Owned {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_head(&mut bytes, 7, self.header, &self.body);
        for (member, told) in &self.records {
            let sign = told.sign.as_ref().map(SignId::as_ref);
            encode_record(&mut bytes, member, told.age, sign, &told.accusers);
        }
        for Word(origin, stamp, priority, key, payload) in &self.broadcasts {
            encode_broadcast(&mut bytes, origin, *stamp, *priority, (key, payload));
        }
        bytes
    }
}

impl Arbitrary for Owned {
    fn arbitrary(g: &mut Gen) -> Self {
        let header = Header {
            epoch: u64::arbitrary(g) % EPOCH_MAX,
            incarnation: u64::arbitrary(g) % INCARNATION_MAX,
            digest: u64::arbitrary(g),
            wants_record: bool::arbitrary(g),
            is_quiet: bool::arbitrary(g),
        };
        let target = id(g);
        let number = u64::arbitrary(g);
        let buckets = u16::arbitrary(g);
        let body = match number % 10 {
            0 => Body::Ping { target },
            1 => Body::PingRequest { target },
            2 => Body::Gossip,
            3 => Body::Sync { instance: number, ask: Ask::Differing([number; BUCKETS]) },
            4 => Body::Sync { instance: number, ask: Ask::After { buckets, id: target } },
            5 => Body::Sync { instance: number, ask: Ask::Nothing },
            6 => Body::Ack,
            7 => Body::RelayedAck { target, epoch: number },
            8 => Body::RelayedNack { target },
            _ => {
                let more_after = bool::arbitrary(g).then_some(target);
                Body::State { instance: number, differing: buckets, more_after }
            }
        };
        let count = usize::arbitrary(g) % 8;
        let records = (0..count).map(|_| record(g)).collect();
        let broadcasts = (0..usize::arbitrary(g) % 4).map(|_| word(g)).collect();
        Self { header, body, records, broadcasts }
    }
}

fn record(g: &mut Gen) -> (Member<String>, Told<String>) {
    let state = *g.choose(&[State::Alive, State::Suspect, State::Dead, State::Left]).unwrap();
    let mut meta = Vec::arbitrary(g);
    meta.truncate(META_BYTES_MAX);
    let member = Member {
        id: id(g),
        epoch: u64::arbitrary(g) % EPOCH_MAX,
        incarnation: u64::arbitrary(g) % INCARNATION_MAX,
        state,
        addr: id(g).into(),
        meta: meta.into(),
    };
    let age = Duration::from_millis(u64::from(u32::arbitrary(g)));
    let age = if state == State::Alive { Duration::ZERO } else { age };
    let mut told = Told { age, ..Told::nothing() };
    if state == State::Suspect {
        told.sign = bool::arbitrary(g).then(|| SignId { witness: id(g), stamp: u64::arbitrary(g) });
        told.accusers = (0..usize::arbitrary(g) % (ACCUSERS_MAX + 1)).map(|_| id(g)).collect();
    }
    (member, told)
}

fn word(g: &mut Gen) -> Word {
    let stamp = (u64::arbitrary(g) % EPOCH_MAX, u64::arbitrary(g) % VERSION_MAX);
    let priority = *g.choose(&[Priority::Low, Priority::Normal, Priority::High]).unwrap();
    let (mut key, mut payload) = (Vec::arbitrary(g), Vec::arbitrary(g));
    key.truncate(BROADCAST_KEY_BYTES_MAX);
    payload.truncate(BROADCAST_PAYLOAD_BYTES_MAX);
    Word(id(g), stamp, priority, key, payload)
}

fn id(g: &mut Gen) -> String {
    format!("n{}", u16::arbitrary(g))
}
