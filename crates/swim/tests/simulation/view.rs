//! What can be seen of a cluster from outside.

use trellis_swim::{State, Swim};

use crate::cluster::Cluster;
use crate::name::Name;
use crate::tap::Tap;

impl Cluster {
    pub(crate) fn member(&self, index: usize) -> &Swim<Name> {
        self.nodes[index].swim.as_ref().expect("the member runs")
    }

    pub(crate) fn name(&self, index: usize) -> Name {
        self.nodes[index].name
    }

    /// Tells the process from earlier ones of the member.
    pub(crate) fn boot(&self, index: usize) -> u64 {
        self.nodes[index].boot
    }

    /// What one of the members that are noted was handed.
    pub(crate) fn tap(&self, index: usize) -> &Tap {
        self.nodes[index].tap.as_ref().expect("what it is handed is noted")
    }

    pub(crate) fn epochs(&self) -> Vec<u64> {
        self.running().into_iter().map(|index| self.member(index).local().epoch).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn is_running(&self, index: usize) -> bool {
        self.nodes[index].swim.is_some()
    }

    pub(crate) fn is_paused(&self, index: usize) -> bool {
        self.nodes[index].paused_until > self.elapsed
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.is_running(*index)).collect()
    }

    pub(crate) fn state_at(&self, observer: usize, subject: usize) -> Option<State> {
        self.member(observer).member(&self.nodes[subject].name).map(|member| member.state)
    }

    /// Whether each running member says of each member that it is alive when it runs, and only then that it is up.
    pub(crate) fn agrees_on_who_runs(&self) -> bool {
        self.running().into_iter().all(|observer| {
            (0..self.nodes.len()).all(|subject| {
                let said = self.state_at(observer, subject);
                match &self.nodes[subject].swim {
                    Some(swim) => said == Some(swim.local().state),
                    None => matches!(said, None | Some(State::Dead | State::Left)),
                }
            })
        })
    }

    /// Whether all run and all say so.
    pub(crate) fn agrees_all_alive(&self) -> bool {
        self.running().len() == self.nodes.len() && self.agrees_on_who_runs()
    }

    pub(crate) fn digests_are_equal(&self) -> bool {
        let mut digests = self.nodes.iter().filter_map(|node| Some(node.swim.as_ref()?.digest()));
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }
}
