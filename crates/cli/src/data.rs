//! The verbs on keys: incr, decr, get, set, del, keys.

use std::io::{self, Read};

use trellis_rpc::{
    DeleteKey, Durability, GetKey, Increment, KeyContent, KeyValue, ListKeys, SetRegister, WriteOptions,
};

use self::report::{Absent, Counter, Deletion, Listing, Register, Written};
use crate::args::{self, Global};
use crate::connect::{Caller, call};
use crate::exit::{Exit, Failure};
use crate::output::Answer;

mod report;

pub(crate) fn increment(increment: &args::Increment, global: &Global) -> Result<Answer, Failure> {
    add(increment, increment.amount, global)
}

pub(crate) fn decrement(decrement: &args::Increment, global: &Global) -> Result<Answer, Failure> {
    let amount = decrement.amount.checked_neg().ok_or_else(|| {
        Failure::usage(format!("{} cannot be subtracted: its opposite is beyond int64", decrement.amount))
    })?;
    add(decrement, amount, global)
}

fn add(arguments: &args::Increment, amount: i64, global: &Global) -> Result<Answer, Failure> {
    let key = arguments.key.clone();
    let request =
        Increment { key: key.clone(), amount, kind: kind(&arguments.kind), options: arguments.write.into() };
    call(global, async |caller: &Caller| {
        let value = caller.ask(caller.client().increment(request)).await?.body;
        Ok(counter(Counter { key, kind: None, value: value.value, is_exact: value.is_exact }))
    })
}

pub(crate) fn get(get: &args::Get, global: &Global) -> Result<Answer, Failure> {
    let request = GetKey { key: get.key.clone(), kind: kind(&get.kind) };
    call(global, async |caller: &Caller| {
        let content = caller.ask(caller.client().get_key(request)).await?.body;
        answer_to_get(get, content)
    })
}

/// One kind: its value. None: the answer is no. Several and none was named: someone must choose.
fn answer_to_get(get: &args::Get, content: KeyContent) -> Result<Answer, Failure> {
    let key = get.key.clone();
    let kinds: Vec<&str> = content.kinds.iter().map(|kind| kind.name()).collect();
    let kind = get.kind.clone().or_else(|| kinds.first().map(|kind| (*kind).to_owned()));
    match content.value {
        Some(KeyValue::Counter { value, is_exact }) => Ok(counter(Counter { key, kind, value, is_exact })),
        Some(KeyValue::Register { values }) => Ok(Answer::new(Register { key, kind, values })),
        None if get.kind.is_none() && kinds.len() > 1 => {
            let message = format!("\"{}\" holds several values: {}", key.escape_debug(), kinds.join(", "));
            Err(Failure::new(Exit::Rejected, message).hint(format!("choose one with --kind {}", kinds[0])))
        }
        None => Ok(Answer::no(Absent { key })),
    }
}

pub(crate) fn set(set: &args::Set, global: &Global) -> Result<Answer, Failure> {
    let value =
        if set.value == "-" { read_value(&mut io::stdin().lock())? } else { set.value.clone().into_bytes() };
    let key = set.key.clone();
    let request = SetRegister {
        key: key.clone(),
        value: value.into(),
        kind: kind(&set.kind),
        options: set.write.into(),
    };
    call(global, async |caller: &Caller| {
        caller.ask(caller.client().set_register(request)).await?;
        Ok(Answer::new(Written { key }))
    })
}

/// Reads no more than a byte beyond the longest value: the node says what is too long, and memory stays bounded.
fn read_value(input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    input
        .take(VALUE_BYTES_MAX + 1)
        .read_to_end(&mut value)
        .map_err(|error| Failure::usage("the value cannot be read from standard input").cause(error))?;
    Ok(value)
}

pub(crate) fn delete(del: &args::Del, global: &Global) -> Result<Answer, Failure> {
    call(global, async |caller: &Caller| {
        let mut keys = Vec::new();
        for key in &del.keys {
            let request = DeleteKey { key: key.clone(), kind: kind(&del.kind), options: del.write.into() };
            let deleted = caller.ask(caller.client().delete_key(request)).await?.body;
            keys.push((key.clone(), deleted.existed));
        }
        Ok(Answer::new(Deletion { keys }))
    })
}

pub(crate) fn keys(keys: &args::Keys, global: &Global) -> Result<Answer, Failure> {
    call(global, async |caller: &Caller| {
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let page_size =
                u32::try_from(keys.limit - found.len()).map_or(PAGE_SIZE_MAX, |room| room.min(PAGE_SIZE_MAX));
            let request =
                ListKeys { prefix: keys.prefix.clone(), kind: kind(&keys.kind), page_size, page_token };
            let page = caller.ask(caller.client().list_keys(request)).await?.body;
            found.extend(page.keys.into_iter().map(|summary| (summary.key, summary.kind.name())));
            page_token = page.next_page_token;
            if page_token.is_empty() || found.len() >= keys.limit {
                break;
            }
        }
        found.truncate(keys.limit);
        let answer = Answer::new(Listing { keys: found });
        let note =
            format!("note: there may be more keys than these {}; list them with --limit N", keys.limit);
        Ok(if page_token.is_empty() { answer } else { answer.note(note) })
    })
}

fn counter(counter: Counter) -> Answer {
    let is_exact = counter.is_exact;
    let answer = Answer::new(counter);
    if is_exact { answer } else { answer.note("note: the value is beyond int64; this is the nearest end") }
}

/// Parses the name of a kind, which the command line has checked.
fn kind<K: std::str::FromStr>(name: &Option<String>) -> Option<K> {
    name.as_deref().and_then(|name| name.parse().ok())
}

impl From<args::Write> for WriteOptions {
    fn from(write: args::Write) -> Self {
        let durability = match write.durability {
            args::Durability::Memory => Durability::Memory,
            args::Durability::Synced => Durability::Synced,
        };
        Self { durability, replicas: write.replicas }
    }
}

/// The most that a page of keys may hold.
const PAGE_SIZE_MAX: u32 = 1000;
/// The longest value that a key can hold.
const VALUE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests;
