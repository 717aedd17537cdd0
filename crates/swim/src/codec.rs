//! Bytes of a message.
//!
//! ```text
//! message  cluster u64 LE · version u8 · kind u8 · flags u8 · epoch varint · incarnation varint · digest u64 LE ·
//!          body · record*
//! body     ping, ping request, relayed nack: id · relayed ack: id, epoch varint ·
//!          sync: instance u64 LE, ask · state: instance u64 LE, buckets u16 LE, id or a byte 0 · else nothing
//! ask      byte 0, 16 digests u64 LE · byte 1, buckets u16 LE, id · byte 2
//! record   length u16 LE · state u8 · id · epoch varint · incarnation varint · addr · meta ·
//!          [age varint, ms, unless alive] · [witness id, stamp varint, ms · count u8, accuser id*, of a suspect]
//!          or of a broadcast: length u16 LE · byte 128 · id of its origin · epoch varint · version varint ·
//!          priority u8 · key · payload; key, payload: length varint · bytes
//! id       length u8 · bytes; addr, meta: length varint · bytes; varint: LEB128
//! ```
//!
//! Flags that are not known, and bytes at the end of a record beyond its known fields, are ignored, and so is a
//! record in a state that is not known: later versions may add all three. A broadcast that is malformed or beyond the
//! limits is left out and counted: what the hosts say keeps nobody from hearing of members. Records run to the end of
//! the message, so nothing is allocated by a claim of length.

use std::time::Duration;

use crate::broadcast::{BROADCAST_KEY_BYTES_MAX, BROADCAST_PAYLOAD_BYTES_MAX, Priority, VERSION_MAX};
use crate::config::CONFIRMATIONS_MAX;
use crate::error::MessageError;
use crate::evidence::SignId;
use crate::member::{
    ADDR_BYTES_MAX, EPOCH_MAX, ID_BYTES_MAX, INCARNATION_MAX, META_BYTES_MAX, Member, MemberId, State,
};
use crate::member_list::BUCKETS;
use crate::message::{Ask, Body, Broadcast, Header, Message, Told, Update};

/// Begins a message; records follow by [`encode_record`]. At most [`HEAD_BYTES_MAX`] bytes.
pub(crate) fn encode_head<I: MemberId>(into: &mut Vec<u8>, cluster: u64, header: Header, body: &Body<I>) {
    into.extend_from_slice(&cluster.to_le_bytes());
    into.push(VERSION);
    into.push(match body {
        Body::Ping { .. } => PING,
        Body::PingRequest { .. } => PING_REQUEST,
        Body::Gossip => GOSSIP,
        Body::Sync { .. } => SYNC,
        Body::Ack => ACK,
        Body::RelayedAck { .. } => RELAYED_ACK,
        Body::RelayedNack { .. } => RELAYED_NACK,
        Body::State { .. } => STATE,
    });
    let flags = [(header.wants_record, FLAG_WANTS_RECORD), (header.is_quiet, FLAG_QUIET)];
    into.push(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
    put_varint(into, header.epoch);
    put_varint(into, header.incarnation);
    into.extend_from_slice(&header.digest.to_le_bytes());
    match body {
        Body::Ping { target } | Body::PingRequest { target } | Body::RelayedNack { target } => {
            put_id(into, target);
        }
        Body::RelayedAck { target, epoch } => {
            put_id(into, target);
            put_varint(into, *epoch);
        }
        Body::Sync { instance, ask } => {
            into.extend_from_slice(&instance.to_le_bytes());
            put_ask(into, ask);
        }
        Body::State { instance, differing, more_after } => {
            into.extend_from_slice(&instance.to_le_bytes());
            into.extend_from_slice(&differing.to_le_bytes());
            match more_after {
                Some(id) => put_id(into, id),
                None => into.push(0),
            }
        }
        Body::Gossip | Body::Ack => {}
    }
}

/// Appends one record with its length, at most [`RECORD_BYTES_MAX`] bytes. `age` is written unless the member is
/// alive, the sign of life and the accusers for a suspect.
pub(crate) fn encode_record<I: MemberId>(
    into: &mut Vec<u8>,
    member: &Member<I>,
    age: Duration,
    sign: Option<SignId<&I>>,
    accusers: &[I],
) {
    let start = into.len();
    into.extend_from_slice(&[0, 0, state_code(member.state)]);
    put_id(into, &member.id);
    put_varint(into, member.epoch);
    put_varint(into, member.incarnation);
    put_bytes(into, member.addr.as_bytes());
    put_bytes(into, &member.meta);
    if member.state != State::Alive {
        let millis = u64::try_from(age.as_millis()).unwrap_or(AGE_MILLIS_MAX);
        put_varint(into, millis.min(AGE_MILLIS_MAX));
    }
    if member.state == State::Suspect {
        match sign {
            Some(SignId { witness, stamp }) => {
                put_id(into, witness);
                put_varint(into, stamp);
            }
            None => into.push(0),
        }
        let accusers = &accusers[..accusers.len().min(ACCUSERS_MAX)];
        into.push(accusers.len() as u8);
        accusers.iter().for_each(|accuser| put_id(into, accuser));
    }
    put_length(into, start);
}

/// Appends a broadcast with its length, at most [`BROADCAST_BYTES_MAX`] bytes.
pub(crate) fn encode_broadcast<I: MemberId>(
    into: &mut Vec<u8>,
    origin: &I,
    (epoch, version): (u64, u64),
    priority: Priority,
    (key, payload): (&[u8], &[u8]),
) {
    let start = into.len();
    into.extend_from_slice(&[0, 0, BROADCAST]);
    put_id(into, origin);
    put_varint(into, epoch);
    put_varint(into, version);
    into.push(match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    });
    put_bytes(into, key);
    put_bytes(into, payload);
    put_length(into, start);
}

