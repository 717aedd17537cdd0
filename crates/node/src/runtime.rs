//! The effects around the core: boot as a list of steps, and shutdown in the reverse order.

mod boot;
mod clients;
mod clock;
mod concerns;
mod data_dir;
mod driver;
mod error;
mod log_thread;
mod memory;
mod metrics;
mod outgoing;
mod peers;
mod report;
mod service;
mod settings;
mod snapshots;
mod startup;
mod status_http;
mod streams;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinHandle};
use trellis_rpc::{Drained, Health, TlsReloader, serve_clients, serve_peers};

pub use self::data_dir::DataDirError;
pub use self::error::ServeError;

use self::boot::Listeners;
use self::clients::Clients;
use self::concerns::Concerns;
use self::driver::Driver;
use self::log_thread::LogSignal;
use self::memory::MemoryGauge;
use self::outgoing::Outgoing;
use self::peers::Peers;
use self::service::Service;
use self::snapshots::{Duty, Found, Snapshots};
use self::status_http::Board;
use self::waiters::Waiters;
use crate::Config;
use crate::core::{Core, Phase};

/// Runs a node until SIGTERM or SIGINT, then drains, syncs and closes. `found` makes an empty data directory found a
/// cluster although there are seeds; it is refused when a seed answers.
///
/// Must run in a tokio runtime with time and IO.
///
/// # Errors
///
/// Why the node cannot start, or that its log failed while it ran. A node that did not start has changed nothing but
/// its data directory.
pub async fn serve(config: Config, found: bool) -> Result<(), ServeError> {
    let mut signals = StopSignals::new()?;
    let board = Board::default();
    let started = {
        let mut starting = std::pin::pin!(Running::start(&config, found, &board));
        tokio::select! {
            started = &mut starting => started?,
            reason = signals.stop() => {
                tracing::info!(reason, "stopping before the start is done");
                board.startup.cancel();
                starting.await?
            }
        }
    };
    let Some(mut node) = started else { return Ok(()) };
    if board.startup.is_cancelled() {
        return node.stop(config.limits.drain_timeout).await;
    }
    let (tls, leaving) = (Arc::clone(&node.tls), Arc::clone(&node.leaving));
    let reason = tokio::select! {
        reason = signals.wait(&tls) => reason,
        () = leaving.notified() => "an administrator has it leave",
        what = node.defect() => what,
    };
    tracing::info!(reason, "stopping");
    node.stop(config.limits.drain_timeout).await
}

/// A node from its last boot step to its shutdown.
struct Running {
    tls: Arc<TlsReloader>,
    core: Arc<Core>,
    driver: Driver,
    driving: JoinHandle<()>,
    log_thread: std::thread::JoinHandle<()>,
    snapshots: Snapshots,
    duty: JoinHandle<()>,
    leaving: Arc<Notify>,
    /// For clients and for peers.
    servers: [JoinHandle<Drained>; 2],
    status: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

impl Running {
    /// Returns `None` if the start was cancelled before anything ran.
    async fn start(config: &Config, found: bool, board: &Board) -> Result<Option<Self>, ServeError> {
        tracing::info!(name = config.name, "1. certificates");
        let tls = Arc::new(boot::load_certificates(config)?);
        let cluster = tls.own().cluster;

        tracing::info!("2. listeners");
        let listeners = Listeners::bind(config).await?;
        let (stopping, stopped) = watch::channel(false);
        let status = status_http::serve(listeners.status, board.clone(), until(stopped.clone()));
        let status = tokio::spawn(status);

        tracing::info!("3. the log");
        let Some(opened) = open_log(config, &cluster, board).await? else { return Ok(None) };
        let founding = boot::founding(config, found, opened.recovery.is_fresh(), &tls).await?;

        tracing::info!("4. the core");
        let boot::Started { core, syncer, snapshots, report, written, replayed_bytes } =
            boot::start_core(config, &cluster, opened, founding)?;
        let core = Arc::new(core);
        report::phase(core.phase());
        let waiters = Waiters::new(core.log().clone());
        let signal = LogSignal::default();
        let log_thread =
            log_thread::spawn(syncer, waiters.clone(), signal.clone()).map_err(ServeError::Thread)?;
        let limits = settings::snapshots(config);
        let found = Found { report: &report, written, replayed_bytes };
        let (duty, snapshots) = Duty::new(Arc::clone(&core), waiters.clone(), snapshots, found, limits);
        let duty = tokio::spawn(duty.run());

        tracing::info!("5. peers");
        let (concerns, health) = (Concerns::default(), Health::default());
        let outgoing = Outgoing::new(Arc::clone(&tls));
        let driver = Driver::new(Arc::clone(&core), outgoing, concerns.clone(), health.clone());
        let handler = Arc::new(Peers { driver: driver.clone() });
        let server = settings::peer_server(config);
        let peers = serve_peers(listeners.peer, Arc::clone(&tls), handler, server, until(stopped.clone()));
        let peers = tokio::spawn(peers);
        let driving = tokio::spawn(driver.clone().run(signal, snapshots.clone()));
        driver.pump();

        tracing::info!("6. clients");
        let memory = MemoryGauge::start(config.limits.memory);
        let leaving = Arc::new(Notify::new());
        let service = Service::new(Arc::clone(&core), waiters, driver.clone(), concerns, memory);
        let handler = Arc::new(Clients {
            core: Arc::clone(&core),
            service,
            snapshots: snapshots.clone(),
            leaving: Arc::clone(&leaving),
            name: config.name.clone(),
            cluster,
            wal: config.data_dir.join("wal"),
        });
        let server = settings::client_server(config);
        let clients =
            serve_clients(listeners.client, Arc::clone(&tls), handler, health, server, until(stopped));
        let clients = tokio::spawn(clients);
        board.show(Arc::clone(&core), snapshots.clone());
        driver.show_health();
        tracing::info!(client = config.client.advertised(), peer = config.peer.advertised(), "running");
        let servers = [clients, peers];
        let node = Self {
            tls,
            core,
            driver,
            driving,
            log_thread,
            snapshots,
            duty,
            leaving,
            servers,
            status,
            stopping,
        };
        Ok(Some(node))
    }

