//! P13 on stable: the corpus of the fuzz target, and changes of each of its files, are taken or refused, and no more.
//!
//! Each file is one message of cluster 7. A message that made the decoder fail becomes a further one.

use std::fs;
use std::path::PathBuf;

use quickcheck::quickcheck;

#[path = "corpus/check.rs"]
mod check;

#[test]
fn every_file_of_the_corpus_is_taken_or_refused() {
    let corpus = corpus();
    assert!(corpus.len() >= 9, "one for each kind of message: {}", corpus.len());
    corpus.iter().for_each(|(_, bytes)| check::take(bytes));
}

#[test]
fn every_file_of_the_corpus_is_of_the_cluster_and_its_kind_is_in_its_name() {
    let kinds = ["ping", "ping_request", "gossip", "sync", "ack", "relayed_ack", "relayed_nack", "state"];
    for (path, bytes) in corpus() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let kind = kinds.iter().position(|kind| name.split('-').next() == Some(*kind)).unwrap();
        assert_eq!(bytes[..8], check::CLUSTER.to_le_bytes(), "{name}");
        assert_eq!(usize::from(bytes[9]), kind + 1, "{name}");
    }
}

#[test]
fn every_file_of_the_corpus_cut_anywhere_is_taken_or_refused() {
    for (_, bytes) in corpus() {
        (0..bytes.len()).for_each(|end| check::take(&bytes[..end]));
    }
}

quickcheck! {
    fn a_changed_file_is_taken_or_refused(file: usize, changes: Vec<(usize, u8)>) -> bool {
        let corpus = corpus();
        let mut bytes = corpus[file % corpus.len()].1.clone();
        for (at, value) in changes.iter().take(4) {
            let at = at % bytes.len();
            bytes[at] = *value;
        }
        check::take(&bytes);
        true
    }

    fn what_peers_say_one_after_another_is_taken_or_refused(script: Vec<Step>) -> bool {
        let corpus = corpus();
        let mut bytes = vec![script.len() as u8];
        for (action, pause, file, changes) in script {
            bytes.extend_from_slice(&[action, pause]);
            if action % 8 < 4 {
                let mut message = corpus[file % corpus.len()].1.clone();
                for (at, value) in changes.iter().take(2) {
                    let at = at % message.len();
                    message[at] = *value;
                }
                bytes.extend_from_slice(&(message.len() as u16).to_le_bytes());
                bytes.extend_from_slice(&message);
            }
        }
        check::converse(&bytes);
        true
    }

    fn arbitrary_bytes_behind_a_head_are_taken_or_refused(kind: u8, bytes: Vec<u8>) -> bool {
        check::take(&[&check::CLUSTER.to_le_bytes()[..], &[1, kind % 9, 0], &bytes].concat());
        true
    }
}

/// What happens, the time before it, the file that is handed in, and changes of it.
type Step = (u8, u8, usize, Vec<(usize, u8)>);

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/corpus");
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> =
        files.map(|path| (path.clone(), fs::read(path).expect("a readable file"))).collect();
    files.sort();
    files
}
