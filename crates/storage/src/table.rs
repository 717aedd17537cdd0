//! From hashes to handles, in the order of the hashes.
//!
//! Invariant: the places in use hold ascending hashes, and between the home of a hash and its place all are in use.

use crate::atoms::Handle;

/// The handles of a slot's entries, or of a set's elements, by the 32 bits of a keyed hash of their name.
///
/// A hash table whose order is that of the hashes. The order serves two ends: a position in a listing survives any
/// change of the table, also a restart and a change of node, since the hash is keyed by the cluster; and nobody can
/// choose names that crowd one place. Names that share the 32 bits are neighbours: whoever looks a name up compares
/// it. Look-up, insertion and removal take O(1) on average; 8 bytes a place, of which 62 to 80 % are in use.
///
/// Source: Amble, Knuth, "Ordered hash tables", 1974; the home of a hash is its share of the whole range, so that the
/// order of homes is the order of hashes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The homes, and behind them those that were pushed beyond the last home.
    places: Vec<Place>,
    homes: usize,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    /// `None` in a place that is free, where the hash means nothing.
    handle: Option<Handle>,
}

impl Table {
    /// Adds a handle under a hash that may have others.
    pub(crate) fn insert(&mut self, hash: u32, handle: Handle) {
        if (self.len + 1) * FULL_SHARE.1 > self.homes * FULL_SHARE.0 {
            self.rebuild(self.homes + self.homes * GROWTH.0 / GROWTH.1 + HOMES_MIN);
        }
        let place = self.beyond(hash);
        self.put(place, Place { hash, handle: Some(handle) });
        self.len += 1;
    }

    /// Takes a handle out, which is there.
    pub(crate) fn remove(&mut self, hash: u32, handle: Handle) {
        let place = (self.home(hash)..self.places.len())
            .find(|place| self.places[*place].handle == Some(handle))
            .expect("what is removed was inserted under the same hash");
        let follows = |next: &usize| {
            let Place { hash, handle } = self.places[*next];
            handle.is_some() && self.home(hash) < *next
        };
        let end = (place + 1..self.places.len()).take_while(follows).last().unwrap_or(place);
        self.places.copy_within(place + 1..=end, place);
        self.places[end].handle = None;
        self.len -= 1;
        if self.homes > HOMES_MIN && self.len * EMPTY_SHARE < self.homes {
            self.rebuild(self.len * 2 + HOMES_MIN);
        }
    }

    /// Returns the handles under a hash.
    pub(crate) fn candidates(&self, hash: u32) -> impl Iterator<Item = Handle> {
        let run = self.places.get(self.home(hash)..).unwrap_or(&[]).iter();
        run.take_while(move |place| place.handle.is_some() && place.hash <= hash)
            .filter(move |place| place.hash == hash)
            .filter_map(|place| place.handle)
    }

    /// Returns all handles from a hash on, with their hashes, ascending.
    pub(crate) fn beginning_at(&self, hash: u32) -> impl Iterator<Item = (u32, Handle)> {
        let places = self.places.get(self.home(hash)..).unwrap_or(&[]).iter();
        places
            .filter_map(|place| place.handle.map(|handle| (place.hash, handle)))
            .skip_while(move |(found, _)| *found < hash)
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it occupies.
    pub(crate) const fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// The first place of this hash's run that is free or holds a greater hash.
    fn beyond(&self, hash: u32) -> usize {
        let home = self.home(hash);
        let run = self.places[home..].iter();
        home + run.take_while(|place| place.handle.is_some() && place.hash <= hash).count()
    }

    /// Puts `held` into a place, and moves what is there and right behind it by one.
    fn put(&mut self, place: usize, held: Place) {
        let is_free = |place: &Place| place.handle.is_none();
        match self.places[place..].iter().position(is_free) {
            Some(run) => {
                self.places.copy_within(place..place + run, place + 1);
                self.places[place] = held;
            }
            None => self.places.insert(place, held),
        }
    }

    /// Gives the table another number of homes. O(both).
    fn rebuild(&mut self, homes: usize) {
        let free = Place { hash: 0, handle: None };
        let held = core::mem::replace(&mut self.places, vec![free; homes]);
        self.homes = homes;
        // Ascending, so each goes to its home or right behind the one before it.
        let mut next = 0;
        for place in held.into_iter().filter(|place| place.handle.is_some()) {
            next = self.home(place.hash).max(next);
            if next < self.places.len() {
                self.places[next] = place;
            } else {
                self.places.push(place);
            }
            next += 1;
        }
    }

    fn home(&self, hash: u32) -> usize {
        let home = (u64::from(hash) * self.homes as u64) >> u32::BITS;
        usize::try_from(home).expect("below the number of homes")
    }
}

/// The share of the homes beyond which the table grows: four fifths. Runs get long beyond it.
const FULL_SHARE: (usize, usize) = (4, 5);
/// By how much it grows: three tenths, so that little memory waits to be used.
const GROWTH: (usize, usize) = (3, 10);
/// The share of the homes, one in so many, below which it shrinks: a set that was large once is read in pages, and free
/// places are passed over one by one.
const EMPTY_SHARE: usize = 8;
/// How many homes the smallest table has.
const HOMES_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn a_table_is_a_sorted_set_of_pairs(steps: Vec<(u8, u32, u8)>) -> bool {
            let (mut table, mut model) = (Table::default(), BTreeSet::new());
            for (step, (what, hash, narrow)) in steps.into_iter().enumerate() {
                // Half of the hashes crowd both ends of the range.
                let hash = match what % 4 {
                    0 => u32::from(narrow % 3),
                    1 => u32::MAX - u32::from(narrow % 3),
                    _ => hash,
                };
                if what < 170 {
                    let handle = Handle::from_index(step);
                    table.insert(hash, handle);
                    model.insert((hash, handle));
                } else if let Some(&(hash, handle)) = model.range((hash, Handle::from_index(0))..).next() {
                    table.remove(hash, handle);
                    model.remove(&(hash, handle));
                }
                agrees(&table, &model, hash);
            }
            true
        }
    }

    fn agrees(table: &Table, model: &BTreeSet<(u32, Handle)>, hash: u32) {
        assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
        let sorted = |from: u32| {
            let found: Vec<_> = table.beginning_at(from).collect();
            assert!(found.is_sorted_by_key(|(hash, _)| *hash));
            BTreeSet::from_iter(found)
        };
        assert_eq!(sorted(0), *model);
        assert_eq!(sorted(hash), model.range((hash, Handle::from_index(0))..).copied().collect());
        for (hash, _) in model {
            let expected = model.iter().filter(|(held, _)| held == hash).map(|(_, handle)| *handle);
            assert_eq!(BTreeSet::from_iter(table.candidates(*hash)), expected.collect());
        }
    }

    #[test]
    fn a_table_is_packed() {
        let mut table = Table::default();
        for place in 0..100_000_u32 {
            table.insert(place.wrapping_mul(0x9e37_79b9), Handle::from_index(place as usize));
        }
        assert!(table.bytes() < 100_000 * 14, "{} bytes", table.bytes());
        assert_eq!(size_of::<Place>(), 8);
    }
}
