//! Bytes of a message.
//!
//! ```text
//! message  cluster u64 LE · version u8 · kind u8 · flags u8 · epoch varint · incarnation varint · body · record*
//! body     ping, ping request: id · relayed ack: id, epoch varint · join, state: instance u64 LE · else nothing
//! record   length varint · state u8 · id · epoch varint · incarnation varint · addr · meta · [age varint, ms]
//! id, addr, meta: length varint · bytes; varint: LEB128
//! ```
//!
//! Flags that are not known, and bytes at the end of a record beyond its known fields, are ignored, and so is a
//! record in a state that is not known: later versions may add all three. Records run to the end of the message,
//! so nothing is allocated by a claim of length.

use std::time::Duration;

use crate::error::MessageError;
use crate::member::{
    ADDR_BYTES_MAX, EPOCH_MAX, ID_BYTES_MAX, INCARNATION_MAX, META_BYTES_MAX, Member, MemberId, State,
};
use crate::message::{Body, Header, Message, Update};

/// Begins a message; records follow by [`encode_update`].
pub(crate) fn encode_head<I: MemberId>(cluster: u64, header: Header, body: &Body<I>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&cluster.to_le_bytes());
    bytes.push(VERSION);
    bytes.push(match body {
        Body::Ping { .. } => PING,
        Body::PingRequest { .. } => PING_REQUEST,
        Body::Gossip => GOSSIP,
        Body::Join { .. } => JOIN,
        Body::Ack => ACK,
        Body::RelayedAck { .. } => RELAYED_ACK,
        Body::State { .. } => STATE,
    });
    bytes.push(if header.wants_exchange { FLAG_WANTS_EXCHANGE } else { 0 });
    put_varint(&mut bytes, header.epoch);
    put_varint(&mut bytes, header.incarnation);
    match body {
        Body::Ping { target } | Body::PingRequest { target } => put_id(&mut bytes, target),
        Body::RelayedAck { target, epoch } => {
            put_id(&mut bytes, target);
            put_varint(&mut bytes, *epoch);
        }
        Body::Join { instance } | Body::State { instance } => {
            bytes.extend_from_slice(&instance.to_le_bytes());
        }
        Body::Gossip | Body::Ack => {}
    }
    bytes
}

/// Appends one record with its length, at most [`RECORD_BYTES_MAX`] bytes. `age` is written for a suspect only.
pub(crate) fn encode_update<I: MemberId>(into: &mut Vec<u8>, member: &Member<I>, age: Duration) {
    let mut record = Vec::with_capacity(64);
    record.push(state_code(member.state));
    put_id(&mut record, &member.id);
    put_varint(&mut record, member.epoch);
    put_varint(&mut record, member.incarnation);
    put_bytes(&mut record, member.addr.as_bytes());
    put_bytes(&mut record, &member.meta);
    if member.state == State::Suspect {
        put_varint(&mut record, u64::try_from(age.as_millis()).unwrap_or(AGE_MILLIS_MAX).min(AGE_MILLIS_MAX));
    }
    put_bytes(into, &record);
}

/// Reads a message of `cluster`. The cluster is checked before anything else.
pub(crate) fn decode<I: MemberId>(bytes: &[u8], cluster: u64) -> Result<Message<I>, MessageError> {
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
    let header = Header { epoch, incarnation, wants_exchange: flags & FLAG_WANTS_EXCHANGE != 0 };
    let body = match kind {
        PING => Body::Ping { target: reader.id()? },
        PING_REQUEST => Body::PingRequest { target: reader.id()? },
        GOSSIP => Body::Gossip,
        JOIN => Body::Join { instance: reader.fixed_u64()? },
        ACK => Body::Ack,
        RELAYED_ACK => Body::RelayedAck { target: reader.id()?, epoch: reader.varint()? },
        STATE => Body::State { instance: reader.fixed_u64()? },
        other => return Err(MessageError::UnknownKind(other)),
    };
    let mut updates = Vec::new();
    let mut unknown_count = 0;
    while !reader.bytes.is_empty() {
        let record = reader.prefixed(usize::MAX, "record longer than its message")?;
        match decode_update(record)? {
            Some(update) => updates.push(update),
            None => unknown_count += 1,
        }
    }
    Ok(Message { header, body, updates, unknown_count })
}

fn decode_update<I: MemberId>(record: &[u8]) -> Result<Option<Update<I>>, MessageError> {
    let mut reader = Reader { bytes: record };
    let Some(state) = state_of(reader.byte()?) else {
        return Ok(None);
    };
    let id = reader.id()?;
    let (epoch, incarnation) = reader.stamp()?;
    let addr = reader.prefixed(ADDR_BYTES_MAX, "address too long")?;
    let addr =
        std::str::from_utf8(addr).map_err(|_| MessageError::Malformed("address is not UTF-8"))?.to_owned();
    let meta = reader.prefixed(META_BYTES_MAX, "metadata too long")?.to_vec();
    let evidence_age = match state {
        State::Suspect => Some(Duration::from_millis(reader.varint()?.min(AGE_MILLIS_MAX))),
        _ => None,
    };
    Ok(Some(Update { member: Member { id, epoch, incarnation, state, addr, meta }, evidence_age }))
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
        let bytes = self.prefixed(ID_BYTES_MAX, "id too long")?;
        I::decode(bytes).ok_or(MessageError::Malformed("not an id"))
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

fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_id<I: MemberId>(into: &mut Vec<u8>, id: &I) {
    let mut bytes = Vec::with_capacity(ID_BYTES_MAX);
    id.encode(&mut bytes);
    put_bytes(into, &bytes);
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
pub(crate) const RECORD_BYTES_MAX: usize =
    2 + 1 + (1 + ID_BYTES_MAX) + 9 + 7 + (2 + ADDR_BYTES_MAX) + (2 + META_BYTES_MAX) + 5;

const VERSION: u8 = 1;
const FLAG_WANTS_EXCHANGE: u8 = 1;
const PING: u8 = 1;
const PING_REQUEST: u8 = 2;
const GOSSIP: u8 = 3;
const JOIN: u8 = 4;
const ACK: u8 = 5;
const RELAYED_ACK: u8 = 6;
const STATE: u8 = 7;
const AGE_MILLIS_MAX: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests;
