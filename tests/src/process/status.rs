//! What `trellis status -o json` prints.

use anyhow::{Context, Result};
use serde::Deserialize;

/// A cluster as one of its nodes sees it; what the tests look at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The cluster id of the certificates.
    pub cluster_id: String,
    /// The random bits drawn at its founding; none on a node that has not joined.
    pub founding: Option<String>,
    /// Whether every alive member holds what the answering node holds.
    pub converged: bool,
    /// In order of their names.
    pub members: Vec<Member>,
}

impl Status {
    /// The member with this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn member(&self, name: &str) -> Result<&Member> {
        let member = self.members.iter().find(|member| member.name == name);
        member.with_context(|| format!("there is no member {name} in {self:?}"))
    }

    /// Whether there are this many members, all of them alive, none a guest, and all in step.
    pub fn is_whole(&self, size: usize) -> bool {
        let is_serving = |member: &Member| member.state == "alive" && !member.is_guest;
        self.converged && self.members.len() == size && self.members.iter().all(is_serving)
    }

    /// How many members are in this state.
    pub fn count(&self, state: &str) -> usize {
        self.members.iter().filter(|member| member.state == state).count()
    }
}

/// A member as another one, or itself, sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The name in its certificate.
    pub name: String,
    /// `alive`, `suspect`, `dead`, `left` or `unknown`.
    pub state: String,
    /// Of its data directory.
    pub node_id: Option<String>,
    /// Of its process.
    pub replica_id: Option<String>,
    /// Whether it adopts the state of the cluster and serves nothing.
    pub is_guest: bool,
}
