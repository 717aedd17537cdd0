//! Flags: on or off, and what wins when two replicas disagree.

mod dw_flag;
mod ew_flag;
#[cfg(test)]
mod tests;

pub use dw_flag::DwFlag;
pub use ew_flag::EwFlag;
