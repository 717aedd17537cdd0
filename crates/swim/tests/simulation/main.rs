//! Clusters of the shipped state machine over a network that loses, repeats, delays and cuts.

mod agenda;
mod cluster;
mod name;
mod network;
mod node;
mod record;
mod tap;
mod view;

mod broadcasts;
mod churn;
mod crash;
mod faults;
mod joining;
mod policy;
mod properties;
mod quiet;
mod versions;
