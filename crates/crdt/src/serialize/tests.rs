//! Round trips through a format for people and one for machines, and refusal of what was damaged.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use core::fmt::Debug;

use serde_test::{Compact, Configure, Token, assert_de_tokens_error, assert_tokens};

use super::*;
use crate::atom::Atom;
use crate::dot_store::DotFun;

#[test]
fn names_and_clocks_have_a_natural_form() {
    is_json(&A, r#""00000000000000ab""#);
    is_json(&Dot::new(A, 7), r#"{"actor":"00000000000000ab","seq":7}"#);
    is_json(&Hlc::from_parts(1_700_000_000_000, 3), r#"{"wall_millis":1700000000000,"logical":3}"#);
    is_json(
        &VersionVector::from_iter([Dot::new(B, 300), Dot::new(A, 7)]),
        r#"{"00000000000000ab":7,"00000000000000cd":300}"#,
    );
    is_json(&VersionVector::<ReplicaId>::new(), "{}");
    for kind in Kind::ALL {
        is_json(&kind, &format!("\"{kind}\""));
    }
    // Other actors have the form that they themselves have.
    is_json(&Dot::new(5_u8, 7), r#"{"actor":5,"seq":7}"#);
    is_json(&VersionVector::from(Dot::new(5_u8, 7)), r#"{"5":7}"#);
}

#[test]
fn machines_get_integers_and_bytes() {
    assert_tokens(&A.compact(), &[Token::U64(0xab)]);
    assert_tokens(&Kind::OrSet.compact(), &[Token::U8(6)]);
    assert_tokens(&Hlc::from_parts(1, 2).compact(), &[Token::U64(0x0001_0002)]);
    let mut flag = EwFlag::new();
    flag.enable(Dot::new(A, 1));
    assert_tokens(&flag.compact(), &[Token::Bytes(&[1, 0xab, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0])]);
    let damaged = [Token::Bytes(&[1, 0xab, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0])];
    assert_de_tokens_error::<Compact<EwFlag>>(&damaged, "a seq is zero");
    assert_de_tokens_error::<Compact<Kind>>(&[Token::U8(9)], "kind 9 is not supported");
    // A struct without names is its fields in a row.
    let dot = [Token::Seq { len: Some(2) }, Token::U64(0xab), Token::U64(7), Token::SeqEnd];
    serde_test::assert_de_tokens(&Dot::new(A, 7).compact(), &dot);
    for fields in 0..2 {
        let mut short = Vec::from([Token::Seq { len: None }]);
        short.extend((0..fields).map(|_| Token::U64(1)));
        short.push(Token::SeqEnd);
        let told = format!("invalid length {fields}, expected the fields actor and seq");
        assert_de_tokens_error::<Compact<Dot>>(&short, &told);
    }
}

#[test]
fn values_are_their_canonical_bytes() {
    let (dot, mut counter) = (Dot::new(A, 1), PnCounter::new());
    counter.increment(dot, 5).unwrap();
    is_json(&counter, r#""01ab0000000000000001010000010005""#);
    let delta = Delta { dot, entry: Entry { atom: Atom::new("k", Kind::PnCounter), value: counter.into() } };
    is_json(&delta, r#""0102016bab000000000000000100010000010005""#);
    is_json(&delta.entry, r#""0102016b01ab0000000000000001010000010005""#);

    let mut g_counter = GCounter::new();
    g_counter.increment(dot, 5).unwrap();
    comes_back(&g_counter);
    let mut lww_register = LwwRegister::new();
    lww_register.set(dot, Hlc::ZERO, Box::<[u8]>::from(*b"x"));
    comes_back(&lww_register);
    let mut mv_register = MvRegister::new();
    mv_register.set(dot, Box::<[u8]>::from(*b"x"));
    comes_back(&mv_register);
    let (mut g_set, mut or_set) = (GSet::<u8>::new(), OrSet::<u8>::new());
    g_set.insert(dot, 7);
    or_set.insert(dot, 7);
    comes_back(&g_set);
    comes_back(&or_set);
    let (mut ew_flag, mut dw_flag) = (EwFlag::new(), DwFlag::new());
    ew_flag.enable(dot);
    dw_flag.disable(dot);
    comes_back(&ew_flag);
    comes_back(&dw_flag);
    let mut causal = Causal::<DotFun<ReplicaId, u8>>::new();
    causal.replace(dot, DotFun::one(dot, 7));
    comes_back(&causal);
}

#[test]
fn what_is_damaged_is_refused() {
    is_refused::<ReplicaId>(
        r#""00000000000000AB""#,
        "expected a replica id of 16 lowercase hexadecimal digits",
    );
    is_refused::<Kind>(r#""counter""#, "expected the name of a kind");
    is_refused::<Kind>("2", "expected the name of a kind");
    is_refused::<Hlc>(r#"{"wall_millis":281474976710656,"logical":0}"#, "beyond 48 bits");
    is_refused::<Hlc>(r#"{"wall_millis":1,"logical":65536}"#, "expected u16");
    is_refused::<Hlc>("7", "expected the fields wall_millis and logical");
    is_refused::<Dot>(r#"{"actor":"00000000000000ab","seq":0}"#, "a seq is zero");
    is_refused::<Dot>(r#"{"actor":"00000000000000ab"}"#, "missing field `seq`");
    is_refused::<Dot>(r#"{"seq":1}"#, "missing field `actor`");
    is_refused::<Dot>(r#"{"seq":1,"seq":1}"#, "the field seq is unknown or there twice");
    is_refused::<Dot>(r#"{"node":1}"#, "the field node is unknown or there twice");
    is_refused::<VersionVector>(r#"{"00000000000000ab":0}"#, "a seq is zero");
    let twice = r#"{"00000000000000ab":1,"00000000000000ab":2}"#;
    is_refused::<VersionVector>(twice, "ReplicaId(00000000000000ab) is named twice");
    is_refused::<VersionVector>("7", "expected a map from actors to their seqs");

    let pairs = "pairs of lowercase hexadecimal digits";
    is_refused::<PnCounter>(r#""0""#, pairs);
    is_refused::<PnCounter>(r#""0G""#, pairs);
    is_refused::<PnCounter>(r#""0A""#, pairs);
    is_refused::<PnCounter>("7", "expected the canonical bytes of a value");
    is_refused::<PnCounter>(
        r#""01ab0000000000000001010000010000""#,
        "a part that should have been left out is zero",
    );
    is_refused::<PnCounter>(r#""000000""#, "1 bytes are left over");
    is_refused::<Delta<'_>>(r#""02""#, "format version 2 is not supported");
    is_refused::<Entry<'_>>(r#""0109""#, "kind 9 is not supported");
}

#[test]
fn a_map_in_another_order_is_the_same_clock() {
    let clock: VersionVector =
        serde_json::from_str(r#"{"00000000000000cd":300,"00000000000000ab":7}"#).unwrap();
    assert!(clock.iter().eq([(A, 7), (B, 300)]));
}

fn is_json<T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug>(value: &T, json: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    comes_back(value);
}

fn comes_back<T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
}

fn is_refused<T: for<'de> Deserialize<'de> + Debug>(json: &str, told: &str) {
    let error = serde_json::from_str::<T>(json).unwrap_err().to_string();
    assert!(error.contains(told), "{error}");
}

const A: ReplicaId = ReplicaId::from_u64(0xab);
const B: ReplicaId = ReplicaId::from_u64(0xcd);
