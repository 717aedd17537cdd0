//! Rot, missing files and unreadable bytes: the log refuses, or loses nothing that anyone was promised.

use trellis_wal::{Damage, Lsn, MemoryDisk, OpenError};

use crate::support::{End, Node, SEED, framed_bytes, log_of_sixty, records_to, segments};

#[test]
fn a_flipped_bit_anywhere_in_an_attested_log_is_refused_or_harmless() {
    for end in [End::Attested, End::Sealed] {
        let disk = log_of_sixty(end);
        let refused = for_each_flip(&disk, |file, offset, opened| match opened {
            Ok(node) => {
                assert_eq!(node.held, records_to(60), "{file} at {offset}");
                false
            }
            Err(OpenError::Corrupt { .. }) => true,
            Err(other) => panic!("{file} at {offset}: {other}"),
        });
        // The headers and the records: what is left is space that no record uses.
        assert!(refused > 4 * 4096, "{refused} flips were refused");
    }
}

#[test]
fn a_flipped_bit_in_the_last_group_before_a_crash_leaves_a_doubt() {
    let disk = log_of_sixty(End::Unattested);
    let (mut shortened, mut fewest) = (0, 60);
    for_each_flip(&disk, |file, offset, opened| match opened {
        Ok(node) => {
            assert!(!node.report.tail_certain, "{file} at {offset}");
            assert!((55..=60).contains(&node.held.len()), "{file} at {offset}: {}", node.held.len());
            assert_eq!(node.held, records_to(node.held.len() as u64), "{file} at {offset}");
            shortened += usize::from(node.held.len() < 60);
            fewest = fewest.min(node.held.len() as u64);
            false
        }
        Err(OpenError::Corrupt { .. }) => true,
        Err(other) => panic!("{file} at {offset}: {other}"),
    });
    let last_group = framed_bytes(fewest + 1..=60);
    assert_eq!(shortened, last_group, "the group after LSN {fewest}");
}

#[test]
fn damage_is_told_with_its_file_its_offset_and_its_records() {
    let disk = log_of_sixty(End::Attested);
    let first = &segments(&disk)[0];
    let mut bytes = disk.contents(first).unwrap();
    let offset = 4096 + framed_bytes(1..=1);
    bytes[offset + 30] ^= 1;
    disk.overwrite(first, &bytes);
    let Err(OpenError::Corrupt { file, offset: found, lsns, damage }) = Node::open(&disk) else {
        panic!("the second record is damaged");
    };
    assert_eq!((&file, found, *lsns.start()), (first, offset as u64, Lsn::from_u64(2)));
    assert!(matches!(damage, Damage::Record { valid_after } if valid_after > 5), "{damage:?}");
}

#[test]
fn rot_of_an_attestation_behind_which_a_record_stands_is_no_torn_tail() {
    let disk = MemoryDisk::new();
    let mut node = Node::open(&disk).unwrap();
    node.write_to(5);
    node.syncer.attest().unwrap();
    node.write_to(6);
    drop(node);
    let name = &segments(&disk)[0];
    let mut bytes = disk.contents(name).unwrap();
    let attestation = 4096 + framed_bytes(1..=5);
    bytes[attestation] ^= 1;
    disk.overwrite(name, &bytes);
    assert!(matches!(Node::open(&disk), Err(OpenError::Corrupt { damage: Damage::Record { .. }, .. })));
}

#[test]
fn a_missing_segment_is_refused_wherever_it_was() {
    let disk = log_of_sixty(End::Sealed);
    let names = segments(&disk);
    assert!(names.len() >= 3, "{names:?}");
    for (index, name) in names.iter().enumerate() {
        let copy = disk.duplicate();
        copy.delete(name);
        let Err(OpenError::Corrupt { damage, .. }) = Node::open(&copy) else { panic!("{name} is missing") };
        let expected = match index {
            0 => Damage::PredecessorMissing,
            last if last == names.len() - 1 => Damage::SuccessorMissing,
            _ => Damage::Chain,
        };
        assert_eq!(damage, expected, "{name}");
    }
}

#[test]
fn a_segment_that_was_cut_is_refused_wherever_it_was_cut() {
    for end in [End::Sealed, End::Attested, End::Unattested] {
        let disk = log_of_sixty(end);
        for name in segments(&disk) {
            let bytes = disk.contents(&name).unwrap();
            let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
            for cut in (0..used).step_by(8) {
                let copy = disk.duplicate();
                copy.overwrite(&name, &bytes[..cut]);
                match Node::open(&copy) {
                    Err(OpenError::Corrupt { .. }) => {}
                    // Only the seal of a segment that has a successor can be missing without a loss.
                    Ok(node) => assert_eq!(node.held, records_to(60), "{name} cut at {cut}"),
                    Err(other) => panic!("{name} cut at {cut}: {other}"),
                }
            }
        }
    }
}

