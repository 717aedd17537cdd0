//! Or-sets of `crdts`.

use crdts::{CmRDT, CvRDT, Orswot};

use crate::contender::Contender;

/// Merges a whole set that has one more member than the one with `members` of them, added by so many actors in turn.
///
/// The crate has no deltas: its operations demand that the transport keeps their order.
pub fn or_set_merge(members: u64, actors: u64) -> Contender<'static> {
    let mut held = Orswot::new();
    (0..members).for_each(|member| add(&mut held, 1 + member % actors, member));
    let mut newer = held.clone();
    add(&mut newer, 1, members);
    // Merging takes the other one by value, so each time has its own.
    Contender::on_clones("crdts", (held, newer), |(held, newer)| {
        held.merge(std::mem::take(newer));
    })
}

fn add(set: &mut Orswot<Box<[u8]>, u64>, actor: u64, member: u64) {
    let context = set.read_ctx().derive_add_ctx(actor);
    set.apply(set.add(format!("member {member:09}").into_bytes().into(), context));
}
