//! trellis-swim, in the simulation of its own tests.

use std::time::Duration;

use trellis_swim::Config;

use crate::cluster::{Cluster, EPOCH_BASE, SECOND};
use crate::contender::{Contender, Kind, Load, Renewals, Seen, Sight, Start};
use crate::record::What;

pub(super) const DEFAULT: Kind = Kind {
    name: "trellis-swim",
    settings: "Config::default(): dead after 10 s of silence",
    size_max: 1000,
    fewer_from: usize::MAX,
    suspects: true,
    start: |start| Ours::start(start, Config::default()),
};

pub(super) const FAST: Kind = Kind {
    name: "trellis-swim fast",
    settings: "Config::fast(): dead after 6 s of silence",
    start: |start| Ours::start(start, Config::fast()),
    ..DEFAULT
};

struct Ours {
    cluster: Cluster,
}

impl Ours {
    fn start(start: &Start, config: Config) -> Box<dyn Contender> {
        let mut cluster = if start.is_warm {
            Cluster::warm(start.count, start.seed, config)
        } else {
            let mut cluster = Cluster::new(start.seed);
            cluster.config = config;
            cluster
        };
        cluster.network.loss = start.loss;
        cluster.is_measured = true;
        if !start.is_warm {
            cluster.add(0);
            for index in 1..start.count {
                cluster.run_for(SECOND / start.count as u32);
                cluster.add(index as u32);
                cluster.join(index, &[0]);
            }
            cluster.run_for(SECOND.saturating_sub(cluster.elapsed()));
        }
        Box::new(Self { cluster })
    }
}

impl Contender for Ours {
    fn run_for(&mut self, span: Duration) {
        self.cluster.run_for(span);
    }

    fn elapsed(&self) -> Duration {
        self.cluster.elapsed()
    }

    fn crash(&mut self, index: usize) {
        self.cluster.crash(index);
    }

    fn split_at(&mut self, index: usize) {
        self.cluster.network.split_at(index);
    }

    fn heal(&mut self) {
        self.cluster.network.heal();
    }

    fn seen_since(&self, since: Duration) -> Vec<Seen> {
        let later = self.cluster.record.happened.iter().filter(|it| it.at >= since);
        let seen = later.filter_map(|it| {
            let what = match it.what {
                What::Up | What::Refuted => Sight::Up,
                What::Suspected => Sight::Suspected,
                What::Dead | What::Left => Sight::Down,
                _ => return None,
            };
            Some(Seen { at: it.at, observer: it.observer, subject: it.subject as usize, what })
        });
        seen.collect()
    }

    fn is_whole(&self) -> bool {
        let count = self.cluster.count();
        self.cluster.running().into_iter().all(|index| {
            self.cluster.member(index).members().filter(|member| member.is_up()).count() == count
        })
    }

    fn load(&self) -> Load {
        let load = self.cluster.load;
        Load { messages: load.messages, bytes: load.bytes, taken: load.taken }
    }

    /// Only a new process may take another epoch, and all start within the first second.
    fn renewals(&self) -> Renewals {
        let is_other = |epoch: &u64| !(EPOCH_BASE..=EPOCH_BASE + 1000).contains(epoch);
        let all = self.cluster.epochs().into_iter().filter(is_other).count() as u64;
        Renewals { all, unprovoked: all }
    }
}
