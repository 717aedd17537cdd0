//! How much of the machine others took while something was measured.

use std::fs;
use std::thread;

/// Looks at the machine's processor time and at this process's share of it. Linux only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    started: Option<Ticks>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { started: Ticks::read() }
    }

    /// Says in one sentence what happened on the machine since the start.
    pub(crate) fn tell(&self) -> String {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        match self.started.zip(Ticks::read()) {
            Some((before, after)) => {
                let others = 100.0 * after.others_share_since(&before);
                format!("{cores} cores, of which others took {others:.0} % meanwhile")
            }
            None => format!("{cores} cores; how quiet they were cannot be told here"),
        }
    }
}

/// Ticks since the start of the machine, over all cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    all: u64,
    busy: u64,
    own: u64,
}

impl Ticks {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?, &fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The first line of the machine's: user nice system idle iowait irq softirq steal. The process's: user and system
    /// are the 12th and 13th after its name, which ends with the last parenthesis.
    fn parse(machine: &str, process: &str) -> Option<Self> {
        let numbers = machine.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let ticks: Vec<u64> = numbers.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let all = ticks.iter().sum();
        let (_, fields) = process.rsplit_once(')')?;
        let own = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let own = own.collect::<Result<Vec<_>, _>>().ok()?.iter().sum();
        Some(Self { all, busy: all - (ticks.get(3)? + ticks.get(4)?), own })
    }

    fn others_share_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        let own = self.own.saturating_sub(before.own);
        self.busy.saturating_sub(before.busy).saturating_sub(own) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_idle_nor_ours_others_took() {
        let process = |user: u64| format!("7 (a) b) R 1 1 1 0 -1 0 0 0 0 0 {user} 5 0 0 20 0\n");
        let before = Ticks::parse("cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 1\n", &process(3)).unwrap();
        let after = Ticks::parse("cpu  50 0 10 160 0 0 0 0 0 0\n", &process(23)).unwrap();
        assert_eq!(before, Ticks { all: 120, busy: 20, own: 8 });
        assert!((after.others_share_since(&before) - 0.2).abs() < 1e-9);
        assert_eq!(Ticks::parse("intr 5\n", &process(3)), None);
    }
}
