//! The contents of one simulated file: what programs see, and what would survive a power cut.

use crate::env::Random;

/// The unit that a disk writes whole: a power cut tears between sectors, never within one.
pub(super) const SECTOR_BYTES: u64 = 512;

/// One file's bytes.
#[derive(Default)]
pub(super) struct Contents {
    /// What programs read.
    pub(super) seen: Vec<u8>,
    /// What is on the medium for sure.
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Contents {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.seen, offset, bytes);
        self.unsynced.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.seen.resize(len, 0);
        self.unsynced.push(Change::SetLen(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// A sync that failed: the pages count as clean now, though they never reached the medium
    /// (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). Later syncs
    /// do not bring them there.
    pub(super) fn fail_sync(&mut self) {
        self.unsynced.clear();
    }

    /// Changes one byte on the medium and in memory, as a bad disk does.
    pub(super) fn corrupt(&mut self, offset: usize) {
        for bytes in [&mut self.seen, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 0xff;
            }
        }
    }

    /// Of each unsynced change all, nothing or some sectors reach the medium, in any order.
    pub(super) fn power_cut(&mut self, random: &dyn Random) {
        for change in std::mem::take(&mut self.unsynced) {
            let fate = random.below(3);
            match change {
                _ if fate == 0 => {}
                Change::SetLen(len) => self.durable.resize(len, 0),
                Change::Write { offset, bytes } if fate == 1 => {
                    put(&mut self.durable, offset, &bytes);
                }
                Change::Write { offset, bytes } => self.tear(offset, &bytes, random),
            }
        }
        self.seen.clone_from(&self.durable);
    }

    fn tear(&mut self, offset: usize, bytes: &[u8], random: &dyn Random) {
        let sector = SECTOR_BYTES as usize;
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done;
            let end = (done + sector - at % sector).min(bytes.len());
            if random.below(2) == 0 {
                put(&mut self.durable, at, &bytes[done..end]);
            }
            done = end;
        }
    }
}

fn put(target: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[offset..end].copy_from_slice(bytes);
}
