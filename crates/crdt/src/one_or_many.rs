//! A sequence that allocates nothing while it has one item.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem;
use core::ops::{Deref, DerefMut};

/// None, one, or many items, as a slice. Equal when the items are, however they are held.
///
/// Most values have one writer, and so one piece and a list of one.
#[derive(Clone, Default)]
pub(crate) enum OneOrMany<T> {
    #[default]
    None,
    One(T),
    /// Any number of items: a decoder that was promised several begins with none.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) const fn new() -> Self {
        Self::None
    }

    /// Returns an empty sequence into which `count` items go without another allocation.
    pub(crate) fn with_capacity(count: usize) -> Self {
        if count > 1 { Self::Many(Vec::with_capacity(count)) } else { Self::None }
    }

    /// Returns `count` items from `next`, which makes no room for more than `room` before it has them.
    #[inline]
    pub(crate) fn try_fill<E>(
        count: u64,
        room: usize,
        mut next: impl FnMut() -> Result<T, E>,
    ) -> Result<Self, E> {
        match count {
            0 => Ok(Self::None),
            1 => next().map(Self::One),
            _ => {
                let mut items =
                    Vec::with_capacity(usize::try_from(count).map_or(room, |count| count.min(room)));
                for _ in 0..count {
                    items.push(next()?);
                }
                Ok(Self::Many(items))
            }
        }
    }

    pub(crate) fn push(&mut self, item: T) {
        match self {
            Self::None => *self = Self::One(item),
            Self::One(_) => self.insert(1, item),
            Self::Many(items) => items.push(item),
        }
    }

    pub(crate) fn insert(&mut self, place: usize, item: T) {
        match self {
            Self::None => *self = Self::One(item),
            Self::One(_) => {
                let mut items = mem::take(self).into_vec(1);
                items.insert(place, item);
                *self = Self::Many(items);
            }
            Self::Many(items) => items.insert(place, item),
        }
    }

    pub(crate) fn remove(&mut self, place: usize) -> T {
        let mut items = mem::take(self).into_vec(0);
        let removed = items.remove(place);
        *self = Self::from_vec(items);
        removed
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match self {
            Self::None => {}
            Self::One(item) => {
                if !keep(item) {
                    *self = Self::None;
                }
            }
            Self::Many(items) => {
                items.retain(keep);
                if items.len() < 2 {
                    *self = Self::from_vec(mem::take(items));
                }
            }
        }
    }

    pub(crate) fn map<U>(self, mut to: impl FnMut(T) -> U) -> OneOrMany<U> {
        match self {
            Self::None => OneOrMany::None,
            Self::One(item) => OneOrMany::One(to(item)),
            Self::Many(items) => OneOrMany::Many(items.into_iter().map(to).collect()),
        }
    }

    /// Merges `others` into these items, both in strictly ascending order of their keys.
    ///
    /// `join` gets what both have, `take` what only `others` has. One pass over both, and at most one allocation,
    /// which there is only when something is taken.
    pub(crate) fn merge<U, K: Ord>(
        &mut self,
        others: &[U],
        key: impl Fn(&T) -> K,
        other_key: impl Fn(&U) -> K,
        mut join: impl FnMut(&mut T, &U),
        mut take: impl FnMut(&U) -> Option<T>,
    ) {
        // A few items among many are looked up; that is less than passing by all the others.
        let is_sparse = others.len().saturating_mul(SPARSE_FACTOR) < self.len();
        let mut place = 0;
        for (index, other) in others.iter().enumerate() {
            let wanted = other_key(other);
            let held = &mut self[place..];
            let passed = if is_sparse {
                held.partition_point(|item| key(item) < wanted)
            } else {
                held.iter().position(|item| key(item) >= wanted).unwrap_or(held.len())
            };
            place += passed;
            match held.get_mut(passed) {
                Some(item) if key(item) == wanted => {
                    join(item, other);
                    place += 1;
                }
                _ => {
                    let Some(item) = take(other) else { continue };
                    let rest = &others[index + 1..];
                    if rest.is_empty() {
                        self.insert(place, item);
                    } else {
                        self.merge_from(place, item, rest, key, other_key, join, take);
                    }
                    return;
                }
            }
        }
    }

    /// Goes on with [`merge`](Self::merge) where the first item was taken, which belongs at `place`.
    #[expect(clippy::too_many_arguments, reason = "it is the second half of one function")]
    #[cold]
    fn merge_from<U, K: Ord>(
        &mut self,
        place: usize,
        first: T,
        others: &[U],
        key: impl Fn(&T) -> K,
        other_key: impl Fn(&U) -> K,
        mut join: impl FnMut(&mut T, &U),
        mut take: impl FnMut(&U) -> Option<T>,
    ) {
        let mut merged = mem::take(self).into_vec(1 + others.len());
        let mut held = merged.split_off(place).into_iter().peekable();
        merged.push(first);
        for other in others {
            let wanted = other_key(other);
            while let Some(item) = held.next_if(|item| key(item) < wanted) {
                merged.push(item);
            }
            match held.peek().map(|item| key(item).cmp(&wanted)) {
                Some(Ordering::Equal) => {
                    let mut item = held.next().expect("it was peeked at");
                    join(&mut item, other);
                    merged.push(item);
                }
                _ => merged.extend(take(other)),
            }
        }
        merged.extend(held);
        *self = Self::from_vec(merged);
    }

    fn from_vec(mut items: Vec<T>) -> Self {
        if items.len() > 1 { Self::Many(items) } else { items.pop().map_or(Self::None, Self::One) }
    }

    /// Returns the items with room for this many more.
    fn into_vec(self, additional: usize) -> Vec<T> {
        match self {
            Self::None => Vec::with_capacity(additional),
            Self::One(item) => {
                let mut items = Vec::with_capacity(1 + additional);
                items.push(item);
                items
            }
            Self::Many(mut items) => {
                items.reserve(additional);
                items
            }
        }
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(item) => core::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> DerefMut for OneOrMany<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(item) => core::slice::from_mut(item),
            Self::Many(items) => items,
        }
    }
}

