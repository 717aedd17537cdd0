//! Marks by which a write is recognised: in the log of its node, and in what reads show.

use trellis_storage::{Read, ReadValue};
use trellis_wal::Lsn;

use crate::model::{Content, What};

/// What a write is about to change, so that its record is recognised in the log.
#[derive(Debug)]
pub(crate) struct InHand {
    pub(crate) what: What,
    /// Slot and seq of each of its changes, with the end of its record.
    pub(crate) dots: Vec<(u8, u64, Lsn)>,
}

/// A value that says which write it came from.
pub(crate) fn value_of(token: u64, padding: usize) -> Vec<u8> {
    let mut value = token.to_string().into_bytes();
    value.resize(value.len() + padding, b'.');
    value
}

/// The write that a value came from.
pub(crate) fn token_of(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// What a read shows, in the words of the model.
pub(crate) fn content_of(read: &Read) -> Content {
    match &read.value {
        None => Content::Nothing,
        Some(ReadValue::Counter(total)) => Content::Total(i128::from(total.value)),
        Some(ReadValue::Values(values)) => {
            let mut tokens: Vec<u64> =
                values.iter().map(|value| token_of(value).unwrap_or(u64::MAX)).collect();
            tokens.sort_unstable();
            Content::Tokens(tokens)
        }
        Some(_) => Content::Nothing,
    }
}
