//! `trellis status`: the members and what they hold, as one node sees it.

use serde_json::{Value, json};
use trellis_rpc::{ClusterStatus, MemberState, MemberStatus};

use crate::connect::Caller;
use crate::exit::Failure;
use crate::output::{Answer, Report, columns, human_bytes, human_millis};

/// Asks the node that answers for the state of the cluster.
pub(crate) async fn status(caller: &Caller) -> Result<Answer, Failure> {
    let answered = caller.ask(caller.client().cluster_status()).await?;
    let (node, status) = (answered.node, answered.body);
    let warnings: Vec<String> = status.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    let answer = Answer::new(Status { node, status });
    Ok(warnings.into_iter().fold(answer, Answer::note))
}

/// The state of a cluster.
struct Status {
    /// Who says so.
    node: String,
    status: ClusterStatus,
}

impl Status {
    /// Such as `2/3 alive, 1 suspect (n2)`.
    fn members(&self) -> String {
        let of = |state: MemberState| {
            self.status
                .members
                .iter()
                .filter(move |member| member.state == state)
                .map(|member| member.name.as_str())
        };
        let mut text = format!("{}/{} alive", of(MemberState::Alive).count(), self.status.members.len());
        for state in [MemberState::Suspect, MemberState::Dead, MemberState::Left, MemberState::Unknown] {
            let names: Vec<&str> = of(state).collect();
            if !names.is_empty() {
                text.push_str(&format!(", {} {state} ({})", names.len(), names.join(", ")));
            }
        }
        text
    }

    fn converged(&self) -> String {
        let is_whole = self.status.members.iter().all(|member| member.state == MemberState::Alive);
        let lag_max = self.status.members.iter().map(|member| member.lag).max().unwrap_or(0);
        match (self.status.is_converged, is_whole) {
            (true, true) => "yes".to_owned(),
            (true, false) => "yes among reachable".to_owned(),
            (false, _) => format!("no (lag max {lag_max} ops)"),
        }
    }
}

impl Report for Status {
    fn plain(&self) -> String {
        let status = &self.status;
        let head = format!(
            "CLUSTER  {}   MEMBERS {}   CONVERGED {}   VERSION {}\n",
            status.cluster,
            self.members(),
            self.converged(),
            status.version
        );
        head + &self.table()
    }

    fn table(&self) -> String {
        let row = |member: &MemberStatus| {
            let is_answering = member.name == self.node;
            let mark = if is_answering { " *" } else { "" };
            let usage =
                |of: fn(&trellis_rpc::NodeUsage) -> String| member.usage.as_ref().map_or("-".to_owned(), of);
            [
                format!("{}{mark}", member.name),
                state(member),
                dash(&member.client_address),
                if is_answering { "-".to_owned() } else { format!("{} ops", member.lag) },
                usage(|usage| usage.keys.to_string()),
                usage(|usage| human_bytes(usage.log_bytes)),
                usage(|usage| human_bytes(usage.memory_bytes)),
                usage(|usage| human_millis(usage.uptime_millis)),
            ]
        };
        let header = ["NODE", "STATE", "CLIENT", "LAG", "KEYS", "WAL", "MEM", "UPTIME"];
        columns(header, self.status.members.iter().map(row))
    }

    fn json(&self) -> Value {
        let status = &self.status;
        json!({
            "node": self.node,
            "clusterId": status.cluster,
            "founding": status.founding.map(|founding| founding.to_string()),
            "version": status.version,
            "converged": status.is_converged,
            "warnings": status.warnings,
            "awareness": status.awareness,
            "members": status.members.iter().map(member_json).collect::<Vec<_>>(),
        })
    }
}

