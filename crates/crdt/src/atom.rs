//! What one operation changes.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode, Reader, write_bytes};
use crate::error::DecodeError;
use crate::kind::Kind;

/// What one operation changes: a counter, a register, a flag, or one element of a set. Ordered by key.
///
/// One that was decoded borrows from the bytes it came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom<'a> {
    /// The key, 1..=[`KEY_BYTES_MAX`] bytes.
    pub key: Cow<'a, str>,
    /// The kind. Two kinds under one key are two entries.
    pub kind: Kind,
    /// The element: of a set always, of anything else never.
    pub element: Option<Cow<'a, [u8]>>,
}

impl<'a> Atom<'a> {
    /// Names the whole value of this kind under a key; for kinds other than sets.
    pub fn new(key: impl Into<Cow<'a, str>>, kind: Kind) -> Self {
        Self { key: key.into(), kind, element: None }
    }

    /// Returns the atom with its names copied, unless they are its own already.
    pub fn into_owned(self) -> Atom<'static> {
        Atom {
            key: Cow::Owned(self.key.into_owned()),
            kind: self.kind,
            element: self.element.map(|element| Cow::Owned(element.into_owned())),
        }
    }
}

/// The code of the kind, the key, and of a set the element.
///
/// # Panics
///
/// When the key is not within its limits, or there is an element where the kind has none, or none where it has one:
/// what nobody could read must not be written.
impl Encode for Atom<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        assert!(
            (1..=KEY_BYTES_MAX).contains(&self.key.len()),
            "the length of a key is checked where it enters"
        );
        assert_eq!(self.element.is_some(), self.kind.is_set(), "sets have elements, and nothing else has");
        out.push(self.kind.code());
        write_bytes(out, self.key.as_bytes());
        if let Some(element) = &self.element {
            element.encode(out);
        }
    }
}

impl<'a> Decode<'a> for Atom<'a> {
    #[inline]
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = input.u8()?;
        let kind = Kind::from_code(code).ok_or(DecodeError::UnsupportedKind { code })?;
        let key = input.bytes()?;
        if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(DecodeError::KeyLength { bytes: key.len() });
        }
        let key = core::str::from_utf8(key).map_err(|_| DecodeError::KeyNotUtf8)?.into();
        let element = if kind.is_set() { Some(Decode::decode(input)?) } else { None };
        Ok(Self { key, kind, element })
    }
}

/// The longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;
