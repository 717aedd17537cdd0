//! The bytes of deltas and entries.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;

use crate::laws::own::properties;

use super::*;
use crate::atom::KEY_BYTES_MAX;
use crate::counter::PnCounter;
use crate::flag::{DwFlag, EwFlag};
use crate::hlc::Hlc;
use crate::kind::Kind;
use crate::lattice::Crdt;
use crate::register::{LwwRegister, MvRegister};

properties! {
    fn arbitrary_bytes_never_panic_and_have_one_spelling(bytes: Vec<u8>, kind: u8) -> bool {
        let mut likely = vec![FORMAT_VERSION, kind % 10, 1, b'k'];
        likely.extend_from_slice(&bytes);
        [bytes, likely].iter().all(|bytes| {
            Entry::<ReplicaId>::decode(bytes).map_or(true, |entry| entry.encode() == *bytes)
                && Delta::<ReplicaId>::decode(bytes).map_or(true, |delta| delta.encode() == *bytes)
        })
    }
}

#[test]
fn the_bytes_of_an_increment_are_these() {
    let delta = increment();
    #[rustfmt::skip]
    let expected = [
        1,                                  // format
        2, 3, b'k', b'e', b'y',             // pn-counter, key
        0xef, 0xcd, 0xab, 0, 0, 0, 0, 0, 7, // dot
        0,                                  // it observed nobody else
        1, 0, 0,                            // one slot: the first actor listed, at the seq listed
        0x01, 0, 5,                         // form P, started at this seq, P
    ];
    assert_eq!(delta.encode(), expected);
    assert_eq!(Delta::decode(&expected), Ok(delta));
}

#[test]
fn the_bytes_of_an_entry_are_these() {
    let (a, b) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
    let mut register = LwwRegister::new();
    register.set(Dot::new(b, 300), Hlc::from_parts(1, 2), Box::from(*b"v"));
    register.delete(Dot::new(a, 1), Hlc::ZERO);
    let entry = Entry { atom: Atom::new("k", Kind::LwwRegister), value: register.into() };
    #[rustfmt::skip]
    let expected = [
        1,                                  // format
        3, 1, b'k',                         // lww-register, key
        2,                                  // two actors listed
        1, 0, 0, 0, 0, 0, 0, 0, 1,          // a at 1
        2, 0, 0, 0, 0, 0, 0, 0, 0xac, 0x02, // b at 300
        1, 1, 0,                            // a value, of the second actor listed, at the seq listed
        2, 0, 1, 0, 0, 0, 0, 0,             // stamp
        1, b'v',                            // value
    ];
    assert_eq!(entry.encode(), expected);
    assert_eq!(Entry::decode(&expected), Ok(entry));
}

#[test]
fn the_origins_are_the_actors_of_the_list() {
    let [a, b, c] = [1, 2, 3].map(ReplicaId::from_u64);
    let mut counter = PnCounter::new();
    counter.increment(Dot::new(c, 1), 1).unwrap();
    counter.increment(Dot::new(a, 1), 1).unwrap();
    let reset = counter.reset(Dot::new(b, 1));
    let entry = Entry { atom: Atom::new("key", Kind::PnCounter), value: reset.into() };
    assert!(entry.origins().eq([a, b, c]));
    assert!(Delta { dot: Dot::new(b, 1), entry }.origins().eq([a, b, c]));
    assert!(increment().origins().eq([ReplicaId::from_u64(0x00ab_cdef)]));
}

#[test]
fn what_another_version_wrote_is_told_from_damage() {
    let bytes = increment().encode();
    let decode = |place: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[place] = byte;
        Delta::<ReplicaId>::decode(&changed).map(|delta| delta.dot)
    };
    let (kind, form) = (1, bytes.len() - 3);
    assert_eq!(decode(0, 2), Err(DecodeError::UnsupportedVersion { version: 2 }));
    assert_eq!(decode(kind, 0), Err(DecodeError::UnsupportedKind { code: 0 }));
    assert_eq!(decode(kind, 9), Err(DecodeError::UnsupportedKind { code: 9 }));
    assert_eq!(decode(form, 0x09), Err(DecodeError::UnsupportedForm { form: 0x09 }));
    // A g-counter's slot has no N.
    assert_eq!(decode(form, 0x02).map(|dot| dot.seq), Ok(7));
    let mut g_counter = bytes.clone();
    (g_counter[kind], g_counter[form]) = (Kind::GCounter.code(), 0x02);
    assert_eq!(Delta::<ReplicaId>::decode(&g_counter), Err(DecodeError::UnsupportedForm { form: 0x02 }));
}

