//! The code that `cargo xtask codegen` makes of `proto/`. Nothing of it leaves this crate.

#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]

pub(crate) mod v1 {
    include!("pb/trellis.v1.rs");
}

pub(crate) mod peer {
    include!("pb/trellis.peer.v1.rs");
}

/// Descriptors of every file in `proto/`, for server reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!("pb/descriptor.bin");
