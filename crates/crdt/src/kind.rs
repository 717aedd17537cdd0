//! The kinds of values, and their codes in every format.

use core::fmt;
use core::str::FromStr;

use crate::error::ParseError;

/// What a key can hold. The code of a kind is part of every format and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A counter that only grows.
    GCounter = 1,
    /// A counter that goes up and down.
    PnCounter = 2,
    /// A register whose last write wins, by hybrid logical clock.
    LwwRegister = 3,
    /// A register that keeps all concurrent writes.
    MvRegister = 4,
    /// A set that only grows.
    GSet = 5,
    /// A set in which a concurrent addition wins over a removal.
    OrSet = 6,
    /// A flag in which enabling wins.
    EwFlag = 7,
    /// A flag in which disabling wins.
    DwFlag = 8,
}

impl Kind {
    /// All kinds, by code.
    pub const ALL: [Self; 8] = [
        Self::GCounter,
        Self::PnCounter,
        Self::LwwRegister,
        Self::MvRegister,
        Self::GSet,
        Self::OrSet,
        Self::EwFlag,
        Self::DwFlag,
    ];

    /// Returns the code of the kind.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns the kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        // The codes are counted from 1 without a gap, as a test confirms.
        Self::ALL.get(usize::from(code).wrapping_sub(1)).copied()
    }

    /// Returns the name of the kind, such as `pn-counter`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GCounter => "g-counter",
            Self::PnCounter => "pn-counter",
            Self::LwwRegister => "lww-register",
            Self::MvRegister => "mv-register",
            Self::GSet => "g-set",
            Self::OrSet => "or-set",
            Self::EwFlag => "ew-flag",
            Self::DwFlag => "dw-flag",
        }
    }

    /// Tells whether the kind is a counter.
    pub const fn is_counter(self) -> bool {
        matches!(self, Self::GCounter | Self::PnCounter)
    }

    /// Tells whether the kind is a register.
    pub const fn is_register(self) -> bool {
        matches!(self, Self::LwwRegister | Self::MvRegister)
    }

    /// Tells whether the kind is a set, so that one operation changes one element.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::GSet | Self::OrSet)
    }

    /// Tells whether the kind is a flag.
    pub const fn is_flag(self) -> bool {
        matches!(self, Self::EwFlag | Self::DwFlag)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(ParseError::Kind)
    }
}

/// The names of all kinds, for a message.
pub(crate) struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn codes_and_names_lead_back_to_their_kind() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), index + 1);
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(9), None);
        let refused = "counter".parse::<Kind>().unwrap_err();
        let names = "g-counter, pn-counter, lww-register, mv-register, g-set, or-set, ew-flag, dw-flag";
        assert_eq!(refused.to_string(), alloc::format!("no kind has this name; there are {names}"));
    }

    #[test]
    fn every_kind_is_of_one_family() {
        for kind in Kind::ALL {
            let families = [kind.is_counter(), kind.is_register(), kind.is_set(), kind.is_flag()];
            assert_eq!(families.into_iter().filter(|is| *is).count(), 1, "{kind}");
        }
    }
}
