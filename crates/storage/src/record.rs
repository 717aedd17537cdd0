//! An atom at rest: one allocation of bytes.
//!
//! A head (kind, and of an element its set), the name, the list, and the pieces as trellis-crdt spells them. Pieces
//! name their actors by place in the list, so they are kept verbatim while the list spells an actor by its place
//! among the origins of the slot: one byte in place of eight.

use trellis_crdt::codec::{Reader, write_bytes, write_varint};
use trellis_crdt::{Kind, ReplicaId, Value, VersionVector};

use crate::atoms::Handle;
use crate::origins::Origins;

/// The parts of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    /// The set that the atom is an element of.
    pub(crate) set: Option<Handle>,
    /// The key, or the element.
    pub(crate) name: &'a [u8],
    /// List and pieces.
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the head of a record.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut input = Reader::new(bytes);
        let kind = Kind::from_code(sound(input.u8())).expect(WRITTEN_HERE);
        let set = kind.is_set().then(|| {
            let handle = core::array::from_fn(|_| sound(input.u8()));
            Handle::from_bytes(handle).expect(WRITTEN_HERE)
        });
        let name = sound(input.bytes());
        Self { kind, set, name, body: input.rest() }
    }

    /// Reads the list. O(origins).
    pub(crate) fn list(&self, origins: &Origins) -> VersionVector {
        self.list_and_pieces(origins).0
    }

    /// Reads the value. O(its size), but for what registers hold, which is borrowed.
    pub(crate) fn value(&self, origins: &Origins) -> Value<'a> {
        let (list, pieces) = self.list_and_pieces(origins);
        sound(Value::decode_pieces(self.kind, list, &mut Reader::new(pieces)))
    }

    /// The greatest seq merged of the origin at this place, 0 for none.
    pub(crate) fn listed(&self, origin: usize) -> u64 {
        Listed::new(self.body).find(|(listed, _)| *listed == origin).map_or(0, |(_, seq)| seq)
    }

    /// The entries of the list, ascending by origin.
    pub(crate) fn listed_ids(
        self,
        origins: &Origins,
    ) -> impl Iterator<Item = (ReplicaId, u64)> + use<'a, '_> {
        Listed::new(self.body).map(|(origin, seq)| (origins.id(origin), seq))
    }

    /// Reads the list and hands out the pieces as they are spelled.
    pub(crate) fn list_and_pieces(&self, origins: &Origins) -> (VersionVector, &'a [u8]) {
        let mut listed = Listed::new(self.body);
        let entries = listed.by_ref().map(|(origin, seq)| (origins.id(origin), seq));
        let list = VersionVector::from_sorted(entries).expect(WRITTEN_HERE);
        (list, listed.input.rest())
    }
}

/// The entries of a record's list: place of the origin, seq. What is left in the input after the last are the pieces.
struct Listed<'a> {
    input: Reader<'a>,
    left: u64,
}

impl<'a> Listed<'a> {
    fn new(body: &'a [u8]) -> Self {
        let mut input = Reader::new(body);
        let left = sound(input.varint());
        Self { input, left }
    }
}

impl Iterator for Listed<'_> {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<(usize, u64)> {
        self.left = self.left.checked_sub(1)?;
        let origin = usize::try_from(sound(self.input.varint())).expect(WRITTEN_HERE);
        Some((origin, sound(self.input.varint())))
    }
}

/// Appends a record. `set` is given for elements of sets; every origin of the value's list is known to `origins`.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    set: Option<Handle>,
    name: &[u8],
    value: &Value<'_>,
    origins: &Origins,
) {
    out.push(value.kind().code());
    if let Some(set) = set {
        out.extend_from_slice(&set.to_bytes());
    }
    write_bytes(out, name);
    write_list(out, value.context(), origins);
    value.encode_pieces(out);
}

fn write_list(out: &mut Vec<u8>, list: &VersionVector<ReplicaId>, origins: &Origins) {
    write_varint(out, list.len() as u64);
    for (origin, seq) in list.iter() {
        write_varint(
            out,
            origins.place(origin).expect("origins are interned before they are written") as u64,
        );
        write_varint(out, seq);
    }
}

fn sound<T, E: core::fmt::Debug>(read: Result<T, E>) -> T {
    read.expect(WRITTEN_HERE)
}

const WRITTEN_HERE: &str = "a record is what was written here";
