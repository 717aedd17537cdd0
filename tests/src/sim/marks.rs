//! Marks by which a write is recognised: in the log of its node, and in what reads show.

use trellis_crdt::Kind;
use trellis_storage::{ElementCursor, Keyspace, ReadValue};
use trellis_wal::Lsn;

use super::plan::intern;
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

/// What an entry holds, in the words of the model.
///
/// # Errors
///
/// What a read, the pages of a set and its count say against each other.
pub(crate) fn content_of(keyspace: &Keyspace, key: &str, kind: Kind) -> Result<Content, String> {
    let read = keyspace.read(key, Some(kind)).map_err(|error| error.to_string())?;
    Ok(match read.value {
        None => Content::Nothing,
        Some(ReadValue::Counter(total)) => Content::Total(i128::from(total.value)),
        Some(ReadValue::Values(values)) => {
            let mut tokens: Vec<u64> =
                values.iter().map(|value| token_of(value).unwrap_or(u64::MAX)).collect();
            tokens.sort_unstable();
            Content::Tokens(tokens)
        }
        Some(ReadValue::Enabled) => Content::Enabled,
        Some(ReadValue::Set { len }) => {
            let elements = elements_of(keyspace, key, kind)?;
            if elements.len() != len {
                return Err(format!("{len} elements, and those are {elements:?}"));
            }
            Content::Elements(elements)
        }
        Some(other) => return Err(format!("something unknown, {other:?}")),
    })
}

/// The elements of a set, page by page, ascending.
fn elements_of(keyspace: &Keyspace, key: &str, kind: Kind) -> Result<Vec<&'static str>, String> {
    let (mut elements, mut next) = (Vec::new(), Some(ElementCursor::START));
    while let Some(cursor) = next {
        let page = keyspace.elements(key, kind, cursor, 2, 1 << 10).map_err(|error| error.to_string())?;
        elements.extend(page.elements.iter().map(|element| intern(&String::from_utf8_lossy(element))));
        next = page.next;
    }
    elements.sort_unstable();
    Ok(elements)
}
