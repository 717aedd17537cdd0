//! The status port: plain HTTP for probes and metrics. It shows no keys and no values.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::clock;
use super::metrics;
use super::snapshots::Snapshots;
use super::startup::Startup;
use crate::core::{Core, Phase};

/// What the status port tells of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub(crate) startup: Startup,
    running: Arc<ArcSwapOption<Running>>,
}

/// What there is to tell of a node that has started.
#[derive(Debug)]
struct Running {
    core: Arc<Core>,
    snapshots: Snapshots,
}

impl Board {
    /// Tells of the node itself from here on.
    pub(crate) fn show(&self, core: Arc<Core>, snapshots: Snapshots) {
        self.running.store(Some(Arc::new(Running { core, snapshots })));
    }
}

/// Serves until `stopped` resolves.
pub(crate) async fn serve(
    listener: TcpListener,
    board: Board,
    stopped: impl Future<Output = ()> + Send + 'static,
) {
    let router = Router::new()
        .route("/", get(page))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(board);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the status port stopped");
    }
}

async fn readyz(State(board): State<Board>) -> impl IntoResponse {
    let running = board.running.load();
    let readiness = match running.as_deref() {
        Some(running) => readiness(&running.core),
        None => Err(format!("starting: {}", board.startup)),
    };
    match readiness {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn readiness(core: &Core) -> Result<(), String> {
    match core.phase() {
        Phase::Serving if core.is_disk_full() => {
            Err("the disk is full: writes wait until there is room in data_dir".to_owned())
        }
        Phase::Serving => Ok(()),
        Phase::Guest => {
            let status = core.status(clock::now());
            Err(format!("guest: {} of 256 slots to be adopted from a member", status.slots_remaining))
        }
        Phase::Draining => Err("draining".to_owned()),
        Phase::Failed => Err("the log failed: see the node's own log, then restart it".to_owned()),
        Phase::Removed => Err("removed from the cluster".to_owned()),
    }
}

async fn metrics_text(State(board): State<Board>) -> impl IntoResponse {
    let running = board.running.load();
    match running.as_deref().map(|it| metrics::encode(&it.core, &it.snapshots, clock::now())) {
        Some(Ok(text)) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, format!("starting: {}\n", board.startup)).into_response(),
    }
}

async fn page(State(board): State<Board>) -> String {
    let guard = board.running.load();
    let Some(running) = guard.as_deref() else {
        return format!("TrellisDB is starting: {}\n", board.startup);
    };
    let status = running.core.status(clock::now());
    let mut text = format!(
        "TrellisDB node {} ({:?})\nkeys {}   uptime {} s\n\n",
        status.local.name,
        status.phase,
        status.usage.keys,
        status.uptime.as_secs()
    );
    for member in &status.members {
        text.push_str(&format!("{}\t{:?}\t{}\n", member.name, member.state, member.peer_address));
    }
    text.push_str("\n/livez  /readyz  /metrics\n");
    text
}

#[cfg(test)]
mod tests {
    use crate::core::solo::Solo;
    use crate::runtime::clock;

    use super::*;

    #[test]
    fn a_node_is_ready_while_it_serves_and_its_disk_has_room() {
        let Solo { core, .. } = &Solo::founder(clock::now().instant);
        assert_eq!(readiness(core), Ok(()));
        core.handle_disk_full(true);
        assert!(readiness(core).is_err_and(|reason| reason.contains("disk is full")));
        core.handle_disk_full(false);
        assert_eq!(readiness(core), Ok(()));
        core.drain();
        assert_eq!(readiness(core), Err("draining".to_owned()));
    }
}
