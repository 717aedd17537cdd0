//! Each rule as inputs and the list of outputs that they must give.

mod harness;
mod probes;
mod suspicions;
mod views;
