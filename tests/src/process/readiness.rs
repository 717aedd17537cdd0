//! What a status port answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::place::Place;

/// What `/readyz` of a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It takes reads and writes.
    Ready,
    /// It answers, and says why it does not serve.
    NotReady(String),
    /// Nobody answers, for this reason.
    Silent(String),
}

impl Readiness {
    pub(super) fn ask(place: &Place, port: u16) -> Self {
        match get(place, port, "/readyz") {
            Ok((200, _)) => Self::Ready,
            Ok((_, body)) => Self::NotReady(body.trim().to_owned()),
            Err(error) => Self::Silent(error.to_string()),
        }
    }
}

/// One GET over plain HTTP: the status code and the body.
pub(super) fn get(place: &Place, port: u16, path: &str) -> io::Result<(u16, String)> {
    let address = SocketAddr::from((place.address, port));
    let mut stream = place.within(|| TcpStream::connect_timeout(&address, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((code, body.to_owned()))
}

const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_code_and_its_body() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\ndraining\n";
        assert_eq!(parse(answer), Some((503, "draining\n".to_owned())));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(parse("SSH-2.0-x\r\n\r\n"), None);
    }
}
