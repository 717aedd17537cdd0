//! The calls of clients.

use trellis_crdt::Kind;

use super::{InvalidMessage, invalid, required};
use crate::calls::{
    Counter, DeleteKey, Deleted, Durability, GetCounter, GetKey, GetRegister, Increment, Incremented,
    KeyContent, KeyPage, KeySummary, KeyValue, ListKeys, Register, SetRegister, SnapshotTaken, WriteOptions,
};
use crate::pb::v1 as pb;

/// Reads a kind; 0 is none.
fn kind(number: i32) -> Result<Option<Kind>, InvalidMessage> {
    if number == 0 {
        return Ok(None);
    }
    let kind = u8::try_from(number).ok().and_then(Kind::from_code);
    kind.map(Some).ok_or(InvalidMessage { field: "kind", problem: "is not known" })
}

/// Writes a kind: its number on the wire is its code.
fn number(kind: Option<Kind>) -> i32 {
    kind.map_or(0, |kind| i32::from(kind.code()))
}

fn options(message: Option<pb::WriteOptions>) -> Result<WriteOptions, InvalidMessage> {
    let message = message.unwrap_or_default();
    let durability = match pb::Durability::try_from(message.durability) {
        Ok(pb::Durability::Unspecified | pb::Durability::Synced) => Durability::Synced,
        Ok(pb::Durability::Memory) => Durability::Memory,
        Err(_) => return invalid("options.durability", "is not known"),
    };
    Ok(WriteOptions { durability, replicas: message.replicas.max(1) })
}

impl From<WriteOptions> for pb::WriteOptions {
    fn from(options: WriteOptions) -> Self {
        let durability = match options.durability {
            Durability::Memory => pb::Durability::Memory,
            Durability::Synced => pb::Durability::Synced,
        };
        Self { durability: durability.into(), replicas: options.replicas }
    }
}

impl From<Increment> for pb::IncrementRequest {
    fn from(request: Increment) -> Self {
        let Increment { key, amount, kind, options } = request;
        Self { key, amount, kind: number(kind), options: Some(options.into()) }
    }
}

impl TryFrom<pb::IncrementRequest> for Increment {
    type Error = InvalidMessage;

    fn try_from(request: pb::IncrementRequest) -> Result<Self, InvalidMessage> {
        let pb::IncrementRequest { key, amount, kind: number, options: given } = request;
        Ok(Self { key, amount, kind: kind(number)?, options: options(given)? })
    }
}

impl From<Incremented> for pb::IncrementResponse {
    fn from(answer: Incremented) -> Self {
        Self { header: None, value: answer.value, exact: answer.is_exact }
    }
}

impl TryFrom<pb::IncrementResponse> for Incremented {
    type Error = InvalidMessage;

    fn try_from(answer: pb::IncrementResponse) -> Result<Self, InvalidMessage> {
        Ok(Self { value: answer.value, is_exact: answer.exact })
    }
}

impl From<GetCounter> for pb::GetCounterRequest {
    fn from(request: GetCounter) -> Self {
        Self { key: request.key, kind: number(request.kind) }
    }
}

impl TryFrom<pb::GetCounterRequest> for GetCounter {
    type Error = InvalidMessage;

    fn try_from(request: pb::GetCounterRequest) -> Result<Self, InvalidMessage> {
        Ok(Self { key: request.key, kind: kind(request.kind)? })
    }
}

impl From<Counter> for pb::GetCounterResponse {
    fn from(answer: Counter) -> Self {
        let Counter { value, is_exact, kind } = answer;
        Self { header: None, value, exact: is_exact, exists: kind.is_some(), kind: number(kind) }
    }
}

impl TryFrom<pb::GetCounterResponse> for Counter {
    type Error = InvalidMessage;

    fn try_from(answer: pb::GetCounterResponse) -> Result<Self, InvalidMessage> {
        Ok(Self { value: answer.value, is_exact: answer.exact, kind: existing(answer.exists, answer.kind)? })
    }
}

impl From<SetRegister> for pb::SetRegisterRequest {
    fn from(request: SetRegister) -> Self {
        let SetRegister { key, value, kind, options } = request;
        Self { key, value, kind: number(kind), options: Some(options.into()) }
    }
}

impl TryFrom<pb::SetRegisterRequest> for SetRegister {
    type Error = InvalidMessage;

    fn try_from(request: pb::SetRegisterRequest) -> Result<Self, InvalidMessage> {
        let pb::SetRegisterRequest { key, value, kind: number, options: given } = request;
        Ok(Self { key, value, kind: kind(number)?, options: options(given)? })
    }
}

impl From<()> for pb::SetRegisterResponse {
    fn from((): ()) -> Self {
        Self { header: None }
    }
}

impl TryFrom<pb::SetRegisterResponse> for () {
    type Error = InvalidMessage;

    fn try_from(_: pb::SetRegisterResponse) -> Result<Self, InvalidMessage> {
        Ok(())
    }
}

impl From<GetRegister> for pb::GetRegisterRequest {
    fn from(request: GetRegister) -> Self {
        Self { key: request.key, kind: number(request.kind) }
    }
}

impl TryFrom<pb::GetRegisterRequest> for GetRegister {
    type Error = InvalidMessage;

    fn try_from(request: pb::GetRegisterRequest) -> Result<Self, InvalidMessage> {
        Ok(Self { key: request.key, kind: kind(request.kind)? })
    }
}

impl From<Register> for pb::GetRegisterResponse {
    fn from(answer: Register) -> Self {
        let Register { values, kind } = answer;
        Self { header: None, values, exists: kind.is_some(), kind: number(kind) }
    }
}

impl TryFrom<pb::GetRegisterResponse> for Register {
    type Error = InvalidMessage;