/// Reads a message of `cluster`. The cluster is checked before anything else.
pub(crate) fn decode<I: MemberId>(bytes: &[u8], cluster: u64) -> Result<Message<'_, I>, MessageError> {
    let mut reader = Reader { bytes };
    if reader.fixed_u64()? != cluster {
        return Err(MessageError::OtherCluster);
    }
    let version = reader.byte()?;
    if version != VERSION {
        return Err(MessageError::UnknownVersion(version));
    }
    let kind = reader.byte()?;
    let flags = reader.byte()?;
    let (epoch, incarnation) = reader.stamp()?;
    let header = Header {
        epoch,
        incarnation,
        digest: reader.fixed_u64()?,
        wants_record: flags & FLAG_WANTS_RECORD != 0,
        is_quiet: flags & FLAG_QUIET != 0,
    };
    let body = match kind {
        PING => Body::Ping { target: reader.id()? },
        PING_REQUEST => Body::PingRequest { target: reader.id()? },
        GOSSIP => Body::Gossip,
        SYNC => Body::Sync { instance: reader.fixed_u64()?, ask: reader.ask()? },
        ACK => Body::Ack,
        RELAYED_ACK => Body::RelayedAck { target: reader.id()?, epoch: reader.varint()? },
        RELAYED_NACK => Body::RelayedNack { target: reader.id()? },
        STATE => Body::State {
            instance: reader.fixed_u64()?,
            differing: reader.fixed_u16()?,
            more_after: reader.optional_id()?,
        },
        other => return Err(MessageError::UnknownKind(other)),
    };
    let (mut updates, mut broadcasts) = (Vec::new(), Vec::new());
    let (mut unknown_count, mut spoiled_count) = (0, 0);
    while !reader.bytes.is_empty() {
        let length = usize::from(reader.fixed_u16()?);
        let record = reader.take(length, "record longer than its message")?;
        if let Some((&BROADCAST, broadcast)) = record.split_first() {
            match decode_broadcast(broadcast) {
                Ok(broadcast) => broadcasts.push(broadcast),
                Err(_) => spoiled_count += 1,
            }
            continue;
        }
        match decode_update(record)? {
            Some(update) => updates.push(update),
            None => unknown_count += 1,
        }
    }
    Ok(Message { header, body, updates, unknown_count, broadcasts, spoiled_count })
}

