//! What is promised in seconds of who is alive, held against clusters of the shipped binary.
//!
//! The times are those of the nodes' own logs. The bounds are those of an idle machine, and wider by what it stalled.

mod partition;
mod seen;
mod silence;