#[test]
fn pieces_that_contradict_their_list_are_refused() {
    let bytes = increment().encode();
    let header = bytes.len() - 6;
    let decode = |pieces: &[u8]| {
        let bytes = [&bytes[..header], pieces].concat();
        Delta::<ReplicaId>::decode(&bytes).map(|delta| delta.dot.seq)
    };
    assert_eq!(decode(&[1, 0, 0, 0x01, 0, 5]), Ok(7));
    assert_eq!(decode(&[2, 0, 0, 0x01, 0, 5, 0, 0, 0x01, 0, 5]), Err(DecodeError::UncoveredDot));
    assert_eq!(decode(&[1, 1, 0, 0x01, 0, 5]), Err(DecodeError::UncoveredDot));
    assert_eq!(decode(&[1, 0, 7, 0x01, 0, 5]), Err(DecodeError::UncoveredDot));
    assert_eq!(decode(&[1, 0, 0, 0x01, 7, 5]), Err(DecodeError::ImpossibleSlot));
    assert_eq!(decode(&[1, 0, 0, 0x01, 0, 0]), Err(DecodeError::ZeroPart));
    assert_eq!(decode(&[1, 0, 0, 0x05, 0, 5, 0]), Err(DecodeError::ZeroPart));
    assert_eq!(decode(&[1, 0, 0, 0x05, 0, 5, 5]), Ok(7));
    assert_eq!(decode(&[1, 0, 0, 0x05, 0, 5, 6]), Err(DecodeError::ImpossibleSlot));
    assert_eq!(decode(&[1, 0, 0, 0x06, 0, 5, 5]), Ok(7));
    assert_eq!(decode(&[1, 0, 0, 0x06, 0, 5, 6]), Err(DecodeError::ImpossibleSlot));
}

#[test]
fn slots_out_of_order_are_refused() {
    let mut counter = PnCounter::new();
    for actor in 1..=2 {
        counter.increment(Dot::new(ReplicaId::from_u64(actor), 1), 5).unwrap();
    }
    let entry = Entry { atom: Atom::new("key", Kind::PnCounter), value: counter.into() };
    let mut bytes = entry.encode();
    let [first, second] = [bytes.len() - 10, bytes.len() - 5];
    assert_eq!((bytes[first], bytes[second]), (0, 1));
    bytes.swap(first, second);
    assert_eq!(Entry::<ReplicaId>::decode(&bytes), Err(DecodeError::Unsorted));
}

#[test]
fn a_delta_that_lists_its_own_actor_twice_is_refused() {
    let bytes = increment().encode();
    let list = bytes.len() - 7;
    let own = &bytes[list - 9..list - 1];
    let doubled = [&bytes[..list], &[1], own, &[3], &bytes[list + 1..]].concat();
    assert_eq!(Delta::<ReplicaId>::decode(&doubled), Err(DecodeError::Unsorted));
}

#[test]
fn keys_outside_their_limits_are_refused() {
    let decode = |key: &[u8]| {
        let mut bytes = vec![FORMAT_VERSION, Kind::PnCounter.code()];
        crate::codec::write_bytes(&mut bytes, key);
        bytes.extend_from_slice(&[0, 0]);
        Entry::<ReplicaId>::decode(&bytes).map(|entry| entry.atom.key.len())
    };
    assert_eq!(decode(&[b'k'; KEY_BYTES_MAX]), Ok(KEY_BYTES_MAX));
    assert_eq!(decode(b""), Err(DecodeError::KeyLength { bytes: 0 }));
    assert_eq!(decode(&[b'k'; KEY_BYTES_MAX + 1]), Err(DecodeError::KeyLength { bytes: KEY_BYTES_MAX + 1 }));
    assert_eq!(decode(&[0xff]), Err(DecodeError::KeyNotUtf8));
}

