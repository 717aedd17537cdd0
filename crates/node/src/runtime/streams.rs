//! What both ends of a stream have in common.

use tokio::sync::{mpsc, oneshot};
use trellis_replication::{LinkEvent, LinkId, Message};

/// Who takes what happens on streams, and what they are to carry.
pub(crate) trait LinkHost: Send + Sync {
    /// Hands an event of a stream to the core.
    fn handle_link(&self, link: LinkId, event: LinkEvent);

    /// Takes the sending half of a stream; from here on the core's messages for it go there. What is returned
    /// resolves when the core closes the stream.
    fn attach(&self, link: LinkId, messages: mpsc::Sender<Message>) -> oneshot::Receiver<()>;
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

/// Messages that wait for one stream. The core's windows keep it far below; a peer that still fills it does not read,
/// and its stream is closed.
pub(crate) const LINK_MESSAGES_MAX: usize = 4096;
