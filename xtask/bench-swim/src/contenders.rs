//! Libraries that are held against each other, each with settings that its authors advise.

mod chitchat;
mod foca;
mod ours;

use crate::contender::Kind;

/// Ours first.
pub(crate) const KINDS: &[Kind] = &[ours::DEFAULT, ours::FAST, foca::LAN, chitchat::SECOND];
