//! Counters: one slot for each actor, whose removals are part of it.

mod g_counter;
mod pn_counter;
mod slot;
mod slots;
#[cfg(test)]
mod tests;

pub use g_counter::GCounter;
pub use pn_counter::PnCounter;
pub use slot::Slot;
use slots::Slots;
