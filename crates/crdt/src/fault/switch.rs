//! The switch of one crate's rules: at most one of them is off, for the whole process.

use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Which of a crate's rules is off.
#[derive(Debug)]
pub struct Switch {
    rules: &'static [&'static str],
    /// Position of the rule that is off; beyond them while all are on.
    off: AtomicUsize,
}

impl Switch {
    /// Makes a switch with all rules on.
    pub const fn new(rules: &'static [&'static str]) -> Self {
        Self { rules, off: AtomicUsize::new(usize::MAX) }
    }

    /// Switches off this rule and all others on; returns false for an unknown one, and then all are on.
    pub fn switch_off(&self, rule: Option<&str>) -> bool {
        let place = rule.map(|rule| self.rules.iter().position(|known| *known == rule));
        self.off.store(place.flatten().unwrap_or(usize::MAX), Ordering::SeqCst);
        place.is_none_or(|place| place.is_some())
    }

    /// Tells whether this rule is off.
    ///
    /// # Panics
    ///
    /// When it is not among the rules: a misspelt one could never be switched off.
    pub fn is_off(&self, rule: &str) -> bool {
        black_box(MARKER);
        let place = self.rules.iter().position(|known| *known == rule);
        place.expect("every rule that is asked for is in the list") == self.off.load(Ordering::SeqCst)
    }
}

/// Is in every binary whose rules can be switched off, and in no other.
pub const MARKER: &str = "trellis-fault-build";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_rule_is_off_and_an_unknown_name_switches_all_on() {
        let switch = Switch::new(&["a", "b"]);
        assert!(switch.switch_off(Some("a")));
        assert_eq!((switch.is_off("a"), switch.is_off("b")), (true, false));
        assert!(switch.switch_off(Some("b")));
        assert_eq!((switch.is_off("a"), switch.is_off("b")), (false, true));
        assert!(!switch.switch_off(Some("c")));
        assert_eq!((switch.is_off("a"), switch.is_off("b")), (false, false));
        assert!(switch.switch_off(None));
    }
}
