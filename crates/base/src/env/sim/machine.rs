//! A machine whose memory is what a test says.

use crate::env::{Machine, Memory};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// Cheap to clone, all clones are the same machine. At first it has 16 GiB, of which little is
/// used.
#[derive(Clone)]
pub struct SimMachine(Arc<Mutex<Memory>>);

impl Default for SimMachine {
    fn default() -> Self {
        let memory = Memory { process_bytes: 64 << 20, used_bytes: 1 << 30, total_bytes: 16 << 30 };
        Self(Arc::new(Mutex::new(memory)))
    }
}

impl SimMachine {
    /// From now on this is used.
    pub fn set_memory(&self, memory: Memory) {
        *self.0.lock() = memory;
    }
}

impl Machine for SimMachine {
    fn memory(&self) -> io::Result<Memory> {
        Ok(*self.0.lock())
    }
}
