//! What stands between a connection and the handlers: roles, limits, deadlines, panics, and honest statuses.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;

use super::routes::Routes;
use crate::config::ServerConfig;
use crate::error::{Failure, Reason};
use crate::role::{Audience, CallTime, Method, PeerCertificate, RoleError};

/// Who is at the other end of a connection, or why it may call nothing.
pub(super) type Caller = Result<Arc<PeerCertificate>, Failure>;

/// Decides on every call before its handler hears of it.
pub(super) struct Gate {
    routes: Routes,
    cluster: String,
    audience: Audience,
    calls: Semaphore,
    call_timeout: Duration,
    message_bytes_max: usize,
}

impl Gate {
    pub(super) fn new(routes: Routes, cluster: String, audience: Audience, config: &ServerConfig) -> Self {
        Self {
            routes,
            cluster,
            audience,
            calls: Semaphore::new(config.calls_max.min(Semaphore::MAX_PERMITS)),
            call_timeout: config.call_timeout,
            message_bytes_max: config.message_bytes_max,
        }
    }

    /// Reads who is at the other end, once for each connection. The certificate's signature has been checked.
    pub(super) fn admit(&self, chain: Option<&[CertificateDer<'_>]>) -> Caller {
        let caller = match chain.and_then(<[_]>::first) {
            Some(leaf) => PeerCertificate::from_der(leaf),
            None => Err(RoleError::None),
        };
        let caller = caller.map_err(|error| Failure::new(Reason::NoRoleInCertificate, error.to_string()))?;
        if caller.cluster != self.cluster {
            let message = format!(
                "the certificate belongs to cluster {}, this node to {}",
                caller.cluster, self.cluster
            );
            return Err(Failure::new(Reason::ForeignCluster, message)
                .with("ours", &self.cluster)
                .with("theirs", caller.cluster));
        }
        Ok(Arc::new(caller))
    }

    /// Answers one call, whatever happens.
    pub(super) async fn answer(
        self: Arc<Self>,
        caller: Arc<Caller>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let answered = self.try_answer(&caller, request).await;
        Ok(answered.unwrap_or_else(|failure| Status::from(failure).into_http()))
    }

    async fn try_answer(
        &self,
        caller: &Caller,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let caller = caller.clone()?;
        let path = request.uri().path();
        let method = Method::of_path(path);
        if !self.audience.includes(caller.role) || method.is_some_and(|method| !method.allows(caller.role)) {
            let message = format!("role {} may not call {path} here", caller.role);
            return Err(Failure::new(Reason::RoleNotAllowed, message)
                .with("role", caller.role)
                .with("method", path));
        }
        let found = method.and_then(|method| Some((method, self.routes.get(method.service)?)));
        let Some((method, route)) = found else {
            let message = format!("there is no method {path} here");
            return Err(Failure::new(Reason::UnknownMethod, message).with("method", path));
        };
        let limit = self.limit(method.time, request.headers());
        request.extensions_mut().insert(caller);

        let _permit = match limit {
            Some(_) => Some(self.calls.try_acquire().map_err(|_| {
                Failure::new(Reason::Overloaded, "more calls are under way than this node takes")
            })?),
            None => None,
        };
        let answer = CatchPanic { future: AssertUnwindSafe(route(request)) };
        let answered = match limit {
            Some(limit) => timeout(limit, answer).await.map_err(|_| {
                Failure::new(
                    Reason::DeadlineExceeded,
                    "the call's time is over; a write may or may not stand",
                )
            })?,
            None => answer.await,
        };
        match answered {
            Ok(Ok(response)) => self.check_status(response),
            Err(panic) => Err(Failure::internal(&format!("the handler panicked: {}", panic_text(&*panic)))),
        }
    }

    /// How long a call may take; `None` for no limit.
    fn limit(&self, time: CallTime, headers: &HeaderMap) -> Option<Duration> {
        let asked = headers.get(GRPC_TIMEOUT).and_then(|value| parse_timeout(value.to_str().ok()?));
        match time {
            CallTime::Limited => Some(asked.map_or(self.call_timeout, |asked| asked.min(self.call_timeout))),
            CallTime::Callers => Some(asked.unwrap_or(self.call_timeout)),
            CallTime::Unlimited => None,
        }
    }

    /// Gives a reason to what tonic refused before the handler.
    fn check_status(&self, response: Response<Body>) -> Result<Response<Body>, Failure> {
        if !response.headers().contains_key(Status::GRPC_STATUS) {
            return Ok(response);
        }
        let failure = Status::from_header_map(response.headers())
            .and_then(|status| Failure::of_unread_request(&status, self.message_bytes_max));
        failure.map_or(Ok(response), Err)
    }
}

/// Turns a panic while polling into a value, so that the other calls of the connection go on.
struct CatchPanic<F> {
    future: AssertUnwindSafe<F>,
}

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = &mut self.future;
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut future.0).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Reads a `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

const GRPC_TIMEOUT: &str = "grpc-timeout";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_read_as_the_protocol_writes_them() {
        assert_eq!(parse_timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for text in ["", "S", "5", "5s", "+5S", "-5S", "123456789S", "5 S", "é", "5é"] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
    }
}
