//! Who is alive: SWIM group membership as a state machine without IO.
//!
//! Members probe each other, directly and through helpers; whoever does not answer is suspected, may refute that
//! by a higher incarnation, and is called dead when nobody has evidence of its life for ten seconds. Changes
//! travel on the probes and in short bursts. Dead members and seeds are contacted for ever at a bounded rate, so a
//! partition heals by itself, and the dead come back without a new identity.
//!
//! Members that are slow themselves notice it and grow patient (Lifeguard), those that slept judge nobody by what
//! they missed, and digests of what is known keep anyone from missing a change for long.
//!
//! Hosts may offer broadcasts, which ride in what room is left, as rumours: best effort, in no order but that of one key.
//!
//! It does not open connections, read clocks, draw entropy, or prove identities: the host does, over links that
//! prove the peer's id. It does not agree on a view, elect anyone, or count quorums.
//!
//! The two types to know are [`Swim`], the state machine, and [`Output`], the closed list of what it asks for.
//!
//! ```
//! use std::time::Instant;
//! use trellis_swim::{Config, Event, Handled, Local, Output, Swim};
//!
//! let now = Instant::now();
//! let start = |id: &str, seed| {
//!     let local = Local { id: id.to_owned(), epoch: 1, addr: format!("{id}:7500"), meta: Vec::new() };
//!     Swim::new(Config::default(), local, 0xC1, seed, now)
//! };
//! let (mut n1, mut n2) = (start("n1", 1)?, start("n2", 2)?);
//! let (mut request, mut reply) = (Vec::new(), Vec::new());
//!
//! n2.join(["n1:7500".to_owned()], now);
//! let Some(Output::Transmit(transmit)) = n2.poll_output(&mut request) else { panic!("the seed is contacted") };
//! let handled = n1.handle_message(&"n2".to_owned(), &request, now, now, &mut reply)?;
//! assert_eq!(handled, Handled::Replied);
//! n2.handle_reply(transmit.id, &"n1".to_owned(), &reply, now, now)?;
//!
//! let mut event = |swim: &mut Swim<String>| swim.poll_output(&mut request);
//! assert!(matches!(event(&mut n1), Some(Output::Event(Event::Up(member))) if member.id == "n2"));
//! assert!(matches!(event(&mut n2), Some(Output::Event(Event::Up(member))) if member.id == "n1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod membership;

mod input;
mod output;

mod awareness;
mod broadcast;
mod dissemination;
mod evidence;
mod member;
mod member_list;
mod round_trip;
mod suspicion;
mod timer;

mod codec;
mod message;

mod config;
mod counters;
mod error;

#[cfg(not(trellis_fault))]
mod fault;
#[cfg(trellis_fault)]
pub mod fault;

pub use crate::broadcast::{BROADCAST_KEY_BYTES_MAX, BROADCAST_PAYLOAD_BYTES_MAX, Priority};
pub use crate::config::{Config, DeadPolicy};
pub use crate::counters::Counters;
pub use crate::error::{BroadcastError, ConfigError, MessageError};
pub use crate::input::{Handled, Link, RequestId, SendFailure, TransmitId};
pub use crate::member::{
    ADDR_BYTES_MAX, EPOCH_MAX, ID_BYTES_MAX, INCARNATION_MAX, Local, META_BYTES_MAX, Member, MemberId, State,
};
pub use crate::membership::Swim;
pub use crate::output::{DeathReason, Event, Health, Output, Transmit, TransmitKind};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