impl<T: PartialEq> PartialEq for OneOrMany<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for OneOrMany<T> {}

impl<T: Hash> Hash for OneOrMany<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for OneOrMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// How many times fewer the others are before they are looked up one by one.
const SPARSE_FACTOR: usize = 8;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;
    use crate::laws::own::properties;

    properties! {
        fn changes_are_those_of_a_vec(changes: Vec<(u8, u8, u8)>) -> () {
            let (mut items, mut model) = (OneOrMany::new(), Vec::new());
            for (what, place, item) in changes {
                let place = usize::from(place) % (model.len() + 1);
                match what % 4 {
                    0 | 1 => {
                        items.insert(place, item);
                        model.insert(place, item);
                    }
                    2 if place < model.len() => assert_eq!(items.remove(place), model.remove(place)),
                    _ => {
                        items.retain(|held| *held % 2 == item % 2);
                        model.retain(|held| *held % 2 == item % 2);
                    }
                }
                assert_eq!(*items, *model);
                assert_eq!(items, OneOrMany::Many(model.clone()));
                assert_eq!(items.clone().map(u16::from).len(), model.len());
            }
        }

        fn merging_is_merging_maps(ours: BTreeMap<u8, u8>, theirs: BTreeMap<u8, u8>, few: bool) -> () {
            let theirs = BTreeMap::from_iter(theirs.into_iter().take(if few { 2 } else { usize::MAX }));
            let mut expected = ours.clone();
            for (key, value) in &theirs {
                // What is odd is not taken where it is not held.
                let sum = ours.get(key).map(|held| held.wrapping_add(*value));
                let merged = sum.or((value % 2 == 0).then_some(*value));
                expected.extend(merged.map(|value| (*key, value)));
            }
            let mut items = OneOrMany::new();
            ours.into_iter().for_each(|item| items.push(item));
            let theirs = Vec::from_iter(theirs);
            items.merge(
                &theirs,
                |item| item.0,
                |other| other.0,
                |item, other| item.1 = item.1.wrapping_add(other.1),
                |other| (other.1 % 2 == 0).then_some(*other),
            );
            assert_eq!(*items, *Vec::from_iter(expected));
        }
    }

    #[test]
    fn one_item_takes_no_more_room_than_many() {
        assert_eq!(size_of::<OneOrMany<(u64, u64)>>(), size_of::<Vec<(u64, u64)>>());
    }
}
