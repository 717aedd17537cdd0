//! What nodes saw of each other, and whether it was in time.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail, ensure};
use trellis_tests::{Cluster, Sighting, Stalls, await_until};

/// Waits until each of `observers` has seen each of `members` in `state` since `since`.
///
/// Returns who saw whom and how long after `since` for the first time, and prints it. Nobody is waited for in himself.
pub(crate) fn await_seen(
    cluster: &Cluster,
    observers: &[&str],
    members: &[&str],
    state: &str,
    since: SystemTime,
) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    for observer in observers {
        for member in members.iter().filter(|member| *member != observer) {
            let what = format!("{observer} sees {member} {state}");
            let (after, _) = await_until(&what, PATIENCE, || {
                let sightings = cluster.node(observer).sightings();
                let is_it = |it: &&Sighting| it.at >= since && it.member == **member && it.state == state;
                Ok(sightings.iter().find(is_it).map(|it| it.at.duration_since(since)).transpose()?)
            })?;
            println!("{what} after {after:.3?}");
            all.push(Seen { what, since, after });
        }
    }
    Ok(all)
}

/// Something that was seen, and how long after what caused it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    what: String,
    since: SystemTime,
    after: Duration,
}

impl Seen {
    /// Whether it was there after at most `max`, on a machine that stalled as this one did in the meantime.
    pub(crate) fn ensure_within(&self, max: Duration, stalls: &Stalls) -> Result<()> {
        let Self { what, since, after } = self;
        let allowance = stalls.allowance(*since, *since + *after);
        let bound = max + allowance;
        ensure!(
            *after <= bound,
            "{what} after {after:.3?}, not within {max:?}; the machine stalled {allowance:.3?}"
        );
        Ok(())
    }

    /// Whether it was not there before `min`. A machine that stalls makes nothing sooner.
    pub(crate) fn ensure_not_before(&self, min: SystemTime) -> Result<()> {
        let early = min.duration_since(self.since + self.after).unwrap_or_default();
        ensure!(early.is_zero(), "{} after {:.3?}, {early:.3?} too early", self.what, self.after);
        Ok(())
    }
}

/// Whether no node ever called another one dead, but for what `is_due` says of observer and sighting.
pub(crate) fn ensure_no_deaths_but(
    cluster: &Cluster,
    names: &[&str],
    is_due: impl Fn(&str, &Sighting) -> bool,
) -> Result<()> {
    for observer in names {
        for sighting in cluster.node(observer).sightings() {
            if sighting.state == "dead" && !is_due(observer, &sighting) {
                bail!("{observer} called {} dead at {:?}", sighting.member, sighting.at);
            }
        }
    }
    Ok(())
}

/// What takes up to 12.5 s in time is waited for a little longer, to say by how much it was late.
const PATIENCE: Duration = Duration::from_secs(40);
