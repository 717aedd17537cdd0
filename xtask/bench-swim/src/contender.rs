//! What every cluster can do and tell, whoever its members are.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::network::Network;

/// A simulated cluster. Members are numbered from 0, moments count from its start.
pub(crate) trait Contender {
    fn run_for(&mut self, span: Duration);

    fn elapsed(&self) -> Duration;

    /// The process ends without a word.
    fn crash(&mut self, index: usize);

    /// Cuts the members below `index` from the others.
    fn split_at(&mut self, index: usize);

    fn heal(&mut self);

    /// What members said of others from a moment on, in this order.
    fn seen_since(&self, since: Duration) -> Vec<Seen>;

    /// Whether each member that runs says of all members that they are up.
    fn is_whole(&self) -> bool;

    /// What was sent so far, and how long the members' code took for it.
    fn load(&self) -> Load;

    /// How often members took another identity so far.
    fn renewals(&self) -> Renewals;
}

/// One member says something of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) observer: usize,
    pub(crate) subject: usize,
    pub(crate) what: Sight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Up,
    Suspected,
    Down,
}

/// Payloads only, without what UDP, gRPC or TLS would add.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) taken: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Renewals {
    pub(crate) all: u64,
    /// Of members that nobody had called down.
    pub(crate) unprovoked: u64,
}

/// A library with settings.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What it was configured to.
    pub(crate) settings: &'static str,
    /// Larger clusters take too long to simulate.
    pub(crate) size_max: usize,
    /// Clusters from this size on get a fifth of the runs, as each takes a minute.
    pub(crate) fewer_from: usize,
    /// Whether it distinguishes who is suspected from who is down.
    pub(crate) suspects: bool,
    pub(crate) start: fn(&Start) -> Box<dyn Contender>,
}

impl Kind {
    /// How often something is done with a cluster of this size that others do `runs` times.
    pub(crate) fn runs(&self, runs: u64, count: usize) -> u64 {
        if count >= self.fewer_from { runs.div_ceil(5) } else { runs }
    }
}

/// How a cluster starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) count: usize,
    pub(crate) seed: u64,
    /// The probability that a message is lost.
    pub(crate) loss: f64,
    /// Whether all know each other from the start. Otherwise they start one after the other during one second, and
    /// know the first only; when the cluster is there, this second is over.
    pub(crate) is_warm: bool,
}

impl Start {
    pub(crate) fn network(&self) -> Network {
        let mut network = Network::calm();
        network.loss = self.loss;
        network
    }

    /// Of the history: who crashes, and when. The same for every kind.
    pub(crate) fn rng(&self) -> SmallRng {
        SmallRng::seed_from_u64(self.seed ^ (self.count as u64) << 32)
    }
}
