//! R18: what changes nothing takes no dot, and what a client is told to have changed something has taken one.

use trellis_crdt::Kind;
use trellis_storage::{Operation, Outcome};

use super::{Held, Violation};

/// Looks at how many dots a write took that is answered with this.
pub(super) fn check(host: u8, asked: &Operation<'_>, outcome: Outcome, dots: usize) -> Held {
    let is_so = match (asked, outcome) {
        (Operation::Increment { amount, .. }, _) => (*amount != 0) == (dots == 1),
        (Operation::Remove { .. }, Outcome::Removed { was_member }) => was_member == (dots == 1),
        (Operation::Switch { kind: Kind::EwFlag, enabled: false, .. }, _) => dots <= 1,
        (Operation::Delete { .. }, Outcome::Deleted { existed: true, .. }) => dots > 0,
        // A dw-flag that is disabled is not there for a reader, and its disablings are there to be deleted.
        (Operation::Delete { kind: None | Some(Kind::DwFlag), .. }, _) => dots <= 1,
        (Operation::Delete { .. }, _) => dots == 0,
        _ => dots == 1,
    };
    if is_so {
        return Ok(());
    }
    let detail = format!("n{} took {dots} dots for {asked:?}, answered with {outcome:?}", host + 1);
    Err(Violation { invariant: "nothing_comes_of_nothing", hosts: vec![host], detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_for_nothing_and_none_for_something_are_seen() {
        let removal = Operation::Remove { key: "k", kind: Kind::OrSet, element: b"e" };
        assert_eq!(check(0, &removal, Outcome::Removed { was_member: false }, 0), Ok(()));
        assert!(check(0, &removal, Outcome::Removed { was_member: false }, 1).is_err());
        assert!(check(0, &removal, Outcome::Removed { was_member: true }, 0).is_err());
        let disabling = Operation::Switch { key: "k", kind: Kind::DwFlag, enabled: false };
        assert!(check(0, &disabling, Outcome::Switched { enabled: false }, 0).is_err());
    }
}
