//! What a node learns of the cluster: from hellos, from streams, from gossip.

use std::collections::BTreeSet;
use std::time::Instant;

use trellis_crdt::ReplicaId;

use super::{Link, Replicator};
use crate::admission::admit;
use crate::identity::NodeId;
use crate::message::{Hello, PushRequest, Refusal};
use crate::output::{After, Event, LinkId, Message, Output};
use crate::roster::Roster;

impl Replicator {
    /// Joins a roster that came by gossip.
    ///
    /// # Errors
    ///
    /// When it is of another founding; nothing is changed then.
    pub fn learn_from(&mut self, roster: &Roster, now: Instant) -> Result<(), Refusal> {
        if let (Some(ours), Some(theirs)) = (self.roster.founding, roster.founding)
            && ours != theirs
        {
            return Err(Refusal::FoundedApart { ours, theirs });
        }
        self.learn(roster, now);
        Ok(())
    }

    /// Forgets the peers that are not alive, have no stream of deltas, are no members by the roster, and are not
    /// `is_known` to the host: nobody counts on them. O(peers + members).
    pub fn forget_peers(&mut self, is_known: impl Fn(&str) -> bool) {
        let members: BTreeSet<&str> = self.roster.current().map(|(_, member)| member.name.as_str()).collect();
        let is_guest = self.bootstrap.is_some();
        self.peers.retain(|name, peer| {
            let is_in_use = peer.is_alive || peer.push.is_some() || (is_guest && peer.is_donor);
            is_in_use || members.contains(name.as_str()) || is_known(name)
        });
    }

    /// Accepts or refuses a hello, and takes over what it says of its sender.
    pub(super) fn meet(&mut self, peer: &str, hello: &Hello, now: Instant) -> Result<(), Refusal> {
        let admission = admit(&self.local, &self.cluster, &self.roster, peer, hello)?;
        self.outputs.push_back(Output::Observe(hello.hlc));
        self.learn(&admission.roster, now);
        if let Some(old) = admission.superseded {
            let new = hello.identity.node;
            self.event(Event::Superseded { name: peer.to_owned(), old, new });
        }
        let known = self.peers.entry(peer.to_owned()).or_insert_with(|| crate::peer::Peer::new(now));
        let is_new =
            known.identity.as_ref().is_none_or(|identity| identity.replica != hello.identity.replica);
        // A peer that claims more of this replica than it wrote would never be sent what comes next.
        known.meet(
            &hello.identity,
            hello.is_guest,
            &hello.clock.without_beyond(self.local.replica, &self.clock),
        );
        if is_new {
            self.event(Event::Met { peer: peer.to_owned(), node: hello.identity.node });
        }
        if !hello.is_guest && !self.is_guest() && !self.clock.dominates(&hello.clock) {
            self.reconcile_with(peer, now);
        }
        for slot in hello.clock.slots().map(|(slot, _)| slot).collect::<Vec<_>>() {
            self.settle_concerns(slot);
        }
        Ok(())
    }

    /// Logs what is news, passes it on, and lets go of who is out.
    pub(super) fn learn(&mut self, learned: &Roster, now: Instant) {
        let news = self.roster.merge(learned);
        if news.is_empty() {
            return;
        }
        self.outputs.push_back(Output::Persist(news.clone()));
        let open: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::PushOut(out) if out.has_greeted()))
            .map(|(link, _)| *link)
            .collect();
        for link in open {
            let message = Message::PushRequest(PushRequest::Roster(news.clone()));
            self.send(link, message, After::Everything);
        }
        for node in &news.removed {
            self.on_removed(*node, now);
        }
        if !news.replicas.is_empty() {
            self.drop_predecessors(now);
        }
    }

    /// Of a process that has a successor nothing more is taken and nothing given to it (R14): it may be gone, however
    /// long the transport takes to notice, or be a copy that has not heard of it.
    fn drop_predecessors(&mut self, now: Instant) {
        let has_successor = |replica: ReplicaId| {
            let owner = self.roster.replicas.get(&replica);
            owner.is_some_and(|owner| self.roster.has_successor(owner.node, replica, owner.epoch))
        };
        let gone: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.replica().is_some_and(has_successor))
            .map(|(link, _)| *link)
            .collect();
        for link in gone {
            self.close(link, now);
        }
    }

    /// Nothing more is taken from a removed node or given to it, on streams that are open already included.
    fn on_removed(&mut self, node: NodeId, now: Instant) {
        if node == self.local.node {
            self.is_serving = false;
            self.event(Event::SelfRemoved);
        }
        for peer in self.peers.values_mut() {
            if peer.identity.as_ref().is_some_and(|identity| identity.node == node) {
                peer.identity = None;
            }
        }
        let replicas = &self.roster.replicas;
        let gone: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| {
                link.replica()
                    .and_then(|replica| replicas.get(&replica))
                    .is_some_and(|owner| owner.node == node)
            })
            .map(|(link, _)| *link)
            .collect();
        for link in gone {
            self.close(link, now);
        }
    }

    pub(super) fn on_refusing(&mut self, peer: &str, refusal: &Refusal) {
        self.counters.hellos_refused += 1;
        if *refusal != Refusal::NotReady {
            self.event(Event::Refused { peer: peer.to_owned(), refusal: refusal.clone() });
        }
    }
}