pub(crate) fn member_json(member: &MemberStatus) -> Value {
    json!({
        "name": member.name,
        "nodeId": member.node.map(|node| node.to_string()),
        "replicaId": member.replica.map(|replica| replica.to_string()),
        "state": member.state.word(),
        "isGuest": member.is_guest,
        "clientAddress": member.client_address,
        "peerAddress": member.peer_address,
        "incarnation": member.incarnation,
        "sinceMillis": member.since_millis,
        "lastHeardMillis": member.last_heard_millis,
        "lag": member.lag,
        "usage": member.usage.map(|usage| json!({
            "keys": usage.keys,
            "logBytes": usage.log_bytes,
            "memoryBytes": usage.memory_bytes,
            "uptimeMillis": usage.uptime_millis,
            "snapshot": usage.snapshot.map(|snapshot| json!({
                "startLsn": snapshot.start_lsn,
                "bytes": snapshot.bytes,
                "ageMillis": snapshot.age_millis,
            })),
            "logBytesBehindSnapshot": usage.log_bytes_behind_snapshot,
        })),
    })
}

pub(crate) fn state(member: &MemberStatus) -> String {
    if member.is_guest { format!("{} (guest)", member.state) } else { member.state.to_string() }
}

pub(crate) fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_cluster_is_one_line_and_a_row_for_each_member() {
        let status = seen_from_n1(ClusterStatus {
            cluster: "dev-7f3a".to_owned(),
            version: "0.1.0".to_owned(),
            members: vec![answering("n1"), member("n2", MemberState::Alive, 3)],
            is_converged: true,
            ..ClusterStatus::default()
        });
        assert_eq!(
            status.plain(),
            "CLUSTER  dev-7f3a   MEMBERS 2/2 alive   CONVERGED yes   VERSION 0.1.0\n\
             NODE  STATE  CLIENT          LAG    KEYS  WAL     MEM     UPTIME\n\
             n1 *  alive  127.0.0.1:7401  -      1     1.2KiB  6.1MiB  41s\n\
             n2    alive  127.0.0.1:7402  3 ops  -     -       -       -\n"
        );
    }

    #[test]
    fn members_that_are_not_alive_are_counted_and_named() {
        let guest = MemberStatus { is_guest: true, ..member("n4", MemberState::Alive, 0) };
        let members = vec![
            answering("n1"),
            member("n2", MemberState::Suspect, 7),
            member("n3", MemberState::Dead, 9),
            guest,
        ];
        let status = seen_from_n1(ClusterStatus { members, ..ClusterStatus::default() });
        assert_eq!(status.members(), "2/4 alive, 1 suspect (n2), 1 dead (n3)");
        assert_eq!(status.converged(), "no (lag max 9 ops)");
        assert!(status.table().contains("alive (guest)"));
        let status = seen_from_n1(ClusterStatus { is_converged: true, ..status.status });
        assert_eq!(status.converged(), "yes among reachable");
    }

    #[test]
    fn json_has_the_state_of_every_member() {
        let members = vec![answering("n1"), member("n2", MemberState::Suspect, 7)];
        let json = seen_from_n1(ClusterStatus { members, ..ClusterStatus::default() }).json();
        assert_eq!(json["members"][0]["state"], "alive");
        assert_eq!(json["node"], "n1");
        assert_eq!(json["members"][0]["usage"]["keys"], 1);
        assert_eq!(json["members"][1]["state"], "suspect");
        assert_eq!(json["members"][1]["usage"], Value::Null);
        assert_eq!(json["members"][1]["lastHeardMillis"], 2);
    }

    fn seen_from_n1(status: ClusterStatus) -> Status {
        Status { node: "n1".to_owned(), status }
    }

    fn answering(name: &str) -> MemberStatus {
        let usage = trellis_rpc::NodeUsage {
            keys: 1,
            log_bytes: 1228,
            memory_bytes: 6_396_314,
            uptime_millis: 41_200,
            ..trellis_rpc::NodeUsage::default()
        };
        MemberStatus { usage: Some(usage), last_heard_millis: None, ..member(name, MemberState::Alive, 0) }
    }

    fn member(name: &str, state: MemberState, lag: u64) -> MemberStatus {
        let client_address = name.replace('n', "127.0.0.1:740");
        let last_heard_millis = Some(2);
        MemberStatus {
            name: name.to_owned(),
            state,
            lag,
            client_address,
            last_heard_millis,
            ..MemberStatus::default()
        }
    }
}