#[test]
fn the_bytes_of_an_element_are_these() {
    let (a, b) = (ReplicaId::from_u64(1), ReplicaId::from_u64(2));
    let mut presence = EwFlag::new();
    presence.enable(Dot::new(a, 1));
    presence.merge(&EwFlag::new().enable(Dot::new(b, 4)));
    presence.enable(Dot::new(b, 300));
    let element = Some(Cow::Borrowed(&b"elem"[..]));
    let entry =
        Entry { atom: Atom { element, ..Atom::new("k", Kind::OrSet) }, value: Value::OrSet(presence) };
    #[rustfmt::skip]
    let expected = [
        1,                                  // format
        6, 1, b'k', 4, b'e', b'l', b'e', b'm', // or-set, key, element
        2,                                  // two actors listed
        1, 0, 0, 0, 0, 0, 0, 0, 1,          // a at 1
        2, 0, 0, 0, 0, 0, 0, 0, 0xac, 0x02, // b at 300
        1, 1, 0,                            // one dot: of the second actor listed, at the seq listed
    ];
    assert_eq!(entry.encode(), expected);
    assert_eq!(Entry::decode(&expected), Ok(entry));
}

#[test]
fn the_bytes_of_a_flag_are_these() {
    let mut flag = DwFlag::new();
    let dot = Dot::new(ReplicaId::from_u64(1), 7);
    let delta =
        Delta { dot, entry: Entry { atom: Atom::new("k", Kind::DwFlag), value: flag.disable(dot).into() } };
    #[rustfmt::skip]
    let mut expected = [
        1,                                  // format
        8, 1, b'k',                         // dw-flag, key
        1, 0, 0, 0, 0, 0, 0, 0, 7,          // dot
        0,                                  // it observed nobody else
        1, 0, 0, 0,                         // one dot: the first actor listed, at the seq listed; it disables
    ];
    assert_eq!(delta.encode(), expected);
    assert_eq!(Delta::decode(&expected), Ok(delta));
    *expected.last_mut().unwrap() = 2;
    assert_eq!(Delta::<ReplicaId>::decode(&expected), Err(DecodeError::UnsupportedForm { form: 2 }));
}

#[test]
fn what_is_decoded_borrows_from_its_bytes() {
    let dot = Dot::new(ReplicaId::from_u64(1), 7);
    let value = MvRegister::new().set(dot, Cow::Borrowed(&b"value"[..])).into();
    let delta = Delta { dot, entry: Entry { atom: Atom::new("key", Kind::MvRegister), value } };
    let mut bytes = Vec::from(*b"before");
    delta.encode_into(&mut bytes);
    assert_eq!(bytes[6..], delta.encode());
    let decoded = Delta::<ReplicaId>::decode(&bytes[6..]).unwrap();
    assert_eq!(decoded, delta);
    let Value::MvRegister(register) = &decoded.entry.value else { panic!("it was an mv-register") };
    assert!(matches!(decoded.entry.atom.key, Cow::Borrowed("key")));
    assert!(register.values().all(|value| matches!(value, Cow::Borrowed(b"value"))));
}

#[test]
fn an_entry_of_pieces_that_are_spelled_already_is_the_entry() {
    let Delta { entry, .. } = increment();
    let mut pieces = Vec::new();
    entry.value.encode_pieces(&mut pieces);
    assert_eq!(Entry::encode_parts(&entry.atom, entry.value.context(), &pieces), entry.encode());
}

#[test]
fn pieces_and_a_list_that_were_kept_apart_make_the_value() {
    let [a, b] = [1, 2].map(ReplicaId::from_u64);
    let mut counter = PnCounter::new();
    counter.increment(Dot::new(a, 300), 5).unwrap();
    counter.increment(Dot::new(b, 1), -2).unwrap();
    let value = Value::from(counter);
    let mut pieces = Vec::new();
    value.encode_pieces(&mut pieces);
    let list = VersionVector::from_sorted([(a, 300), (b, 1)]).unwrap();
    let mut input = Reader::new(&pieces);
    assert_eq!(Value::decode_pieces(Kind::PnCounter, list, &mut input), Ok(value));
    assert!(input.is_empty());
}

fn increment() -> Delta<'static> {
    let dot = Dot::new(ReplicaId::from_u64(0x00ab_cdef), 7);
    let value = PnCounter::new().increment(dot, 5).unwrap().into();
    Delta { dot, entry: Entry { atom: Atom::new("key", Kind::PnCounter), value } }
}
