//! Claims about flags.

use trellis_crdt::{Crdt, DwFlag, EwFlag};

use super::{A, B, contents, dot, join, joins};

#[test]
fn enabling_wins_over_a_disabling_that_did_not_see_it() {
    let (mut at_a, mut at_b) = (EwFlag::new(), EwFlag::new());
    let on = at_a.enable(dot(A, 1));
    at_b.merge(&on);
    let off = at_b.disable(dot(B, 1));
    let again = at_a.enable(dot(A, 2));
    assert!(joins(&[&on, &off]).iter().all(|all| !all.is_enabled()));
    assert!(joins(&[&on, &off, &again]).iter().all(EwFlag::is_enabled));
}

#[test]
fn a_disabled_ew_flag_is_empty() {
    let mut flag = EwFlag::new();
    assert!(flag.is_empty());
    flag.enable(dot(A, 1));
    assert!(!flag.is_empty());
    flag.disable(dot(A, 2));
    assert!(flag.is_empty() && !flag.is_enabled());
}

#[test]
fn disabling_wins_over_an_enabling_that_did_not_see_it() {
    let (mut at_a, mut at_b) = (DwFlag::new(), DwFlag::new());
    let on = at_a.enable(dot(A, 1));
    at_b.merge(&on);
    let off = at_b.disable(dot(B, 1));
    let again = at_a.enable(dot(A, 2));
    for mut both in joins(&[&off, &again, &on]) {
        assert!(!both.is_enabled() && !both.is_empty());
        both.enable(dot(B, 2));
        assert!(both.is_enabled());
    }
}

#[test]
fn a_deleted_dw_flag_keeps_what_the_deletion_did_not_see() {
    let mut at_a = DwFlag::new();
    let off = at_a.disable(dot(A, 1));
    let cleared = at_a.clear(dot(A, 2));
    assert_eq!((at_a.pieces().len(), cleared.pieces().len()), (0, 0));
    let on = DwFlag::new().enable(dot(B, 1));
    assert!(joins(&[&off, &on]).iter().all(|both| !both.is_enabled()));
    assert!(joins(&[&off, &cleared, &on]).iter().all(DwFlag::is_enabled));
}

#[test]
fn a_dw_flag_that_holds_only_disablings_reads_as_absent_and_keeps_them() {
    let (off, on) = (DwFlag::new().disable(dot(A, 1)), DwFlag::new().enable(dot(B, 1)));
    assert!(!off.is_enabled() && !off.is_empty());
    assert_eq!(contents(&off), [[1, 0, 0, 0, 0, 0, 0, 0, 1, 0]]);
    let mut collected = off.clone();
    collected.collect();
    // What is enabled where they were collected must not differ from what is enabled where they were not.
    assert_eq!(join([&collected, &on]).is_enabled(), join([&off, &on]).is_enabled());
    assert_eq!(contents(&join([&off, &on])).len(), 2);
    let mut cleared = off.clone();
    cleared.clear(dot(A, 2));
    assert!(cleared.is_empty() && contents(&cleared).is_empty());
}
