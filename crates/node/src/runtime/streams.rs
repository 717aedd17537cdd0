//! What both ends of a stream have in common.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use trellis_replication::{LinkEvent, LinkId, Message};

/// Who takes what happens on streams.
pub(crate) trait LinkHost: Send + Sync {
    /// Hands an event of a stream to the core.
    fn handle_link(&self, link: LinkId, event: LinkEvent);
}

/// What the core has to do with one stream, from before it is open.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) link: LinkId,
    /// What the core sends on it.
    pub(crate) outbound: mpsc::Receiver<Message>,
    /// Resolves when the core closes it, open or not.
    pub(crate) closed: oneshot::Receiver<()>,
}

/// Carries the core's messages of one stream to the wire, until the core closes it or the wire is gone.
pub(crate) async fn forward<M>(
    mut outbound: mpsc::Receiver<Message>,
    wire: mpsc::Sender<M>,
    unwrap: impl Fn(Message) -> Option<M> + Send,
) {
    while let Some(message) = outbound.recv().await {
        let Some(message) = unwrap(message) else { continue };
        if wire.send(message).await.is_err() {
            return;
        }
    }
}

/// How long the peer may take to let a stream end that is closed here.
pub(crate) const GOODBYE_PATIENCE: Duration = Duration::from_secs(2);
/// Messages that wait for one stream. The core's windows keep it far below; a peer that still fills it does not read,
/// and its stream is closed.
pub(crate) const LINK_MESSAGES_MAX: usize = 4096;
