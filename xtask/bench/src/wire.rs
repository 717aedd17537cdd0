//! The messages that are measured, as `proto/trellis/v1/client_service.proto` has them; fields that are not looked at are
//! left out.

/// `trellis.v1.IncrementRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IncrementRequest {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(sint64, tag = "2")]
    pub(crate) amount: i64,
}

/// `trellis.v1.GetCounterRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetCounterRequest {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
}

/// `trellis.v1.IncrementResponse`, and what `GetCounterResponse` has in common with it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CounterResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<ResponseHeader>,
    #[prost(sint64, tag = "2")]
    pub(crate) value: i64,
    #[prost(bool, tag = "3")]
    pub(crate) exact: bool,
}

/// `trellis.v1.ResponseHeader`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResponseHeader {
    #[prost(string, tag = "1")]
    pub(crate) node: String,
}

pub(crate) const INCREMENT: &str = "/trellis.v1.ClientService/Increment";
pub(crate) const GET_COUNTER: &str = "/trellis.v1.ClientService/GetCounter";
