//! From flags to a client, and from its errors to what people read.

use std::future::Future;
use std::sync::Arc;

use trellis_rpc::{
    Attempt, Client, ClientConfig, ClientError, Endpoint, ErrorKind, Reason, TlsFiles, TlsReloader,
    WriteOutcome,
};

use crate::args::Global;
use crate::context::Contexts;
use crate::exit::{Exit, Failure};
use crate::output::Answer;
use crate::target::Target;

/// A client, and whom it calls in words.
pub(crate) struct Caller {
    client: Client,
    whom: String,
}

impl Caller {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Awaits a call of this client and tells its failure.
    pub(crate) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Failure> {
        call.await.map_err(|error| failed(error, &self.whom))
    }
}

/// Runs a verb with a client for what flags and context say.
pub(crate) fn call<F>(global: &Global, verb: F) -> Result<Answer, Failure>
where
    F: AsyncFnOnce(&Caller) -> Result<Answer, Failure>,
{
    let target = Target::resolve(global, Contexts::of_this_user)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, "the runtime cannot be started").cause(error))?;
    runtime.block_on(async {
        let caller = connect(&target, global).await?;
        verb(&caller).await
    })
}

/// Makes a client of the endpoints, or of the one node that was asked for by name.
async fn connect(target: &Target, global: &Global) -> Result<Caller, Failure> {
    let files = TlsFiles { ca: target.ca.clone(), cert: target.cert.clone(), key: target.key.clone() };
    let tls = TlsReloader::load(files).map_err(|error| {
        Failure::of(Exit::Denied, &error)
            .hint("make a certificate: trellis certs client NAME; or choose one: --cert, --key")
    })?;
    let tls = Arc::new(tls);
    let config = ClientConfig { timeout: global.timeout, ..ClientConfig::default() };
    let client = |endpoints| Client::new(endpoints, Arc::clone(&tls), config.clone());
    let caller = Caller { client: client(target.endpoints.clone()), whom: target.describe() };
    let Some(name) = &target.sought else { return Ok(caller) };

    let status = caller.ask(caller.client.cluster_status()).await?.body;
    let member = status.members.iter().find(|member| member.name == *name);
    let Some(member) = member.filter(|member| !member.client_address.is_empty()) else {
        let names: Vec<&str> = status.members.iter().map(|member| member.name.as_str()).collect();
        let failure = Failure::usage(format!("there is no node \"{name}\" with a known address"));
        return Err(failure.cause(format!("there are {}", names.join(", "))).hint("trellis status"));
    };
    let endpoint = Endpoint { address: member.client_address.clone(), node: Some(name.clone()) };
    Ok(Caller { whom: format!("{name} ({})", endpoint.address), client: client(vec![endpoint]) })
}

fn failed(error: ClientError, whom: &str) -> Failure {
    let exit = match error.kind {
        ErrorKind::Unreachable => Exit::Unreachable,
        ErrorKind::Denied => Exit::Denied,
        ErrorKind::Rejected => Exit::Rejected,
        ErrorKind::TimedOut => Exit::TimedOut,
        ErrorKind::Overloaded => Exit::Overloaded,
        _ => Exit::Internal,
    };
    let is_nobody = error.kind == ErrorKind::Unreachable && error.outcome == WriteOutcome::NotDone;
    let message = if is_nobody { format!("no node of {whom} serves this") } else { error.to_string() };
    let mut failure = Failure::new(exit, message);
    failure.hint = hint(&error);
    failure.reason = error.reason.map(Reason::as_str);
    // What the message says already needs no cause.
    let is_news = |attempt: &&Attempt| is_nobody || attempt.message != error.message;
    for attempt in error.attempts.iter().filter(is_news) {
        let cause = format!("{}: {}", attempt.endpoint, attempt.message);
        if !failure.causes.contains(&cause) {
            failure.causes.push(cause);
        }
    }
    failure.details = error.metadata;
    failure
}

