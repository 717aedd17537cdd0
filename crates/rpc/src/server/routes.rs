//! Which services a listener offers.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service as TowerService};

use crate::pb;
use crate::role::Service;

/// Answers the calls of one service.
pub(super) type Route = Box<dyn Fn(Request<Incoming>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

/// The services of one listener. There are at most five, so they are found by looking at each.
#[derive(Default)]
pub(super) struct Routes {
    routes: Vec<(Service, Route)>,
}

impl Routes {
    pub(super) fn with(mut self, service: Service, route: Route) -> Self {
        self.routes.push((service, route));
        self
    }

    pub(super) fn get(&self, service: Service) -> Option<&Route> {
        self.routes.iter().find(|(offered, _)| *offered == service).map(|(_, route)| route)
    }
}

/// Wraps a generated server, which is always ready and cheap to clone.
pub(super) fn route<S>(server: S) -> Route
where
    S: TowerService<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    Box::new(move |request| server.clone().call(request))
}

/// Returns server reflection in both versions: clients of either are common.
pub(super) fn reflection() -> (Route, Route) {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(pb::v1::client_service_server::SERVICE_NAME)
            .with_service_name(pb::v1::admin_service_server::SERVICE_NAME)
            .with_service_name("grpc.health.v1.Health")
    };
    let v1 = builder().build_v1().expect("the generated descriptors are valid");
    let v1alpha = builder().build_v1alpha().expect("the generated descriptors are valid");
    (route(v1), route(v1alpha))
}
