//! The client: 64 calls in flight on 4 connections, each call followed by the next at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_prost::ProstCodec;
use trellis_rpc::TlsFiles;

use crate::wire::{CounterResponse, GET_COUNTER, GetCounterRequest, INCREMENT, IncrementRequest};

/// Which call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Adds 1 to one of some counters, and hears when it is durable.
    Increment,
    /// Reads one of them.
    Get,
}

/// Open connections, 4 in all, spread over the servers that they were opened to.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Vec<Channel>);

/// What was done in one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Microseconds from the first byte of a call to the last of its answer.
    pub(crate) latency: Histogram<u64>,
}

impl Lines {
    pub(crate) async fn open(ports: impl IntoIterator<Item = u16>, files: &TlsFiles) -> Result<Self> {
        let read = |path| std::fs::read(path).with_context(|| format!("{path:?} cannot be read"));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read(&files.ca)?))
            .identity(Identity::from_pem(read(&files.cert)?, read(&files.key)?))
            .domain_name("localhost");
        let ports: Vec<u16> = ports.into_iter().collect();
        let mut lines = Vec::new();
        for port in ports.iter().cycle().take(CONNECTIONS) {
            let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))?;
            let endpoint = endpoint.tls_config(tls.clone())?.tcp_nodelay(true);
            lines.push(endpoint.connect().await.with_context(|| format!("no connection to port {port}"))?);
        }
        Ok(Self(lines))
    }

    /// Makes calls for `duration`, after a moment that does not count.
    pub(crate) async fn drive(&self, call: Call, duration: Duration) -> Result<Sample> {
        self.drive_over(KEYS, call, duration).await
    }

    /// The same with so many counters.
    pub(crate) async fn drive_over(&self, keys: usize, call: Call, duration: Duration) -> Result<Sample> {
        let begin = Instant::now() + WARM_UP;
        let end = begin + duration;
        let mut callers = JoinSet::new();
        for caller in self.callers(keys, call) {
            callers.spawn(caller.drive(begin, end));
        }
        let mut latency = histogram();
        while let Some(ended) = callers.join_next().await {
            latency.add(ended??)?;
        }
        Ok(Sample { per_second: latency.len() as f64 / duration.as_secs_f64(), latency })
    }

    /// Increments each of so many counters once.
    pub(crate) async fn fill(&self, keys: usize) -> Result<()> {
        let mut callers = JoinSet::new();
        let firsts = (0..=IN_FLIGHT).map(|index| index * keys / IN_FLIGHT).collect::<Vec<_>>();
        for (mut caller, ends) in self.callers(keys, Call::Increment).zip(firsts.windows(2)) {
            let count = ends[1] - ends[0];
            callers.spawn(async move {
                for _ in 0..count {
                    caller.make_one().await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Every call in flight, each with its own part of the keys to begin with.
    fn callers(&self, keys: usize, call: Call) -> impl Iterator<Item = Caller> {
        let lines = self.0.iter().cycle().take(IN_FLIGHT).enumerate();
        lines.map(move |(index, line)| Caller {
            grpc: Grpc::new(line.clone()),
            call,
            keys,
            next: index * keys / IN_FLIGHT,
        })
    }
}

/// One call in flight.
struct Caller {
    grpc: Grpc<Channel>,
    call: Call,
    /// How many keys there are.
    keys: usize,
    /// The key of its next call.
    next: usize,
}

impl Caller {
    /// Counts the calls that were answered between `begin` and `end`.
    async fn drive(mut self, begin: Instant, end: Instant) -> Result<Histogram<u64>> {
        let mut latency = histogram();
        loop {
            let asked = Instant::now();
            self.make_one().await?;
            let answered = Instant::now();
            if answered >= end {
                return Ok(latency);
            }
            if answered >= begin {
                latency.saturating_record(u64::try_from((answered - asked).as_micros()).unwrap_or(u64::MAX));
            }
        }
    }

    async fn make_one(&mut self) -> Result<()> {
        let key = format!("bench:{:04}", self.next);
        self.next = (self.next + 1) % self.keys;
        self.grpc.ready().await?;
        let codec = ProstCodec::default();
        let answer: CounterResponse = match self.call {
            Call::Increment => {
                let request = Request::new(IncrementRequest { key, amount: 1 });
                self.grpc.unary(request, PathAndQuery::from_static(INCREMENT), codec).await?.into_inner()
            }
            Call::Get => {
                let request = Request::new(GetCounterRequest { key });
                let codec = ProstCodec::default();
                self.grpc.unary(request, PathAndQuery::from_static(GET_COUNTER), codec).await?.into_inner()
            }
        };
        anyhow::ensure!(answer.value > 0 && answer.exact, "an unexpected answer: {answer:?}");
        Ok(())
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MICROS_MAX, 3).expect("the bounds of the histogram are valid")
}

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;
/// More than calls in flight, so that few of them meet in one counter.
const KEYS: usize = 1024;
const WARM_UP: Duration = Duration::from_millis(300);
const LATENCY_MICROS_MAX: u64 = 60_000_000;