fn hint(error: &ClientError) -> Option<String> {
    let hint = match (error.reason, error.kind) {
        (Some(Reason::WrongType), _) => "take another key, or delete this one first: trellis del KEY",
        (Some(Reason::CounterOverflow), _) => {
            "each node counts up to 64 bits in either direction: count on at another one with --node"
        }
        (Some(Reason::RoleNotAllowed), _) => {
            "use a certificate of another role: trellis certs client NAME --role ROLE"
        }
        (Some(Reason::NotReady), _) => "it may serve in a moment: trellis status shows whom it waits for",
        (Some(Reason::ReplicaWaitTimeout), _) => "do not repeat it; trellis status shows who is behind",
        (Some(Reason::ClockSkew), _) => "set the clock of that node, or write at another one with --node",
        (Some(Reason::SnapshotFailed), _) => "see the log of that node; what it holds is as safe as before",
        (Some(Reason::DiskFull), _) => {
            "make room on the disk of that node, or write at another one with --node"
        }
        _ if error.outcome == WriteOutcome::Unknown => {
            "read the key before you repeat the write: trellis get KEY"
        }
        (_, ErrorKind::Unreachable) => {
            "do the nodes run? trellis context show tells who is asked, --endpoints asks others"
        }
        (_, ErrorKind::Denied) => "trellis certs show tells who you are and to which cluster you belong",
        (_, ErrorKind::TimedOut) => "give it more time with --timeout 30s, or ask another node with --node",
        (_, ErrorKind::Overloaded) => "try again later, or at another node with --node",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn nobody_reached_names_every_endpoint_once() {
        let attempt =
            |endpoint: &str| Attempt { endpoint: endpoint.to_owned(), message: "refused".to_owned() };
        let attempts = ["a:1", "b:1", "a:1", "b:1"].map(attempt).to_vec();
        let error = ClientError { attempts, ..error(ErrorKind::Unreachable, None, WriteOutcome::NotDone) };
        let failure = failed(error, "context \"prod\" (a:1, b:1)");
        assert_eq!(failure.exit, Exit::Unreachable);
        assert_eq!(failure.message, "no node of context \"prod\" (a:1, b:1) serves this");
        assert_eq!(failure.causes, ["a:1: refused", "b:1: refused"]);
        assert!(failure.hint.is_some());
    }

    #[test]
    fn every_kind_has_its_exit_code() {
        for (kind, exit) in [
            (ErrorKind::Unreachable, 3),
            (ErrorKind::Denied, 4),
            (ErrorKind::Rejected, 5),
            (ErrorKind::TimedOut, 6),
            (ErrorKind::Overloaded, 7),
            (ErrorKind::Internal, 70),
        ] {
            assert_eq!(failed(error(kind, None, WriteOutcome::NotDone), "n1").exit.code(), exit);
        }
    }

    #[test]
    fn a_write_whose_outcome_is_unknown_says_so_and_what_to_do() {
        let failure = failed(error(ErrorKind::TimedOut, None, WriteOutcome::Unknown), "n1");
        assert!(failure.message.ends_with("(the write may or may not have happened)"), "{failure:?}");
        assert!(failure.hint.is_some_and(|hint| hint.starts_with("read the key before")));
    }

    #[test]
    fn what_a_node_refuses_is_told_once_with_reason_and_details() {
        let details = BTreeMap::from([("actual".to_owned(), "pn-counter".to_owned())]);
        let attempt = |endpoint: &str, message: &str| Attempt {
            endpoint: endpoint.to_owned(),
            message: message.to_owned(),
        };
        let error = ClientError {
            metadata: details.clone(),
            attempts: vec![attempt("a:1", "refused"), attempt("b:1", "no")],
            ..error(ErrorKind::Rejected, Some(Reason::WrongType), WriteOutcome::NotDone)
        };
        let failure = failed(error, "n1");
        assert_eq!(
            (failure.message.as_str(), failure.causes.as_slice()),
            ("no", &["a:1: refused".to_owned()][..])
        );
        assert_eq!((failure.reason, failure.details), (Some("WRONG_TYPE"), details));
    }

    fn error(kind: ErrorKind, reason: Option<Reason>, outcome: WriteOutcome) -> ClientError {
        let (message, metadata, attempts) = ("no".to_owned(), BTreeMap::new(), Vec::new());
        ClientError { kind, reason, message, metadata, outcome, attempts }
    }
}
