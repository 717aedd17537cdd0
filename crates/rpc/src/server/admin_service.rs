//! AdminService between the wire and a [`ClientHandler`].

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::handler::ClientHandler;
use crate::pb::v1 as pb;

pub(super) struct AdminService<H> {
    handler: Arc<H>,
}

impl<H: ClientHandler> AdminService<H> {
    pub(super) fn new(handler: Arc<H>) -> Self {
        Self { handler }
    }

    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(pb::ResponseHeader { node: self.handler.node_name().to_owned() })
    }
}

#[tonic::async_trait]
impl<H: ClientHandler> pb::admin_service_server::AdminService for AdminService<H> {
    async fn take_snapshot(
        &self,
        _: Request<pb::TakeSnapshotRequest>,
    ) -> Result<Response<pb::TakeSnapshotResponse>, Status> {
        let taken = self.handler.take_snapshot().await?;
        Ok(Response::new(pb::TakeSnapshotResponse { header: self.header(), ..taken.into() }))
    }

    async fn leave(&self, _: Request<pb::LeaveRequest>) -> Result<Response<pb::LeaveResponse>, Status> {
        self.handler.leave().await?;
        Ok(Response::new(pb::LeaveResponse { header: self.header() }))
    }
}
