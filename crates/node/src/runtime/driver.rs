//! Performs the effects of a core: streams, calls, and the one timer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use trellis_replication::{LinkEvent, LinkId, LinkKind, Message, Ping, Pong};
use trellis_rpc::Health;

use super::clock;
use super::concerns::Concerns;
use super::log_thread::LogSignal;
use super::outgoing::Outgoing;
use super::report;
use super::snapshots::Snapshots;
use super::streams::{LINK_MESSAGES_MAX, Lane, LinkHost};
use crate::core::{Core, Effect, Phase, PingAnswer};

/// A handle to the part of the runtime that does what the core asks for.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    outgoing: Outgoing,
    concerns: Concerns,
    health: Health,
    links: Mutex<HashMap<LinkId, Link>>,
    /// Pings of peers that are answered later.
    answers: Mutex<HashMap<u64, oneshot::Sender<Box<Pong>>>>,
    /// Held while effects are performed, so that they are performed in order.
    performing: Mutex<()>,
    /// What the timer task sleeps until.
    armed: Mutex<Option<Instant>>,
    rearm: Notify,
    left: Notify,
    /// Something happened to the core: the log, a stream, a call or the clock moved on.
    changed: Notify,
}

/// The sending half of a stream; dropping it tells the task that serves the stream that the core has closed it.
#[derive(Debug)]
struct Link {
    messages: mpsc::Sender<Message>,
    _open: oneshot::Sender<()>,
}

