//! Whether a node is ready, and whether it sees every member alive.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::layout::{Cluster, Layout, Node};
use super::setup;
use crate::workspace::output_of;

/// What a node's `/readyz` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// It answers and gives a reason.
    NotReady(String),
    /// It does not answer.
    Silent(String),
}

impl Readiness {
    pub(super) fn is_ready(&self) -> bool {
        *self == Self::Ready
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => write!(formatter, "ready"),
            Self::NotReady(reason) => write!(formatter, "not ready: {reason}"),
            Self::Silent(reason) => write!(formatter, "silent: {reason}"),
        }
    }
}

/// Asks the status port of a node on this machine.
pub(super) fn readiness(port: u16) -> Readiness {
    match get(port, "/readyz") {
        Ok((200, _)) => Readiness::Ready,
        Ok((_, body)) => Readiness::NotReady(body.trim().to_owned()),
        Err(error) => Readiness::Silent(error.to_string()),
    }
}

/// Asks a node for the members; fails unless every node of the cluster is among them, alive, and in step with it: only
/// then do writes travel at once.
pub(super) fn members_alive(layout: &Layout, cluster: &Cluster, node: &Node) -> Result<()> {
    let mut command = setup::trellis(layout, cluster);
    let json = output_of(command.args(["--node", &node.name, "--output", "json", "status"]))?;
    check_members(&json, cluster)
}

fn check_members(json: &[u8], cluster: &Cluster) -> Result<()> {
    let status: Status =
        serde_json::from_slice(json).context("`trellis status -o json` gave unexpected JSON")?;
    for node in &cluster.nodes {
        let member = status.members.iter().find(|member| member.name == node.name);
        let state = member.map_or("unknown", |member| member.state.as_str());
        ensure!(state == "alive", "{} is {state}", node.name);
    }
    ensure!(status.converged, "the members are not in step yet");
    Ok(())
}

#[derive(Deserialize)]
struct Status {
    converged: bool,
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
    state: String,
}

fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::PathBuf;
    use std::thread;

    use super::*;

    #[test]
    fn readiness_is_the_code_and_the_body_of_the_answer() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n", Readiness::Ready),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\njoining\n", Readiness::NotReady("joining".to_owned())),
            ("SSH-2.0-x\r\n\r\n", Readiness::Silent("the answer is not HTTP".to_owned())),
        ] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            assert_eq!(readiness(port), expected);
            assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        }
    }

    #[test]
    fn members_must_all_be_there_alive_and_in_step() {
        let node = |name: &str| Node { name: name.to_owned(), client: 1, peer: 2, status: 3 };
        let cluster =
            Cluster { binary: PathBuf::new(), is_founded: true, nodes: vec![node("n1"), node("n2")] };
        let json = |converged: bool, state: &str| {
            format!(
                r#"{{"converged": {converged}, "members": [{{"name": "n1", "state": "alive"}}, {state}]}}"#
            )
        };
        let verdict =
            |json: String| check_members(json.as_bytes(), &cluster).map_err(|error| error.to_string());
        let check = |second: &str| verdict(json(true, second));
        assert_eq!(check(r#"{"name": "n2", "state": "alive"}"#), Ok(()));
        assert_eq!(check(r#"{"name": "n2", "state": "suspect"}"#), Err("n2 is suspect".to_owned()));
        assert_eq!(check(r#"{"name": "n3", "state": "alive"}"#), Err("n2 is unknown".to_owned()));
        let apart = verdict(json(false, r#"{"name": "n2", "state": "alive"}"#));
        assert_eq!(apart, Err("the members are not in step yet".to_owned()));
    }
}
