//! ClientService between the wire and a [`ClientHandler`].

use std::future::Future;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::convert::{HasHeader, InvalidMessage};
use crate::error::{Failure, Reason};
use crate::handler::ClientHandler;
use crate::pb::v1 as pb;

pub(super) struct ClientService<H> {
    handler: Arc<H>,
}

impl<H: ClientHandler> ClientService<H> {
    pub(super) fn new(handler: Arc<H>) -> Self {
        Self { handler }
    }

    /// Reads a request, has it answered, and writes the answer with its header.
    async fn answer<Wire, Ask, Answer, Reply, Answering>(
        &self,
        request: Request<Wire>,
        ask: impl FnOnce(Ask) -> Answering,
    ) -> Result<Response<Reply>, Status>
    where
        Ask: TryFrom<Wire, Error = InvalidMessage>,
        Answering: Future<Output = Result<Answer, Failure>>,
        Reply: From<Answer> + HasHeader,
    {
        let request = Ask::try_from(request.into_inner())
            .map_err(|error| Failure::new(Reason::InvalidArgument, error.to_string()).at(error.field))?;
        let mut reply = Reply::from(ask(request).await?);
        *reply.header_mut() = Some(pb::ResponseHeader { node: self.handler.node_name().to_owned() });
        Ok(Response::new(reply))
    }
}

#[tonic::async_trait]
impl<H: ClientHandler> pb::client_service_server::ClientService for ClientService<H> {
    async fn increment(
        &self,
        request: Request<pb::IncrementRequest>,
    ) -> Result<Response<pb::IncrementResponse>, Status> {
        self.answer(request, |request| self.handler.increment(request)).await
    }

    async fn get_counter(
        &self,
        request: Request<pb::GetCounterRequest>,
    ) -> Result<Response<pb::GetCounterResponse>, Status> {
        self.answer(request, |request| self.handler.get_counter(request)).await
    }

    async fn set_register(
        &self,
        request: Request<pb::SetRegisterRequest>,
    ) -> Result<Response<pb::SetRegisterResponse>, Status> {
        self.answer(request, |request| self.handler.set_register(request)).await
    }

    async fn get_register(
        &self,
        request: Request<pb::GetRegisterRequest>,
    ) -> Result<Response<pb::GetRegisterResponse>, Status> {
        self.answer(request, |request| self.handler.get_register(request)).await
    }

    async fn get_key(
        &self,
        request: Request<pb::GetKeyRequest>,
    ) -> Result<Response<pb::GetKeyResponse>, Status> {
        self.answer(request, |request| self.handler.get_key(request)).await
    }

    async fn delete_key(
        &self,
        request: Request<pb::DeleteKeyRequest>,
    ) -> Result<Response<pb::DeleteKeyResponse>, Status> {
        self.answer(request, |request| self.handler.delete_key(request)).await
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Result<Response<pb::ListKeysResponse>, Status> {
        self.answer(request, |request| self.handler.list_keys(request)).await
    }

    async fn get_cluster_status(
        &self,
        request: Request<pb::GetClusterStatusRequest>,
    ) -> Result<Response<pb::GetClusterStatusResponse>, Status> {
        self.answer(request, |AskStatus| self.handler.cluster_status()).await
    }
}

/// A request without content.
struct AskStatus;

impl TryFrom<pb::GetClusterStatusRequest> for AskStatus {
    type Error = InvalidMessage;

    fn try_from(_: pb::GetClusterStatusRequest) -> Result<Self, InvalidMessage> {
        Ok(Self)
    }
}