    fn try_from(answer: pb::GetRegisterResponse) -> Result<Self, InvalidMessage> {
        Ok(Self { values: answer.values, kind: existing(answer.exists, answer.kind)? })
    }
}

impl From<GetKey> for pb::GetKeyRequest {
    fn from(request: GetKey) -> Self {
        Self { key: request.key, kind: request.kind.map(|kind| number(Some(kind))) }
    }
}

impl TryFrom<pb::GetKeyRequest> for GetKey {
    type Error = InvalidMessage;

    fn try_from(request: pb::GetKeyRequest) -> Result<Self, InvalidMessage> {
        Ok(Self { key: request.key, kind: kind(request.kind.unwrap_or_default())? })
    }
}

impl From<KeyContent> for pb::GetKeyResponse {
    fn from(answer: KeyContent) -> Self {
        use pb::get_key_response::Value;

        let value = answer.value.map(|value| match value {
            KeyValue::Counter { value, is_exact } => {
                Value::Counter(pb::CounterValue { value, exact: is_exact })
            }
            KeyValue::Register { values } => Value::Register(pb::RegisterValue { values }),
        });
        Self { header: None, kinds: answer.kinds.into_iter().map(|kind| number(Some(kind))).collect(), value }
    }
}

impl TryFrom<pb::GetKeyResponse> for KeyContent {
    type Error = InvalidMessage;

    fn try_from(answer: pb::GetKeyResponse) -> Result<Self, InvalidMessage> {
        use pb::get_key_response::Value;

        let kinds = answer.kinds.into_iter().map(|number| required(kind(number)?, "kind"));
        let value = answer.value.map(|value| match value {
            Value::Counter(counter) => KeyValue::Counter { value: counter.value, is_exact: counter.exact },
            Value::Register(register) => KeyValue::Register { values: register.values },
        });
        Ok(Self { kinds: kinds.collect::<Result<_, _>>()?, value })
    }
}

impl From<DeleteKey> for pb::DeleteKeyRequest {
    fn from(request: DeleteKey) -> Self {
        let DeleteKey { key, kind, options } = request;
        Self { key, kind: kind.map(|kind| number(Some(kind))), options: Some(options.into()) }
    }
}

impl TryFrom<pb::DeleteKeyRequest> for DeleteKey {
    type Error = InvalidMessage;

    fn try_from(request: pb::DeleteKeyRequest) -> Result<Self, InvalidMessage> {
        let pb::DeleteKeyRequest { key, kind: number, options: given } = request;
        Ok(Self { key, kind: kind(number.unwrap_or_default())?, options: options(given)? })
    }
}

impl From<Deleted> for pb::DeleteKeyResponse {
    fn from(answer: Deleted) -> Self {
        Self { header: None, existed: answer.existed }
    }
}

impl TryFrom<pb::DeleteKeyResponse> for Deleted {
    type Error = InvalidMessage;

    fn try_from(answer: pb::DeleteKeyResponse) -> Result<Self, InvalidMessage> {
        Ok(Self { existed: answer.existed })
    }
}

impl From<ListKeys> for pb::ListKeysRequest {
    fn from(request: ListKeys) -> Self {
        let ListKeys { prefix, kind, page_size, page_token } = request;
        Self { prefix, kind: number(kind), page_size, page_token }
    }
}

impl TryFrom<pb::ListKeysRequest> for ListKeys {
    type Error = InvalidMessage;

    fn try_from(request: pb::ListKeysRequest) -> Result<Self, InvalidMessage> {
        let pb::ListKeysRequest { prefix, kind: number, page_size, page_token } = request;
        Ok(Self { prefix, kind: kind(number)?, page_size, page_token })
    }
}

impl From<KeyPage> for pb::ListKeysResponse {
    fn from(answer: KeyPage) -> Self {
        let keys = answer.keys.into_iter();
        let keys = keys.map(|summary| pb::KeySummary { key: summary.key, kind: number(Some(summary.kind)) });
        Self { header: None, keys: keys.collect(), next_page_token: answer.next_page_token }
    }
}

impl TryFrom<pb::ListKeysResponse> for KeyPage {
    type Error = InvalidMessage;

    fn try_from(answer: pb::ListKeysResponse) -> Result<Self, InvalidMessage> {
        let keys = answer
            .keys
            .into_iter()
            .map(|summary| Ok(KeySummary { key: summary.key, kind: required(kind(summary.kind)?, "kind")? }));
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, next_page_token: answer.next_page_token })
    }
}

/// Reads the kind of what an answer says to exist.
fn existing(exists: bool, number: i32) -> Result<Option<Kind>, InvalidMessage> {
    let kind = kind(number)?;
    if kind.is_some() == exists { Ok(kind) } else { invalid("kind", "does not agree with exists") }
}

impl From<SnapshotTaken> for pb::TakeSnapshotResponse {
    fn from(answer: SnapshotTaken) -> Self {
        let SnapshotTaken { start_lsn, bytes, duration_millis } = answer;
        Self { header: None, start_lsn, bytes, duration_millis }
    }
}

impl TryFrom<pb::TakeSnapshotResponse> for SnapshotTaken {
    type Error = InvalidMessage;

    fn try_from(answer: pb::TakeSnapshotResponse) -> Result<Self, InvalidMessage> {
        let pb::TakeSnapshotResponse { header: _, start_lsn, bytes, duration_millis } = answer;
        Ok(Self { start_lsn, bytes, duration_millis })
    }
}

impl TryFrom<pb::LeaveResponse> for () {
    type Error = InvalidMessage;

    fn try_from(_: pb::LeaveResponse) -> Result<Self, InvalidMessage> {
        Ok(())
    }
}
