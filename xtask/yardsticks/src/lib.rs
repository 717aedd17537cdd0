//! What the benches of trellis-crdt and trellis-storage are held against, and how: the same work done by other crates, and
//! rounds in which all take turns.
//!
//! A machine that is shared gets slower and faster while one measures, by more than what is looked for. So nothing here
//! compares two figures of different times: contenders take turns, round by round, and a ratio is the median of the ratios
//! of the rounds. Criterion measures each contender by itself beside that, for who works on one of them.
//!
//! What it does not do: it knows no crate of ours, which a bench brings itself, and it passes no judgement: an aim that is
//! missed is a word in the table.
//!
//! The two types to know: [`Contender`], something that can be done many times, and [`Bench`], which measures contenders
//! and prints the table.

mod bench;
mod contender;
mod machine;
mod rounds;
mod table;

mod counters;
mod maps;
mod messages;
mod registers;
mod sets;

pub use bench::Bench;
pub use contender::Contender;
pub use counters::{CounterMap, pn_counter_merge};
pub use maps::BareMap;
pub use messages::{FlatDelta, NestedDelta, decode, encode};
pub use registers::mv_register_merge;
pub use rounds::{Rounds, Samples, Spread};
pub use sets::or_set_merge;
pub use table::Aim;
