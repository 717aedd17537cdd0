//! What docs/crdt-semantics.md says, line by line: its pictures as they stand, and a test for each claim.

mod counters;
mod every_kind;
mod flags;
mod page;
mod pictures;
mod registers;
mod sets;

use trellis_crdt::{Crdt, Dot, ReplicaId};

fn join<'a, C: Crdt<ReplicaId> + Default + 'a>(deltas: impl IntoIterator<Item = &'a C>) -> C {
    deltas.into_iter().fold(C::default(), |mut all, delta| {
        all.merge(delta);
        all
    })
}

/// Joins deltas in every order there is.
fn joins<C: Crdt<ReplicaId> + Default>(deltas: &[&C]) -> Vec<C> {
    orders(deltas.len()).iter().map(|order| join(order.iter().map(|place| deltas[*place]))).collect()
}

/// Returns all orders of the first `count` numbers.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let with_last = |shorter: Vec<usize>| {
        (0..count).map(move |place| {
            let mut order = shorter.clone();
            order.insert(place, last);
            order
        })
    };
    orders(last).into_iter().flat_map(with_last).collect()
}

fn contents<C: Crdt<ReplicaId>>(value: &C) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    value.contents(&mut |piece: &[u8]| pieces.push(piece.to_vec()));
    pieces
}

fn dot(replica: ReplicaId, seq: u64) -> Dot {
    Dot::new(replica, seq)
}

const A: ReplicaId = ReplicaId::from_u64(1);
const B: ReplicaId = ReplicaId::from_u64(2);
const C: ReplicaId = ReplicaId::from_u64(3);