    /// Waits until a task ends without which the node would only seem to live, and says which. None does before the node
    /// stops, unless it panics.
    async fn defect(&mut self) -> &'static str {
        let [clients, peers] = &mut self.servers;
        tokio::select! {
            // No timer fires, and no peer hears of anything.
            _ = &mut self.driving => "a defect of the task that drives the node",
            // The log grows until the disk is full.
            _ = &mut self.duty => "a defect of the task that takes snapshots",
            _ = clients => "a defect of the task that lets clients in",
            _ = peers => "a defect of the task that lets peers in",
        }
    }

    async fn stop(self, drain_patience: Duration) -> Result<(), ServeError> {
        let mut has_defect = [&self.driving, &self.duty].into_iter().any(JoinHandle::is_finished)
            || self.servers.iter().any(JoinHandle::is_finished);
        if !self.driving.is_finished() {
            drain(&self.core, &self.driver, drain_patience).await;
        }
        let _ = self.stopping.send(true);
        for server in self.servers {
            // What has ended before may have been awaited before.
            if !(has_defect && server.is_finished()) {
                has_defect |= finish(server).await;
            }
        }
        finish(self.status).await;
        // Asked before the log is closed: what a call that is still under way wants to log then is no failure.
        let failed = self.core.phase() == Phase::Failed;
        let log = self.core.log();
        if !failed && tokio::time::timeout(drain_patience, self.snapshots.finish()).await.is_err() {
            tracing::warn!("the last snapshot took too long and is given up; the next start replays the log");
        }
        self.duty.abort();
        has_defect = has_defect || has_panicked(&self.duty.await);
        log.close();
        let joined = tokio::task::spawn_blocking(move || self.log_thread.join()).await;
        self.driving.abort();
        has_defect = has_defect || has_panicked(&self.driving.await);
        if failed || log.durable() < log.last() || !matches!(joined, Ok(Ok(()))) {
            return Err(ServeError::LogFailed);
        }
        if has_defect {
            return Err(ServeError::Defect);
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Opens the log where it may block.
async fn open_log(
    config: &Config,
    cluster: &str,
    board: &Board,
) -> Result<Option<boot::OpenedLog>, ServeError> {
    let (config, cluster, startup) = (config.clone(), cluster.to_owned(), board.startup.clone());
    let opening = tokio::task::spawn_blocking(move || boot::open_log(&config, &cluster, &startup));
    opening.await.unwrap_or(Err(ServeError::StartDefect))
}

/// Refuses writes, gives peers the time to take what was written, and says goodbye.
async fn drain(core: &Core, driver: &Driver, patience: Duration) {
    core.drain();
    driver.pump();
    if tokio::time::timeout(patience, driver.drained()).await.is_err() {
        tracing::warn!(
            "not every peer has taken everything; what is durable stays in the log and is offered again"
        );
    }
    core.leave(clock::now());
    driver.pump();
    if tokio::time::timeout(GOODBYE_PATIENCE, driver.left()).await.is_err() {
        tracing::debug!("the goodbye was not confirmed");
    }
}

/// Waits for the end of a task, which is near, and tells whether it was a panic.
async fn finish(task: JoinHandle<impl Sized>) -> bool {
    let abort = task.abort_handle();
    let ended = tokio::time::timeout(CLOSE_PATIENCE, task).await;
    if ended.is_err() {
        abort.abort();
    }
    ended.is_ok_and(|ended| has_panicked(&ended))
}

fn has_panicked<T>(ended: &Result<T, JoinError>) -> bool {
    ended.as_ref().is_err_and(JoinError::is_panic)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
}

/// SIGTERM and SIGINT stop the node; SIGHUP reads the certificates again.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignals {
    fn new() -> Result<Self, ServeError> {
        let on = |kind| signal(kind).map_err(ServeError::Signals);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop.
    async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    async fn wait(&mut self, tls: &TlsReloader) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => match tls.reload() {
                    Ok(()) => tracing::info!("certificates were read again"),
                    Err(error) => tracing::error!(%error, "certificates stay as they were"),
                },
            }
        }
    }
}

/// How long a goodbye may take.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(2);
/// How long requests under way may take to end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