#[test]
fn segments_that_changed_names_are_refused() {
    let disk = log_of_sixty(End::Sealed);
    let names = segments(&disk);
    let (first, second) = (disk.contents(&names[0]).unwrap(), disk.contents(&names[1]).unwrap());
    disk.overwrite(&names[0], &second);
    disk.overwrite(&names[1], &first);
    assert!(matches!(Node::open(&disk), Err(OpenError::Corrupt { damage: Damage::Chain, .. })));
}

#[test]
fn a_segment_under_two_names_is_refused() {
    let disk = log_of_sixty(End::Sealed);
    let names = segments(&disk);
    let taken: Vec<_> = names.iter().map(|name| name[4..24].parse::<u64>().unwrap()).collect();
    for name in &names {
        for first in (1..=61).filter(|first| !taken.contains(first)) {
            let copy = disk.duplicate();
            copy.overwrite(&format!("wal-{first:020}.log"), &disk.contents(name).unwrap());
            assert!(
                matches!(Node::open(&copy), Err(OpenError::Corrupt { damage: Damage::Chain, .. })),
                "{first}"
            );
        }
        for other in names.iter().filter(|other| *other != name) {
            let copy = disk.duplicate();
            copy.overwrite(other, &disk.contents(name).unwrap());
            assert!(matches!(Node::open(&copy), Err(OpenError::Corrupt { .. })), "{name} as {other}");
        }
    }
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let (disk, other) = (log_of_sixty(End::Sealed), MemoryDisk::new());
    let seed = trellis_wal::OpenSeed { log_uuid: [8; 16], ..SEED };
    let opened = trellis_wal::open(other.clone(), crate::support::CONFIG, seed).unwrap();
    let mut node = Node { log: opened.log, syncer: opened.syncer, held: Vec::new(), report: opened.report };
    node.write_to(60);
    node.syncer.seal().unwrap();
    let name = &segments(&disk)[1];
    disk.overwrite(name, &other.contents(name).unwrap());
    assert!(matches!(Node::open(&disk), Err(OpenError::Corrupt { damage: Damage::Chain, .. })));
}

#[test]
fn a_segment_of_a_fork_of_the_log_is_refused() {
    let (disk, fork) = (log_of_sixty(End::Sealed), MemoryDisk::new());
    let mut node = Node::open(&fork).unwrap();
    for _ in 0..60 {
        node.log.enqueue(&[1; 150]).unwrap();
        node.syncer.sync_once().unwrap();
    }
    node.syncer.seal().unwrap();
    for name in &segments(&disk)[1..] {
        disk.delete(name);
    }
    for name in &segments(&fork)[1..] {
        disk.overwrite(name, &fork.contents(name).unwrap());
    }
    assert!(matches!(Node::open(&disk), Err(OpenError::Corrupt { .. })));
}

#[test]
fn a_read_error_is_never_taken_for_the_end() {
    let disk = log_of_sixty(End::Unattested);
    for name in segments(&disk) {
        for offset in [0, 4096, 4100, 5000, 5630] {
            let copy = disk.duplicate();
            if (offset as usize) < copy.contents(&name).unwrap().len() {
                copy.make_unreadable(&name, offset);
                assert!(matches!(Node::open(&copy), Err(OpenError::Read { .. })), "{name} at {offset}");
            }
        }
    }
}

#[test]
fn a_refused_log_is_left_as_it_was() {
    let disk = log_of_sixty(End::Attested);
    let name = segments(&disk).pop().unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    bytes[4100] ^= 1;
    disk.overwrite(&name, &bytes);
    for _ in 0..2 {
        assert!(matches!(Node::open(&disk), Err(OpenError::Corrupt { .. })));
    }
    assert_eq!(disk.contents(&name), Some(bytes));
    assert!(disk.quarantined().is_empty());
}

#[test]
fn any_bytes_in_place_of_a_segment_are_refused_or_read() {
    fn never_panics(noise: Vec<u8>, at: u16) -> bool {
        let disk = log_of_sixty(End::Unattested);
        let name = segments(&disk).pop().unwrap();
        let mut bytes = disk.contents(&name).unwrap();
        let start = 4096 + usize::from(at) % 1536;
        bytes.iter_mut().skip(start).zip(noise).for_each(|(byte, noise)| *byte = noise);
        disk.overwrite(&name, &bytes);
        Node::open(&disk).map_or(true, |node| records_to(60).starts_with(&node.held))
    }
    quickcheck::quickcheck(never_panics as fn(Vec<u8>, u16) -> bool);
}

/// Opens the log once for every byte of every segment, with a bit of it flipped; counts what `is_refused`.
fn for_each_flip(
    disk: &MemoryDisk,
    mut is_refused: impl FnMut(&str, usize, Result<Node, OpenError>) -> bool,
) -> usize {
    let mut refused = 0;
    for name in segments(disk) {
        let bytes = disk.contents(&name).unwrap();
        for offset in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[offset] ^= 1 << (offset % 8);
            let copy = disk.duplicate();
            copy.overwrite(&name, &damaged);
            refused += usize::from(is_refused(&name, offset, Node::open(&copy)));
        }
    }
    refused
}
