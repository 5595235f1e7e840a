//! Which commits the watches of this process are to be told of.
//!
//! A service that is not told looks by itself after some seconds, which in simulated time are over
//! at once: without this, a test would show nothing of watches, and pass hours in which nothing
//! happens but looking.

use crate::anchor::Anchor;
use bytes::Bytes;
use contract_store::KeyRange;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What a transaction will write.
#[derive(Default)]
pub(crate) struct Written {
    keys: Vec<Bytes>,
    ranges: Vec<KeyRange>,
}

impl Written {
    pub(crate) fn key(&mut self, key: &[u8]) {
        self.keys.push(Bytes::copy_from_slice(key));
    }

    pub(crate) fn range(&mut self, range: &KeyRange) {
        self.ranges.push(range.clone());
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.ranges.clear();
    }

    fn touches(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|written| written == key)
            || self.ranges.iter().any(|range| key >= &range.begin[..] && key < &range.end[..])
    }
}

struct Watching {
    key: Bytes,
    owed: bool,
}

#[derive(Default)]
struct Board {
    last: u64,
    watching: HashMap<u64, Watching>,
}

/// The watches of one store that have not been told yet. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Watches(Arc<Mutex<Board>>);

impl Watches {
    /// A watch begins; it ends, told or not, when the answer is dropped.
    pub(crate) fn begin(&self, key: &[u8], anchor: &Anchor) -> Watched {
        let mut board = self.0.lock();
        board.last += 1;
        let id = board.last;
        let watching = Watching { key: Bytes::copy_from_slice(key), owed: false };
        board.watching.insert(id, watching);
        Watched { id, watches: self.clone(), anchor: anchor.clone() }
    }

    /// Whether it is worth noting what is written.
    pub(crate) fn any(&self) -> bool {
        !self.0.lock().watching.is_empty()
    }

    /// A commit was made: time is held back until the watches concerned have been told.
    pub(crate) fn committed(&self, written: &Written, anchor: &Anchor) {
        let mut board = self.0.lock();
        let mut owed = 0;
        for watching in board.watching.values_mut() {
            if !watching.owed && written.touches(&watching.key) {
                watching.owed = true;
                owed += 1;
            }
        }
        if owed > 0 {
            anchor.owe(owed);
        }
    }
}

/// One watch.
pub(crate) struct Watched {
    id: u64,
    watches: Watches,
    anchor: Anchor,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let watching = self.watches.0.lock().watching.remove(&self.id);
        if watching.is_some_and(|watching| watching.owed) {
            self.anchor.settle();
        }
    }
}
