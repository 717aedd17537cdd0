//! What health checkers are told.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::pb;

/// The state that `grpc.health.v1` shows: the empty service name while the process lives, `trellis.v1.ClientService`
/// while it serves clients. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Says whether clients are served. Until it is called, the service is unknown to health checkers.
    pub async fn set_serving(&self, is_serving: bool) {
        let status = if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(pb::v1::client_service_server::SERVICE_NAME, status).await;
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}
