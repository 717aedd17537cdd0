//! Sets: a presence for each element, with a list of its own.

mod elements;
mod g_set;
mod or_set;
#[cfg(test)]
mod tests;

use elements::Elements;
pub(crate) use elements::merge_presence;
pub use g_set::GSet;
pub use or_set::OrSet;
