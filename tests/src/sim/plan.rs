//! What is going to be done to a cluster in one history: drawn whole from a seed before it starts, so that parts can be
//! left out of it.

mod faults;
mod requests;
mod settings;

use std::collections::BTreeSet;

pub use self::faults::{Crash, Fault, FaultKind, Rot};
pub use self::requests::{Request, RequestKind, intern, keys};
pub use self::settings::{Limits, Profile, SnapshotRhythm, Weather};

use super::agenda::Micros;
use super::dice::Dice;

/// One history before it happens.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where every choice comes from.
    pub seed: u64,
    /// What kind of trouble there is.
    pub profile: Profile,
    /// How many hosts the cluster starts with.
    pub hosts: u8,
    /// Limits of every node.
    pub limits: Limits,
    /// What the network is like all the time.
    pub weather: Weather,
    /// What clients ask for, by time.
    pub requests: Vec<Request>,
    /// What goes wrong, by time.
    pub faults: Vec<Fault>,
    /// Whether nodes drop what is stable, as the simulator knows it: where no disk is lost and none comes back.
    pub collects: bool,
    /// From here on nothing goes wrong any more, and the cluster must come to rest.
    pub heals_at: Micros,
}

impl Plan {
    /// Draws the history of a seed, for so many hosts or as many as the seed says.
    pub fn of(seed: u64, profile: Profile, hosts: Option<u8>) -> Self {
        let mut dice = Dice::new(seed, 1);
        let profile = profile.resolve(&mut dice);
        let usual = dice.pick(&[3, 3, 3, 3, 3, 3, 2, 4, 5, 1]);
        let drawn = if dice.per_mille(5) { dice.between(6, 9) as u8 } else { usual };
        let hosts = hosts.unwrap_or(drawn);
        // Drawn apart, so that everything else of a seed is what it is without snapshots.
        let snapshots = SnapshotRhythm::draw(&mut Dice::new(seed, 2));
        let limits = Limits::draw(&mut dice, snapshots);
        let weather = Weather::draw(profile, &mut dice);
        let requests = requests::draw(hosts, REQUESTS, TROUBLE_BEGINS, TROUBLE_ENDS, &mut dice);
        let faults = faults::draw(profile, hosts, FAULTS, TROUBLE_BEGINS, TROUBLE_ENDS, &mut dice);
        let collects = matches!(profile, Profile::Calm | Profile::Lossy) && dice.per_mille(600);
        Self { seed, profile, hosts, limits, weather, requests, faults, collects, heals_at: TROUBLE_ENDS }
    }

    /// Keeps only what is named; `None` keeps all.
    pub fn keep(&mut self, requests: Option<&BTreeSet<usize>>, faults: Option<&BTreeSet<usize>>) {
        if let Some(kept) = requests {
            self.requests.retain(|request| kept.contains(&request.index));
        }
        if let Some(kept) = faults {
            self.faults.retain(|fault| kept.contains(&fault.index));
        }
    }
}

/// Requests of clients in a history.
pub const REQUESTS: usize = 300;
/// Faults in a history.
pub const FAULTS: usize = 20;
/// By then the cluster has formed.
const TROUBLE_BEGINS: Micros = 2_500_000;
/// The rest of the sixty seconds is for healing.
const TROUBLE_ENDS: Micros = 42_000_000;
