//! What a node saw of the others, with the times of its own log.

use std::time::SystemTime;

/// A line of a node's log that says in which state it sees another member from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// To the microsecond, by the wall clock of this machine.
    pub at: SystemTime,
    /// The name in its certificate.
    pub member: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
}

impl Sighting {
    /// All of a log, in their order. A last line that is not whole yet is none.
    pub(super) fn all(log: &str) -> Vec<Self> {
        log.lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (stamp, rest) = line.split_once(' ')?;
        let (_, rest) = rest.split_once(": membership member=\"")?;
        let (member, rest) = rest.split_once('"')?;
        let state = rest.strip_prefix(" state=\"")?.strip_suffix('"')?;
        let at = humantime::parse_rfc3339(stamp).ok()?;
        Some(Self { at, member: member.to_owned(), state: state.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn only_whole_lines_on_members_are_sightings() {
        let log = "2026-11-25T10:00:01.000250Z  INFO trellis_node::runtime::report: met peer=\"n2\"\n\
                   2026-11-25T10:00:02.000250Z  INFO trellis_node::runtime::report: membership member=\"n2\" \
                   state=\"suspect\"\n\
                   2026-11-25T10:00:06.000250Z  INFO trellis_node::runtime::report: membership member=\"n2\" sta";
        let at = UNIX_EPOCH + Duration::new(1_795_600_802, 250_000);
        let seen = Sighting { at, member: "n2".to_owned(), state: "suspect".to_owned() };
        assert_eq!(Sighting::all(log), [seen]);
    }
}
