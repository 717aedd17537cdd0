//! The least that could count by key: a bare hash map.

use std::collections::HashMap;

/// Amounts by key: the standard library's map, which is hashbrown's, with foldhash.
#[derive(Debug, Default)]
pub struct BareMap {
    amounts: HashMap<Box<str>, i64, foldhash::fast::FixedState>,
}

impl BareMap {
    /// Returns a map without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds 1 to the amount of `key`, which counts from 0; returns what it is then.
    pub fn increment(&mut self, key: &str) -> i64 {
        if let Some(amount) = self.amounts.get_mut(key) {
            *amount += 1;
            *amount
        } else {
            self.amounts.insert(key.into(), 1);
            1
        }
    }
}
