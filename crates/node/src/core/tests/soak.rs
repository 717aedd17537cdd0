//! Random histories: writes, losses, cuts, kills, restarts, a lost disk; checked at every step and at rest.

use std::collections::{BTreeMap, BTreeSet};

use trellis_wal::{MemoryDisk, OpenSeed};

use super::super::*;
use super::checks::{Contents, equal_clocks_have_equal_digests, settled};
use super::cluster::{Cluster, WAL};
use super::mischief::Mischief;

const ALL: [&str; 3] = ["n1", "n2", "n3"];
const COUNTERS: [&str; 4] = ["apples", "pears", "plums", "quinces"];
const REGISTERS: [&str; 2] = ["title", "author"];

/// A cluster with the sums that its counters must show in the end.
struct History {
    cluster: Cluster,
    random: Mischief,
    /// Sums of what was acknowledged, or is still to be.
    sums: BTreeMap<&'static str, i64>,
    /// Increments of each node that are not durable there: end in the log, key, amount.
    unsynced: BTreeMap<&'static str, Vec<(Lsn, &'static str, i64)>>,
    contents: Contents,
    slots: Vec<u8>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Mischief::new(seed, 0, 0);
        let replication = ReplicationConfig {
            ring_bytes: 1500,
            window_bytes: 700,
            batch_bytes: 300,
            chunk_bytes: 200,
            anti_entropy_interval: Duration::from_secs(10),
            ..ReplicationConfig::default()
        };
        let shards = [1, 2, 8][random.below(3) as usize];
        let mut cluster = Cluster::new().sharded(shards).limited(replication).grown_to(3);
        cluster.mischief = Some(Mischief::new(seed, 20 + random.below(100), 2 + random.below(20)));
        let keys: BTreeSet<u8> = COUNTERS.iter().chain(&REGISTERS).map(|key| slot_of(key)).collect();
        Self {
            cluster,
            random,
            sums: COUNTERS.into_iter().map(|key| (key, 0)).collect(),
            unsynced: BTreeMap::new(),
            contents: Contents::default(),
            slots: keys.into_iter().collect(),
        }
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.random.below(among.len() as u64) as usize]
    }

    fn act(&mut self) {
        let name = self.pick(&ALL);
        match (self.random.below(40), self.cluster.core(name).is_some()) {
            (0, true) => self.kill(name),
            (0..8, false) => self.cluster.start_node(name),
            (1, _) => self.cluster.cut = Some((name, self.pick(&ALL))),
            (2 | 3, _) => self.cluster.cut = None,
            (4, _) => {
                self.cluster.stalled.insert(name);
            }
            (5 | 6, _) => self.cluster.stalled.clear(),
            (7, _) => self.cluster.break_all(),
            (8..12, true) => self.set(name),
            (12.., true) => self.increment(name),
            (8.., false) => {}
        }
    }

    fn increment(&mut self, name: &'static str) {
        let (key, amount) = (self.pick(&COUNTERS), self.random.below(9) as i64 - 4);
        let core = self.cluster.nodes[name].core();
        let increment = Operation::Increment { key, kind: Kind::PnCounter, amount };
        let Ok(Written { lsn: Some(lsn), dot: Some(_), .. }) = core.write(&increment, self.cluster.now())
        else {
            return;
        };
        *self.sums.entry(key).or_default() += amount;
        self.unsynced.entry(name).or_default().push((lsn, key, amount));
    }

    fn set(&mut self, name: &'static str) {
        let (key, value) = (self.pick(&REGISTERS), self.random.below(1000).to_le_bytes());
        let kind = Kind::LwwRegister;
        let is_deletion = self.random.below(4) == 0;
        let set = Operation::Set { key, kind, value: &value };
        let operation = if is_deletion { Operation::Delete { key, kind: Some(kind) } } else { set };
        // A guest, a full log and a name of another kind refuse; that is no matter here.
        let _ = self.cluster.nodes[name].core().write(&operation, self.cluster.now());
    }

    /// What was not durable is gone with the process, and was never acknowledged.
    fn kill(&mut self, name: &'static str) {
        let durable = self.cluster.nodes[name].core().log().durable();
        for (lsn, key, amount) in self.unsynced.remove(name).unwrap_or_default() {
            if lsn > durable {
                *self.sums.entry(key).or_default() -= amount;
            }
        }
        self.cluster.kill(name);
        self.cluster.stalled.remove(name);
    }

    fn step(&mut self) {
        self.cluster.step();
        equal_clocks_have_equal_digests(&self.cluster, &self.slots);
    }

    fn check_dots(&mut self) {
        for name in ALL {
            let disk: MemoryDisk = self.cluster.nodes[name].disk.crash(0, |_| false);
            let opened = trellis_wal::open(disk, WAL, OpenSeed { log_uuid: [0; 16], salt: 0 }).unwrap();
            let records = opened.records.map(|record| record.unwrap().1.to_vec());
            assert_eq!(self.contents.take(records), None, "{name}");
        }
    }

    /// Ends all trouble and waits until everybody has everything.
    fn heal(&mut self) {
        self.cluster.mischief = None;
        self.cluster.cut = None;
        self.cluster.stalled.clear();
        for name in ALL {
            if self.cluster.core(name).is_none() {
                self.cluster.start_node(name);
            }
        }
        let (sums, slots) = (self.sums.clone(), self.slots.clone());
        self.cluster.run_until("all are equal and exact", |cluster| {
            let serve = ALL.iter().all(|name| cluster.nodes[name].core().phase() == Phase::Serving);
            serve && {
                let views: Vec<_> =
                    ALL.iter().map(|name| settled(cluster.nodes[name].core(), &slots)).collect();
                let are_settled = views.iter().all(|view| view.len() == slots.len());
                let are_equal = views.windows(2).all(|pair| pair[0] == pair[1]);
                let is_exact = |(key, sum): (&&str, &i64)| cluster.value("n1", key) == *sum;
                are_settled && are_equal && sums.iter().all(is_exact)
            }
        });
        self.check_dots();
    }

    /// Loses the disk of a node whose writes all others have.
    fn lose_a_disk(&mut self) {
        let name = self.pick(&ALL);
        self.unsynced.remove(name);
        self.cluster.kill(name);
        self.cluster.wipe(name);
        self.cluster.start_node(name);
    }
}

fn run(seed: u64) {
    let mut history = History::new(seed);
    for phase in 0..2 {
        for _ in 0..150 {
            history.act();
            for _ in 0..1 + history.random.below(12) {
                history.step();
            }
        }
        history.heal();
        if phase == 0 {
            history.lose_a_disk();
        }
    }
}

/// Runs the histories of these seeds; a failure is printed after the seed it came from.
fn run_all(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        println!("history of seed {seed}");
        run(seed);
    }
}

#[test]
fn histories_of_the_first_seeds_end_equal_and_exact() {
    run_all(0..12);
}
