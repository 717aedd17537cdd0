//! Whole clusters in virtual time: what membership promises, over lossy, cut and healing networks.

mod cluster;
mod history;

mod crash;
mod faults;
mod joining;
mod quiet;
