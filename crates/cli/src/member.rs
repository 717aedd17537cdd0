//! `trellis member`: who belongs to the cluster, as one node sees it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use trellis_rpc::MemberStatus;

use crate::args::{self, Global};
use crate::cluster::{dash, member_json, state};
use crate::connect::{self, Caller};
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Format, Report, columns, human_millis};

pub(crate) fn run(command: args::Member, global: &Global) -> Result<Answer, Failure> {
    match command {
        args::Member::Ls => connect::call(global, list),
        args::Member::Watch { duration } => {
            let format = global.output;
            connect::call(global, async |caller| watch(caller, format, duration).await)
        }
        args::Member::Leave { name } => {
            let global = Global { node: Some(name), ..global.clone() };
            connect::call(&global, leave)
        }
    }
}

async fn list(caller: &Caller) -> Result<Answer, Failure> {
    let answered = caller.ask(caller.client().cluster_status()).await?;
    Ok(Answer::new(Members { observer: answered.node, members: answered.body.members }))
}

async fn leave(caller: &Caller) -> Result<Answer, Failure> {
    let answered = caller.ask(caller.client().leave()).await?;
    Ok(Answer::new(Leaving(answered.node)))
}

/// Prints every member's state, and then what changes, for as long as is wanted.
async fn watch(caller: &Caller, format: Format, duration: Option<Duration>) -> Result<Answer, Failure> {
    let end = duration.map(|duration| Instant::now() + duration);
    let mut seen = BTreeMap::new();
    loop {
        let next = Instant::now() + WATCH_INTERVAL;
        let status = caller.ask(caller.client().cluster_status()).await?.body;
        for change in changes(&mut seen, &status.members) {
            match print(&change, format) {
                Ok(()) => {}
                // The reader has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Answer::default()),
                Err(error) => {
                    return Err(Failure::new(Exit::Internal, "a change cannot be printed").cause(error));
                }
            }
        }
        if end.is_some_and(|end| next >= end) {
            return Ok(Answer::default());
        }
        sleep_until(next).await;
    }
}

/// One member that is not as it was a moment ago.
#[derive(Debug, PartialEq)]
struct Change {
    name: String,
    /// `None` when it was not there.
    before: Option<String>,
    /// `None` when it is not there any more.
    after: Option<String>,
}

/// Tells what differs from what was `seen`, and notes it.
fn changes(seen: &mut BTreeMap<String, String>, members: &[MemberStatus]) -> Vec<Change> {
    let now: BTreeMap<String, String> =
        members.iter().map(|member| (member.name.clone(), state(member))).collect();
    let gone = seen.iter().filter(|(name, _)| !now.contains_key(*name));
    let gone =
        gone.map(|(name, state)| Change { name: name.clone(), before: Some(state.clone()), after: None });
    let changed = now.iter().filter(|(name, state)| seen.get(*name) != Some(*state));
    let changed = changed.map(|(name, state)| Change {
        name: name.clone(),
        before: seen.get(name).cloned(),
        after: Some(state.clone()),
    });
    let changes = gone.chain(changed).collect();
    *seen = now;
    changes
}

fn print(change: &Change, format: Format) -> io::Result<()> {
    let Change { name, before, after } = change;
    let mut out = io::stdout().lock();
    match (format, before) {
        (Format::Json, _) => writeln!(out, "{}", json!({ "name": name, "before": before, "after": after }))?,
        (_, None) => writeln!(out, "{name} is {}", after.as_deref().unwrap_or("gone"))?,
        (_, Some(before)) => writeln!(out, "{name} was {before}, is {}", after.as_deref().unwrap_or("gone"))?,
    }
    out.flush()
}

/// Members in order of their names.
struct Members {
    observer: String,
    members: Vec<MemberStatus>,
}

impl Report for Members {
    fn plain(&self) -> String {
        self.table()
    }

    fn table(&self) -> String {
        let rows = self.members.iter().map(|member| {
            let is_observer = member.name == self.observer;
            let heard = match member.last_heard_millis {
                Some(millis) => format!("{} ago", human_millis(millis)),
                None => "-".to_owned(),
            };
            [
                format!("{}{}", member.name, if is_observer { " *" } else { "" }),
                state(member),
                human_millis(member.since_millis),
                heard,
                member.incarnation.to_string(),
                dash(&member.peer_address),
                member.node.map_or("-".to_owned(), |node| node.to_string()),
            ]
        });
        columns(["NODE", "STATE", "SINCE", "HEARD", "INCARNATION", "PEER", "ID"], rows)
    }

    fn json(&self) -> Value {
        let members: Vec<Value> = self.members.iter().map(member_json).collect();
        json!({ "node": self.observer, "members": members })
    }
}

/// The name of a node that leaves.
struct Leaving(String);

impl Report for Leaving {
    fn plain(&self) -> String {
        format!("{} leaves\n", self.0)
    }

    fn table(&self) -> String {
        self.plain()
    }

    fn json(&self) -> Value {
        json!({ "leaving": self.0 })
    }
}

/// Between two looks: shorter than what SWIM needs for any change.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use trellis_rpc::MemberState;

    use super::*;

    #[test]
    fn changes_are_told_once() {
        let mut seen = BTreeMap::new();
        let all = [member("n1", MemberState::Alive), member("n2", MemberState::Alive)];
        let first = changes(&mut seen, &all);
        assert_eq!(first.len(), 2);
        assert_eq!((&first[0].before, first[0].after.as_deref()), (&None, Some("alive")));
        assert_eq!(changes(&mut seen, &all), []);
        let suspected = [member("n1", MemberState::Alive), member("n2", MemberState::Suspect)];
        let told = changes(&mut seen, &suspected);
        let expected = Change {
            name: "n2".to_owned(),
            before: Some("alive".to_owned()),
            after: Some("suspect".to_owned()),
        };
        assert_eq!(told, [expected]);
        let gone = changes(&mut seen, &all[..1]);
        assert_eq!((gone.len(), &gone[0].after), (1, &None));
    }

    #[test]
    fn a_member_is_a_row_with_what_its_observer_knows() {
        let heard = MemberStatus {
            last_heard_millis: Some(250),
            since_millis: 61_000,
            incarnation: 3,
            peer_address: "10.0.0.2:7500".to_owned(),
            ..member("n2", MemberState::Suspect)
        };
        let members =
            Members { observer: "n1".to_owned(), members: vec![member("n1", MemberState::Alive), heard] };
        assert_eq!(
            members.plain(),
            "NODE  STATE    SINCE  HEARD      INCARNATION  PEER           ID\n\
             n1 *  alive    0ms    -          0            -              -\n\
             n2    suspect  61s    250ms ago  3            10.0.0.2:7500  -\n"
        );
    }

    fn member(name: &str, state: MemberState) -> MemberStatus {
        MemberStatus { name: name.to_owned(), state, ..MemberStatus::default() }
    }
}
