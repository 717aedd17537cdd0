//! Where other nodes were last reached, by name: what a member finds its cluster by after a restart.
//!
//! Members of the roster are always in it once their address is known. Of others, such as guests and whoever gossip
//! tells of, it keeps those that were told of last.

use std::collections::{BTreeMap, BTreeSet};

use trellis_replication::Roster;

/// Name → host and port. At most [`STRANGERS_MAX`] more than the roster has members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressBook {
    addresses: BTreeMap<String, String>,
    /// When each name was told of last, as a count of what was told.
    told: BTreeMap<String, u64>,
    tells: u64,
}

impl AddressBook {
    /// Makes a book of what a snapshot holds.
    pub(crate) fn new(addresses: BTreeMap<String, String>, roster: &Roster) -> Self {
        let told = addresses.keys().map(|name| (name.clone(), 0)).collect();
        let mut book = Self { addresses, told, tells: 0 };
        book.bound(roster);
        book
    }

    /// Takes an address, in place of an earlier one of the same name, and returns whether it is news. An empty one is the
    /// word that the name is forgotten.
    pub(crate) fn tell(&mut self, name: &str, address: &str, roster: &Roster) -> bool {
        if address.is_empty() {
            return self.remove(name);
        }
        if self.get(name) == Some(address) {
            return false;
        }
        self.tells += 1;
        self.addresses.insert(name.to_owned(), address.to_owned());
        self.told.insert(name.to_owned(), self.tells);
        self.bound(roster);
        true
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.addresses.get(name).map(String::as_str)
    }

    pub(crate) fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    /// Names in it that are neither the roster's nor `is_known` elsewhere.
    pub(crate) fn forgotten(&self, roster: &Roster, is_known: impl Fn(&str) -> bool) -> Vec<String> {
        let members = names(roster);
        let is_forgotten = |name: &&String| !members.contains(name.as_str()) && !is_known(name);
        self.addresses.keys().filter(is_forgotten).cloned().collect()
    }

    fn remove(&mut self, name: &str) -> bool {
        self.told.remove(name);
        self.addresses.remove(name).is_some()
    }

    /// Lets go of the strangers that were told of first.
    fn bound(&mut self, roster: &Roster) {
        // Neither the roster's names are gathered nor anyone is looked for while there is surely room.
        if self.addresses.len() <= STRANGERS_MAX {
            return;
        }
        let members = names(roster);
        let strangers = self.told.iter().filter(|(name, _)| !members.contains(name.as_str()));
        let mut strangers: Vec<(u64, String)> = strangers.map(|(name, told)| (*told, name.clone())).collect();
        strangers.sort_unstable();
        for (_, name) in strangers.iter().take(strangers.len().saturating_sub(STRANGERS_MAX)) {
            self.remove(name);
        }
    }
}

fn names(roster: &Roster) -> BTreeSet<&str> {
    roster.current().map(|(_, member)| member.name.as_str()).collect()
}

/// Addresses that are kept of others than the roster's members: enough for guests, and for a node that becomes a member
/// itself before it has the whole roster. At a restart a member takes all of the book for seeds; a guest asks only the
/// seeds of its settings.
pub(crate) const STRANGERS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use trellis_replication::{MemberRecord, NodeId};

    use super::*;

    #[test]
    fn members_are_kept_and_of_others_those_told_of_last() {
        let mut roster = roster(&["n1", "n2"]);
        let mut book = AddressBook::default();
        assert!(book.tell("n2", "n2:1", &roster));
        for number in 0..10_000 {
            let name = format!("s{number:05}");
            assert!(book.tell(&name, "s:1", &roster));
            assert!(!book.tell(&name, "s:1", &roster), "told twice is no news");
            assert!(book.addresses().len() <= STRANGERS_MAX + 1);
        }
        assert_eq!((book.get("n2"), book.get("s09999")), (Some("n2:1"), Some("s:1")));
        let first = format!("s{:05}", 10_000 - STRANGERS_MAX);
        assert_eq!(book.addresses().keys().nth(1), Some(&first));
        assert!(book.tell("n2", "n2:2", &roster), "it has moved");
        // One that is a member no longer is a stranger like any other.
        roster.removed.insert(NodeId::from_u64(1));
        for number in 0..STRANGERS_MAX {
            book.tell(&format!("t{number:05}"), "t:1", &roster);
        }
        assert_eq!((book.get("n2"), book.addresses().len()), (None, STRANGERS_MAX));
    }

    #[test]
    fn a_book_of_a_snapshot_from_before_there_was_a_bound_is_cut() {
        let told = (0..1_000).map(|number| (format!("s{number:05}"), "s:1".to_owned())).collect();
        let book = AddressBook::new(told, &roster(&["s00000"]));
        assert_eq!((book.get("s00000"), book.addresses().len()), (Some("s:1"), STRANGERS_MAX + 1));
    }

    #[test]
    fn who_is_neither_a_member_nor_known_elsewhere_is_forgotten_at_a_word() {
        let roster = roster(&["n1"]);
        let mut book = AddressBook::default();
        for name in ["n1", "guest", "gone"] {
            assert!(book.tell(name, "x:1", &roster));
        }
        let forgotten = book.forgotten(&roster, |name| name == "guest");
        assert_eq!(forgotten, ["gone"]);
        assert!(book.tell("gone", "", &roster) && !book.tell("gone", "", &roster));
        assert_eq!(book.addresses().keys().collect::<Vec<_>>(), ["guest", "n1"]);
    }

    fn roster(names: &[&str]) -> Roster {
        let mut roster = Roster::default();
        for (number, name) in names.iter().enumerate() {
            let record = MemberRecord { name: (*name).to_owned(), ..MemberRecord::default() };
            roster.members.insert(NodeId::from_u64(number as u64), record);
        }
        roster
    }
}
