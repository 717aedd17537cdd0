//! Each rule as inputs and the list of outputs that they must give.

mod admission;
mod awareness;
mod broadcasts;
mod harness;
mod invariants;
mod lasting;
mod policy;
mod probes;
mod suspicions;
mod views;
