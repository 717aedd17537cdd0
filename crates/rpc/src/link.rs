//! The receiving end of a stream between two nodes, and how calls between nodes fail.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, Streaming};

use crate::client::TransportError;
use crate::convert::InvalidMessage;
use crate::error::Failure;

/// Messages of one stream, in order. Ends after the first error.
///
/// Backpressure is that of HTTP/2: what is not taken here fills the stream's window (1 MiB), then the sender waits.
pub struct Inbound<T> {
    messages: Option<Messages<T>>,
    draining: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, LinkError>> + Send>>;

impl<T> Inbound<T> {
    pub(crate) fn new<M>(messages: Streaming<M>, draining: Option<CancellationToken>) -> Self
    where
        M: Send + 'static,
        T: TryFrom<M, Error = InvalidMessage>,
    {
        let messages = messages.map(|message| Ok(T::try_from(message?)?));
        Self {
            messages: Some(Box::pin(messages)),
            draining: draining.map(|token| Box::pin(token.cancelled_owned())),
        }
    }

    /// Waits for the next message; `None` when the other side has sent its last. Loses nothing when dropped early.
    ///
    /// # Errors
    ///
    /// Why there will be no further message.
    pub async fn next(&mut self) -> Option<Result<T, LinkError>> {
        StreamExt::next(self).await
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, LinkError>>> {
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(message) = messages.as_mut().poll_next(cx) {
            return Poll::Ready(message);
        }
        match &mut self.draining {
            Some(draining) => draining.as_mut().poll(cx).map(|()| Some(Err(LinkError::Draining))),
            None => Poll::Pending,
        }
    }
}

impl<T> Stream for Inbound<T> {
    type Item = Result<T, LinkError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.poll_messages(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.messages = None;
        }
        polled
    }
}

impl<T> fmt::Debug for Inbound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("is_open", &self.messages.is_some()).finish_non_exhaustive()
    }
}

/// How a call or stream between two nodes fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The connection broke, or the other side gave up: dial again.
    #[error("the connection is gone: {detail}")]
    Closed {
        /// In words, for logs.
        detail: String,
    },
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The other side answered with a failure.
    #[error("refused: {0}")]
    Refused(Failure),
    /// The other side sent what no correct node sends.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
    /// The other side sent a message over the limit.
    #[error("the message is longer than the limit")]
    MessageTooLarge,
    /// This process is about to stop.
    #[error("this node is about to stop")]
    Draining,
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        if let Some(failure) = Failure::from_status(&status) {
            return Self::Refused(failure);
        }
        if let Some(error) = TransportError::of(&status) {
            return Self::Closed { detail: error.to_string() };
        }
        match status.code() {
            Code::DeadlineExceeded => Self::TimedOut,
            Code::OutOfRange => Self::MessageTooLarge,
            Code::Internal => {
                Self::Invalid(InvalidMessage { field: "message", problem: "cannot be decoded" })
            }
            _ => Self::Closed { detail: status.message().to_owned() },
        }
    }
}