impl Driver {
    pub(crate) fn new(core: Arc<Core>, outgoing: Outgoing, concerns: Concerns, health: Health) -> Self {
        let shared = Shared {
            core,
            outgoing,
            concerns,
            health,
            links: Mutex::default(),
            answers: Mutex::default(),
            performing: Mutex::new(()),
            armed: Mutex::new(None),
            rearm: Notify::new(),
            left: Notify::new(),
            changed: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }

    /// Runs the timer and follows the log, for as long as the node lives.
    pub(crate) async fn run(self, signal: LogSignal, snapshots: Snapshots) {
        loop {
            let due = {
                // Asked under the lock: who makes something due earlier compares it with this answer or is part of it.
                let mut armed = self.shared.armed.lock();
                *armed = self.core().poll_timeout();
                *armed
            };
            tokio::select! {
                () = sleep_until(due) => self.core().handle_timeout(clock::now()),
                () = self.shared.rearm.notified() => {}
                () = signal.progress.notified() => {
                    if self.core().is_disk_full() != signal.is_disk_full() {
                        self.core().handle_disk_full(signal.is_disk_full());
                        self.show_health();
                    }
                    if signal.has_failed() {
                        self.core().handle_log_failed(clock::now());
                    } else {
                        self.core().handle_durable(clock::now());
                        snapshots.look_at_log();
                    }
                }
            }
            self.pump();
        }
    }

    /// Performs everything that the core has asked for, and arms the timer anew if something is due earlier.
    pub(crate) fn pump(&self) {
        {
            let _in_order = self.shared.performing.lock();
            while let Some(effect) = self.core().poll_effect() {
                self.perform(effect);
            }
        }
        self.shared.changed.notify_waiters();
        let due = self.core().poll_timeout();
        let armed = *self.shared.armed.lock();
        if due.is_some_and(|due| armed.is_none_or(|armed| due < armed)) {
            self.shared.rearm.notify_one();
        }
    }

    /// Names a stream that a peer opened. No effect of the core on it is performed before it can be.
    pub(crate) fn accept(&self, peer: &str, kind: LinkKind) -> Lane {
        let _in_order = self.shared.performing.lock();
        let link = self.core().accept(peer, kind, clock::now());
        self.attach(link)
    }

    /// Lets go of a stream that ended by itself and tells the core.
    pub(crate) fn detach(&self, link: LinkId) {
        self.shared.links.lock().remove(&link);
        self.handle_link(link, LinkEvent::Closed);
    }

    /// Has the core answer a ping of the node whose certificate says `from`, at once or as soon as it can.
    pub(crate) fn answer_ping(&self, from: &str, ping: &Ping) -> oneshot::Receiver<Box<Pong>> {
        let (sender, receiver) = oneshot::channel();
        {
            // An answer that comes later is performed after it is waited for.
            let _in_order = self.shared.performing.lock();
            match self.core().answer_ping(from, ping, clock::now()) {
                PingAnswer::Now(pong) => {
                    let _ = sender.send(pong);
                }
                PingAnswer::Later(id) => {
                    let mut answers = self.shared.answers.lock();
                    answers.retain(|_, waiting| !waiting.is_closed());
                    answers.insert(id, sender);
                }
            }
        }
        self.pump();
        receiver
    }

    /// Waits until what this process wrote is durable and every alive peer has it.
    pub(crate) async fn drained(&self) {
        loop {
            // Made before the look, so that what changes between the two wakes it.
            let changed = self.shared.changed.notified();
            if self.core().is_drained() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the other members were told that this node leaves, or were before this is called.
    pub(crate) async fn left(&self) {
        self.shared.left.notified().await;
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Open { link, kind, peer, address } => {
                let (driver, lane) = (self.clone(), self.attach(link));
                tokio::spawn(async move {
                    driver.shared.outgoing.serve(&driver, lane, kind, &peer, &address).await;
                    driver.detach(link);
                });
            }
            Effect::Send { link, message } => self.send(link, message),
            Effect::Close { link } => self.close(link),
            Effect::Call { id, peer, address, request, deadline } => {
                let driver = self.clone();
                tokio::spawn(async move {
                    let answered =
                        driver.shared.outgoing.call(peer.as_deref(), &address, request, deadline).await;
                    driver.core().handle_answer(id, answered, clock::now());
                    driver.pump();
                });
            }
            Effect::Answer { id, pong } => {
                if let Some(waiting) = self.shared.answers.lock().remove(&id) {
                    let _ = waiting.send(pong);
                }
            }
            Effect::Replicated { ticket } => self.shared.concerns.reached(ticket),
            Effect::LeaveDrained => self.shared.left.notify_one(),
            Effect::Phase(phase) => {
                report::phase(phase);
                self.show_health();
            }
            Effect::Notice(notice) => report::notice(&notice),
        }
    }

    /// Tells health checkers whether clients are served.
    pub(crate) fn show_health(&self) {
        let (health, core) = (self.shared.health.clone(), Arc::clone(self.core()));
        tokio::spawn(async move {
            health.set_serving(core.phase() == Phase::Serving && !core.is_disk_full()).await;
        });
    }

    fn send(&self, link: LinkId, message: Message) {
        let sent = self.shared.links.lock().get(&link).map(|stream| stream.messages.try_send(message));
        if let Some(Err(error)) = sent {
            tracing::debug!(link = link.as_u64(), %error, "a peer does not keep up; its stream is closed");
            let driver = self.clone();
            self.shared.links.lock().remove(&link);
            tokio::spawn(async move { driver.detach(link) });
        }
    }

    fn close(&self, link: LinkId) {
        self.shared.links.lock().remove(&link);
    }

    /// From here on the core's messages for `link` go to the lane, and its end to whoever serves it.
    fn attach(&self, link: LinkId) -> Lane {
        let (messages, outbound) = mpsc::channel(LINK_MESSAGES_MAX);
        let (open, closed) = oneshot::channel();
        self.shared.links.lock().insert(link, Link { messages, _open: open });
        Lane { link, outbound, closed }
    }
}

impl LinkHost for Driver {
    /// Hands an event of a stream to the core.
    fn handle_link(&self, link: LinkId, event: LinkEvent) {
        self.core().handle_link(link, event, clock::now());
        self.pump();
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