fn decode_update<I: MemberId>(record: &[u8]) -> Result<Option<Update<'_, I>>, MessageError> {
    let mut reader = Reader { bytes: record };
    let Some(state) = state_of(reader.byte()?) else {
        return Ok(None);
    };
    let id = reader.id()?;
    let (epoch, incarnation) = reader.stamp()?;
    let addr = reader.prefixed(ADDR_BYTES_MAX, "address too long")?;
    let addr = std::str::from_utf8(addr).map_err(|_| MessageError::Malformed("address is not UTF-8"))?;
    let meta = reader.prefixed(META_BYTES_MAX, "metadata too long")?;
    let age = if state == State::Alive { 0 } else { reader.varint()?.min(AGE_MILLIS_MAX) };
    let mut told = Told { age: Duration::from_millis(age), ..Told::nothing() };
    if state == State::Suspect {
        told.sign = match reader.optional_id()? {
            Some(witness) => Some(SignId { witness, stamp: reader.varint()? }),
            None => None,
        };
        let count = usize::from(reader.byte()?);
        if count > ACCUSERS_MAX {
            return Err(MessageError::Malformed("too many accusers"));
        }
        for _ in 0..count {
            told.accusers.push(reader.id()?);
        }
    }
    Ok(Some(Update { id, epoch, incarnation, state, addr, meta, told }))
}

fn decode_broadcast<I: MemberId>(record: &[u8]) -> Result<Broadcast<'_, I>, MessageError> {
    let mut reader = Reader { bytes: record };
    let origin = reader.id()?;
    let (epoch, version) = (reader.varint()?, reader.varint()?);
    if epoch > EPOCH_MAX || version > VERSION_MAX {
        return Err(MessageError::Malformed("epoch or version beyond its limit"));
    }
    let priority = match reader.byte()? {
        0 => Priority::Low,
        1 => Priority::Normal,
        // A later version may know of higher ones.
        _ => Priority::High,
    };
    let key = reader.prefixed(BROADCAST_KEY_BYTES_MAX, "key too long")?;
    let payload = reader.prefixed(BROADCAST_PAYLOAD_BYTES_MAX, "payload too long")?;
    Ok(Broadcast { origin, epoch, version, priority, key, payload })
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, otherwise: &'static str) -> Result<&'a [u8], MessageError> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(MessageError::Malformed(otherwise))?;
        self.bytes = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, MessageError> {
        Ok(self.take(1, "cut short")?[0])
    }

    fn fixed_u16(&mut self) -> Result<u16, MessageError> {
        let mut value = [0; 2];
        value.copy_from_slice(self.take(2, "cut short")?);
        Ok(u16::from_le_bytes(value))
    }

    fn fixed_u64(&mut self) -> Result<u64, MessageError> {
        let mut value = [0; 8];
        value.copy_from_slice(self.take(8, "cut short")?);
        Ok(u64::from_le_bytes(value))
    }

    fn varint(&mut self) -> Result<u64, MessageError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(MessageError::Malformed("integer beyond 64 bits"))
    }

    fn prefixed(&mut self, limit: usize, otherwise: &'static str) -> Result<&'a [u8], MessageError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if length > limit {
            return Err(MessageError::Malformed(otherwise));
        }
        self.take(length, otherwise)
    }

    fn id<I: MemberId>(&mut self) -> Result<I, MessageError> {
        self.optional_id()?.ok_or(MessageError::Malformed("not an id"))
    }

    /// An id has at least one byte, so a length of 0 stands for none.
    fn optional_id<I: MemberId>(&mut self) -> Result<Option<I>, MessageError> {
        let length = usize::from(self.byte()?);
        if length == 0 {
            return Ok(None);
        } else if length > ID_BYTES_MAX {
            return Err(MessageError::Malformed("id too long"));
        }
        let bytes = self.take(length, "cut short")?;
        I::decode(bytes).map(Some).ok_or(MessageError::Malformed("not an id"))
    }

    fn ask<I: MemberId>(&mut self) -> Result<Ask<I>, MessageError> {
        match self.byte()? {
            ASK_DIFFERING => {
                let mut digests = [0; BUCKETS];
                for digest in &mut digests {
                    *digest = self.fixed_u64()?;
                }
                Ok(Ask::Differing(digests))
            }
            ASK_AFTER => Ok(Ask::After { buckets: self.fixed_u16()?, id: self.id()? }),
            ASK_NOTHING => Ok(Ask::Nothing),
            _ => Err(MessageError::Malformed("not a question")),
        }
    }

    fn stamp(&mut self) -> Result<(u64, u64), MessageError> {
        let (epoch, incarnation) = (self.varint()?, self.varint()?);
        if epoch > EPOCH_MAX || incarnation > INCARNATION_MAX {
            return Err(MessageError::Malformed("epoch or incarnation beyond its limit"));
        }
        Ok((epoch, incarnation))
    }
}

fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Fills in how long the record is that begins at `start`.
fn put_length(into: &mut [u8], start: usize) {
    let length = (into.len() - start - 2) as u16;
    into[start..start + 2].copy_from_slice(&length.to_le_bytes());
}

fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_id<I: MemberId>(into: &mut Vec<u8>, id: &I) {
    let start = into.len();
    into.push(0);
    id.encode(into);
    into[start] = (into.len() - start - 1) as u8;
}

fn put_ask<I: MemberId>(into: &mut Vec<u8>, ask: &Ask<I>) {
    match ask {
        Ask::Differing(digests) => {
            into.push(ASK_DIFFERING);
            digests.iter().for_each(|digest| into.extend_from_slice(&digest.to_le_bytes()));
        }
        Ask::After { buckets, id } => {
            into.push(ASK_AFTER);
            into.extend_from_slice(&buckets.to_le_bytes());
            put_id(into, id);
        }
        Ask::Nothing => into.push(ASK_NOTHING),
    }
}

fn state_code(state: State) -> u8 {
    match state {
        State::Alive => 0,
        State::Suspect => 1,
        State::Dead => 2,
        State::Left => 3,
    }
}

fn state_of(code: u8) -> Option<State> {
    [State::Alive, State::Suspect, State::Dead, State::Left].get(usize::from(code)).copied()
}

/// The longest record with its length: every field at its limit, two bytes for each length above 127.
pub(crate) const RECORD_BYTES_MAX: usize = 2
    + 1
    + (1 + ID_BYTES_MAX)
    + 9
    + 7
    + (2 + ADDR_BYTES_MAX)
    + (2 + META_BYTES_MAX)
    + 5
    + (1 + ID_BYTES_MAX)
    + 10
    + 1
    + ACCUSERS_MAX * (1 + ID_BYTES_MAX);
/// The longest broadcast with its length.
pub(crate) const BROADCAST_BYTES_MAX: usize = 2
    + 1
    + (1 + ID_BYTES_MAX)
    + 9
    + 9
    + 1
    + (1 + BROADCAST_KEY_BYTES_MAX)
    + (2 + BROADCAST_PAYLOAD_BYTES_MAX);
/// The longest head of a message that broadcasts ride on: that of a ping.
pub(crate) const PING_HEAD_BYTES_MAX: usize = 8 + 3 + 9 + 7 + 8 + (1 + ID_BYTES_MAX);
/// The longest head: a request for an exchange of state with all digests.
pub(crate) const HEAD_BYTES_MAX: usize = 8 + 3 + 9 + 7 + 8 + (8 + 1 + 8 * BUCKETS);
/// No message is longer, and none that is longer is read.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;

const ACCUSERS_MAX: usize = CONFIRMATIONS_MAX + 1;
const VERSION: u8 = 1;
const FLAG_WANTS_RECORD: u8 = 1;
const FLAG_QUIET: u8 = 2;
const PING: u8 = 1;
const PING_REQUEST: u8 = 2;
const GOSSIP: u8 = 3;
const SYNC: u8 = 4;
const ACK: u8 = 5;
const RELAYED_ACK: u8 = 6;
const RELAYED_NACK: u8 = 7;
const STATE: u8 = 8;
/// In the place of a state, which are below.
const BROADCAST: u8 = 128;
const ASK_DIFFERING: u8 = 0;
const ASK_AFTER: u8 = 1;
const ASK_NOTHING: u8 = 2;
const AGE_MILLIS_MAX: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests;
