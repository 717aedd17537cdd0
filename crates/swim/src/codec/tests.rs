//! The bytes are what the module says, and no bytes do harm.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

#[test]
fn the_bytes_of_version_one_are_these() {
    let header = Header { epoch: 300, incarnation: 2, wants_exchange: true };
    let mut bytes = encode_head(7, header, &Body::Ping { target: "n2".to_owned() });
    let suspect = Member {
        id: "n3".to_owned(),
        epoch: 1,
        incarnation: 0,
        state: State::Suspect,
        addr: "h:1".to_owned(),
        meta: vec![9],
    };
    encode_update(&mut bytes, &suspect, Duration::from_millis(1500));
    let head = [7, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0xac, 2, 2, 2, b'n', b'2'];
    let record = [14, 1, 2, b'n', b'3', 1, 0, 3, b'h', b':', b'1', 1, 9, 0xdc, 0x0b];
    assert_eq!(bytes, [&head[..], &record[..]].concat());
}

#[test]
fn the_cluster_is_checked_before_version_and_content() {
    let other = 8_u64.to_le_bytes();
    assert_eq!(decode::<String>(&other, 7), Err(MessageError::OtherCluster));
    let of_next_version = [&7_u64.to_le_bytes()[..], &[2]].concat();
    assert_eq!(decode::<String>(&of_next_version, 7), Err(MessageError::UnknownVersion(2)));
    let of_unknown_kind = [&7_u64.to_le_bytes()[..], &[1, 200, 0, 0, 0]].concat();
    assert_eq!(decode::<String>(&of_unknown_kind, 7), Err(MessageError::UnknownKind(200)));
}

#[test]
fn states_fields_and_flags_of_later_versions_are_ignored() {
    let header = Header { epoch: 1, incarnation: 0, wants_exchange: false };
    let mut bytes = encode_head::<String>(7, header, &Body::Gossip);
    bytes[10] |= 0x80;
    bytes.extend_from_slice(&[3, 77, 1, 2]);
    bytes.extend_from_slice(&[9, 0, 1, b'x', 5, 6, 0, 0, 42, 43]);
    let message = decode::<String>(&bytes, 7).unwrap();
    assert_eq!((message.header, message.unknown_count), (header, 1));
    let ids: Vec<_> =
        message.updates.iter().map(|update| (&*update.member.id, update.member.stamp())).collect();
    assert_eq!(ids, [("x", (5, 6))]);
}

#[test]
fn fields_beyond_their_limits_are_refused() {
    let header = Header { epoch: 1, incarnation: 0, wants_exchange: false };
    let member = |id: usize, addr: usize, meta: usize, epoch: u64| Member {
        id: "i".repeat(id),
        epoch,
        incarnation: 0,
        state: State::Alive,
        addr: "a".repeat(addr),
        meta: vec![0; meta],
    };
    let decoded = |member: &Member<String>| {
        let mut bytes = encode_head::<String>(7, header, &Body::Gossip);
        encode_update(&mut bytes, member, Duration::ZERO);
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
        addr: "a".repeat(ADDR_BYTES_MAX),
        meta: vec![0; META_BYTES_MAX],
    };
    let mut bytes = Vec::new();
    encode_update(&mut bytes, &member, Duration::MAX);
    assert_eq!(bytes.len(), RECORD_BYTES_MAX);
}

quickcheck! {
    fn a_message_survives_its_bytes(message: Message<String>) -> bool {
        decode(&encode(&message), 7) == Ok(message)
    }

    fn arbitrary_bytes_give_no_more_records_than_bytes(bytes: Vec<u8>, kind: u8) -> bool {
        let behind_a_head = [&7_u64.to_le_bytes()[..], &[VERSION, kind % 8], &bytes].concat();
        decode::<String>(&bytes, 7).is_err()
            && decode::<String>(&behind_a_head, 7).map_or(true, |message| message.updates.len() <= bytes.len())
    }

    fn a_flipped_or_cut_message_gives_no_more_records_than_bytes(
        message: Message<String>,
        at: usize,
        bits: u8,
        is_cut: bool
    ) -> bool {
        let mut bytes = encode(&message);
        let at = at % bytes.len();
        bytes[at] ^= bits;
        bytes.truncate(if is_cut { at } else { bytes.len() });
        decode::<String>(&bytes, 7).map_or(true, |message| message.updates.len() <= bytes.len())
    }
}

fn encode(message: &Message<String>) -> Vec<u8> {
    let mut bytes = encode_head(7, message.header, &message.body);
    for update in &message.updates {
        encode_update(&mut bytes, &update.member, update.evidence_age.unwrap_or_default());
    }
    bytes
}

impl Arbitrary for Message<String> {
    fn arbitrary(g: &mut Gen) -> Self {
        let header = Header {
            epoch: u64::arbitrary(g) % EPOCH_MAX,
            incarnation: u64::arbitrary(g) % INCARNATION_MAX,
            wants_exchange: bool::arbitrary(g),
        };
        let target = id(g);
        let number = u64::arbitrary(g);
        let body = match number % 7 {
            0 => Body::Ping { target },
            1 => Body::PingRequest { target },
            2 => Body::Gossip,
            3 => Body::Join { instance: number },
            4 => Body::Ack,
            5 => Body::RelayedAck { target, epoch: number },
            _ => Body::State { instance: number },
        };
        Self { header, body, updates: Vec::arbitrary(g), unknown_count: 0 }
    }
}

impl Arbitrary for Update<String> {
    fn arbitrary(g: &mut Gen) -> Self {
        let state = *g.choose(&[State::Alive, State::Suspect, State::Dead, State::Left]).unwrap();
        let mut meta = Vec::arbitrary(g);
        meta.truncate(META_BYTES_MAX);
        let member = Member {
            id: id(g),
            epoch: u64::arbitrary(g) % EPOCH_MAX,
            incarnation: u64::arbitrary(g) % INCARNATION_MAX,
            state,
            addr: id(g),
            meta,
        };
        let age = Duration::from_millis(u64::from(u32::arbitrary(g)));
        Self { member, evidence_age: (state == State::Suspect).then_some(age) }
    }
}

fn id(g: &mut Gen) -> String {
    format!("n{}", u16::arbitrary(g))
}
