//! The megabytes that hashes compute in.
//!
//! They are passed on from one hash to the next while anybody hashes or waits to, so a queue of
//! sign-ins costs as many of them as hashes run at a time; with the last one they go back to the
//! system. Leaving that to the allocator does not do: glibc takes the first freed piece of less
//! than 32 MiB for a sign that such pieces come often, and keeps later ones in the arena of
//! whichever thread hashed. Two hundred wrong passwords left 450 MB behind in that way.

use argon2::Block;
use base::{Error, Result};
use parking_lot::Mutex;
use std::sync::Arc;

/// How much room is reserved at least, in blocks: just above the 32 MiB of glibc
/// (`DEFAULT_MMAP_THRESHOLD_MAX`) from which on memory is always a mapping of its own and nothing
/// is learned from freeing it. Room that is not touched is only addresses.
const RESERVED_BLOCKS: usize = (32 << 20) / Block::SIZE + 64;

/// Who hashes or waits to, and the memory that nobody uses just now.
pub(crate) struct Memory {
    places_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: usize,
    free: Vec<Vec<Block>>,
}

/// One who hashes or waits to.
pub(crate) struct Place(Arc<Memory>);

impl Memory {
    /// For at most so many at once.
    pub(crate) fn new(places_max: usize) -> Arc<Self> {
        Arc::new(Self { places_max, state: Mutex::default() })
    }

    /// Takes a place, if there is one.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state.lock();
        if state.places >= self.places_max {
            return None;
        }
        state.places += 1;
        Some(Place(self.clone()))
    }
}

impl Place {
    /// Does something with at least so many blocks, whatever they contain.
    ///
    /// # Errors
    /// [`base::Kind::Unavailable`] where the system has no memory.
    pub(crate) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> Result<T> {
        let found = self.0.state.lock().free.pop();
        let mut memory = match found {
            Some(memory) if memory.len() >= blocks => memory,
            _ => allocate(blocks)?,
        };
        let done = work(&mut memory);
        self.0.state.lock().free.push(memory);
        Ok(done)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.places -= 1;
        if state.places == 0 {
            let unused = std::mem::take(&mut state.free);
            drop(state);
            drop(unused);
        }
    }
}

fn allocate(blocks: usize) -> Result<Vec<Block>> {
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(blocks.max(RESERVED_BLOCKS))
        .map_err(|_| Error::unavailable("no memory for a password hash"))?;
    memory.resize(blocks, Block::new());
    Ok(memory)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(place: &Place, blocks: usize) -> usize {
        place
            .lend(blocks, |memory| {
                assert!(memory.len() >= blocks);
                memory.as_ptr() as usize
            })
            .unwrap()
    }

    #[test]
    fn memory_is_passed_on_while_somebody_waits_and_then_given_back() {
        let memory = Memory::new(2);
        let (first, second) = (memory.enter().unwrap(), memory.enter().unwrap());
        assert!(memory.enter().is_none(), "places are bounded");
        let used = address(&first, 64);
        drop(first);
        assert_eq!(address(&second, 64), used);
        assert_eq!(address(&second, 8), used, "a smaller hash fits too");
        assert_eq!(memory.state.lock().free.len(), 1);
        address(&second, 128);
        assert_eq!(memory.state.lock().free.len(), 1, "what is too small is not kept beside");
        drop(second);
        let state = memory.state.lock();
        assert_eq!((state.places, state.free.len()), (0, 0));
    }

    #[test]
    fn two_at_once_have_memory_of_their_own() {
        let memory = Memory::new(2);
        let (first, second) = (memory.enter().unwrap(), memory.enter().unwrap());
        let outer = |mine: &mut [Block]| address(&second, 8) != mine.as_ptr() as usize;
        assert!(first.lend(8, outer).unwrap());
        assert_eq!(memory.state.lock().free.len(), 2);
    }
}
