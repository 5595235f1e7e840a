//! Collects output as few, large `Bytes`.
//!
//! Long runs are passed on as slices of the input (a reference count, no copy); short ones are
//! copied together, because a slice costs more than copying a few bytes and hostile input (a dot
//! on every line) would otherwise make one slice per three bytes.

use bytes::{Bytes, BytesMut};

/// Runs shorter than this are copied: about what an atomic increment and a `Bytes` value cost.
const COPY_BELOW_BYTES: usize = 128;

pub(crate) struct Gather<'a> {
    out: &'a mut Vec<Bytes>,
    short: BytesMut,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(out: &'a mut Vec<Bytes>) -> Gather<'a> {
        Gather { out, short: BytesMut::new() }
    }

    pub(crate) fn push_run(&mut self, run: Bytes) {
        if run.len() < COPY_BELOW_BYTES {
            self.short.extend_from_slice(&run);
        } else {
            self.flush();
            self.out.push(run);
        }
    }

    pub(crate) fn push_copy(&mut self, bytes: &[u8]) {
        self.short.extend_from_slice(bytes);
    }

    /// Must be called at the end, or short runs are lost.
    pub(crate) fn flush(&mut self) {
        if !self.short.is_empty() {
            self.out.push(self.short.split().freeze());
        }
    }
}
