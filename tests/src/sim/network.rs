//! Streams and calls between hosts, and what keeps them from arriving.

use std::collections::{BTreeMap, VecDeque};

use trellis_node::core::{CallId, Request};
use trellis_replication::{LinkId, LinkKind, Message};

use super::agenda::Micros;
use super::plan::Weather;

/// The network of one history.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) weather: Weather,
    /// How many faults cut the way from one host to another.
    cuts: Vec<Vec<u32>>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) next_call: u64,
    /// While it is above 0: streams of transfers break after so many chunks.
    pub(crate) cutting_transfers: u32,
    pub(crate) chunks_before_cut: u8,
    /// Streams of transfers to this host break before the first chunk.
    pub(crate) starved: Option<u8>,
    /// The entries of transfers arrive as nonsense.
    pub(crate) is_garbling: bool,
    /// Some did, and may still be on their way.
    pub(crate) has_garbled: bool,
    /// Pushes that were sent while they are kept: stream, end, and what.
    pub(crate) kept: Option<Vec<(u32, usize, Message)>>,
    /// How many storms there are.
    pub(crate) storms: u32,
    /// When somebody was last out of somebody's reach.
    pub(crate) rough_at: Micros,
}

impl Network {
    pub(crate) fn new(weather: Weather) -> Self {
        Self {
            weather,
            cuts: vec![vec![0; HOSTS_MAX]; HOSTS_MAX],
            streams: Vec::new(),
            calls: BTreeMap::new(),
            next_call: 1,
            cutting_transfers: 0,
            chunks_before_cut: 0,
            starved: None,
            is_garbling: false,
            has_garbled: false,
            kept: None,
            storms: 0,
            rough_at: 0,
        }
    }

    pub(crate) fn is_cut(&self, from: u8, to: u8) -> bool {
        self.cuts[usize::from(from)][usize::from(to)] > 0
    }

    /// Cuts the way, or takes one cut back.
    pub(crate) fn cut(&mut self, from: u8, to: u8, is_begin: bool) {
        let count = &mut self.cuts[usize::from(from)][usize::from(to)];
        *count = if is_begin { *count + 1 } else { count.saturating_sub(1) };
    }

    /// Takes back all cuts.
    pub(crate) fn mend(&mut self) {
        self.cuts.iter_mut().flatten().for_each(|count| *count = 0);
        (self.cutting_transfers, self.starved, self.storms, self.is_garbling) = (0, None, 0, false);
        self.weather = Weather { delay_micros: self.weather.delay_micros, ..Weather::FAIR };
    }

    /// Whether somebody is out of somebody's reach, or more is lost than membership is made for.
    pub(crate) fn is_rough(&self) -> bool {
        self.weather().lost_per_mille > LOST_MAX || self.cuts.iter().flatten().any(|count| *count > 0)
    }

    /// What becomes of a message at this moment.
    pub(crate) fn weather(&self) -> Weather {
        if self.storms == 0 {
            return self.weather;
        }
        Weather {
            late_per_mille: 100,
            lost_per_mille: 300,
            doubled_per_mille: 200,
            overtaking_per_mille: 400,
            breaking_per_mille: 30,
            ..self.weather
        }
    }
}

/// A stream between two processes. End 0 dialled it, end 1 accepted it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) kind: LinkKind,
    pub(crate) ends: [End; 2],
    /// Neither end hears anything more.
    pub(crate) is_over: bool,
    pub(crate) chunks: u32,
}

/// One end of a stream, with what is on its way to it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: u8,
    pub(crate) process: u32,
    /// As its process names it; `None` before it knows of it and after it let go.
    pub(crate) link: Option<LinkId>,
    /// In the order in which it is to arrive.
    pub(crate) inbox: VecDeque<Arrival>,
    /// The last arrival is not before.
    pub(crate) last_at: Micros,
    /// Arrivals that were due while the way was cut.
    pub(crate) owed: u32,
}

/// What arrives at an end of a stream.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    Message(Message),
    /// The other side has accepted.
    Opened,
    /// The other side has closed.
    Closed,
}

impl End {
    pub(crate) fn new(host: u8, process: u32, link: Option<LinkId>) -> Self {
        Self { host, process, link, inbox: VecDeque::new(), last_at: 0, owed: 0 }
    }
}

/// A unary call that is under way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) from: u8,
    pub(crate) process: u32,
    pub(crate) id: CallId,
    pub(crate) to: u8,
    pub(crate) peer: Option<String>,
    pub(crate) request: Request,
    pub(crate) deadline: Micros,
    /// The callee and its number of an answer that comes later.
    pub(crate) later: Option<(u32, u64)>,
}

/// As docs/membership.md has it: every fifth message.
const LOST_MAX: u64 = 200;
/// More hosts than any history has, those that join and twins included.
pub(crate) const HOSTS_MAX: usize = 16;
/// Messages that wait on one stream before it is given up, as in the runtime.
pub(crate) const STREAM_MESSAGES_MAX: usize = 4096;
