//! Between the end of a message and its 250 the store has synced its log
//! (docs/decisions/0003).
//!
//! A killed process loses nothing that it has written: the kernel keeps it. So kill -9 cannot show
//! a missing sync; a power cut would, which `store-embedded`'s tests simulate. For the real binary
//! this checker reads the kernel's own account, a trace of its system calls by `strace`: every
//! write of an acknowledgement to a client must come after an `fdatasync` that ended after that
//! client's last write. Where there is no strace the node's own counter has to do.

use super::Violation;

/// The checker's name.
pub const NAME: &str = "durable_before_ack";

/// What an acknowledgement of a message begins with on the wire.
const ACKNOWLEDGEMENT: &str = "\"250 2.6.0";

/// Whether the sync counter rose with each of some messages sent one after the other: pairs of its
/// value before a message was sent and after it was acknowledged.
#[must_use]
pub fn check_counts(pairs: &[(f64, f64)]) -> Vec<Violation> {
    let missing = pairs.iter().filter(|(before, after)| after <= before).count();
    let text = format!("{missing} of {} messages were acknowledged without a sync", pairs.len());
    (missing > 0).then_some(Violation { checker: NAME, text }).into_iter().collect()
}

/// What a trace shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// Acknowledgements seen.
    pub acknowledged: usize,
    /// Those that no sync preceded.
    pub uncovered: usize,
    /// Syncs that ended well.
    pub syncs: usize,
}

/// Reads the output of `strace -f` (fdatasync and what reads and writes sockets) of a node to which
/// one client sends one message after the other over port 25. Only a sync that ended after the end
/// of the data was read counts for its acknowledgement.
#[must_use]
pub fn read_trace(trace: &str) -> Traced {
    let mut traced = Traced::default();
    let mut synced_since = false;
    for line in trace.lines() {
        if ends_sync(line) {
            traced.syncs += 1;
            synced_since = true;
        } else if reads_end_of_data(line) {
            synced_since = false;
        } else if line.contains(ACKNOWLEDGEMENT) && is_write(line) {
            traced.acknowledged += 1;
            traced.uncovered += usize::from(!synced_since);
        }
    }
    traced
}

/// strace shows CRLF as `\r\n` in its quotes.
fn reads_end_of_data(line: &str) -> bool {
    (line.contains("recv") || line.contains("read")) && line.contains(".\\r\\n\"")
}

fn ends_sync(line: &str) -> bool {
    let is_sync = line.contains("fdatasync(") || line.contains("fsync(");
    let resumed = line.contains("fdatasync resumed") || line.contains("fsync resumed");
    (is_sync || resumed) && line.trim_end().ends_with("= 0")
}

/// A call that writes to a socket, at its beginning: when it ends is too late for the sync.
fn is_write(line: &str) -> bool {
    ["sendto(", "write(", "writev(", "sendmsg("].iter().any(|call| line.contains(call))
}

/// Judges a trace.
#[must_use]
pub fn check_trace(trace: &str) -> Vec<Violation> {
    let traced = read_trace(trace);
    let Traced { acknowledged, uncovered, syncs } = traced;
    let text = format!("{uncovered} of {acknowledged} acknowledgements without a sync ({syncs})");
    (uncovered > 0).then_some(Violation { checker: NAME, text }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_in_order() {
        let good = "10 recvfrom(9, \".\\r\\n\", 8192, 0, NULL, NULL) = 3\n\
                    11 fdatasync(7 <unfinished ...>\n\
                    11 <... fdatasync resumed>) = 0\n\
                    10 sendto(9, \"250 2.6.0 queued\\r\\n\", 18, 0, NULL, 0) = 18\n";
        let traced = read_trace(good);
        assert_eq!(traced, Traced { acknowledged: 1, uncovered: 0, syncs: 1 });
        let early = "11 fdatasync(7) = 0\n\
                     10 recvfrom(9, \".\\r\\n\", 8192, 0, NULL, NULL) = 3\n\
                     11 fdatasync(7 <unfinished ...>\n\
                     10 sendto(9, \"250 2.6.0 queued\\r\\n\", 18, 0, NULL, 0) = 18\n\
                     11 <... fdatasync resumed>) = 0\n";
        assert_eq!(check_trace(early).len(), 1);
    }

    #[test]
    fn a_counter_must_rise_with_each_message() {
        assert_eq!(check_counts(&[(1.0, 2.0), (2.0, 3.0)]), []);
        assert_eq!(check_counts(&[(1.0, 2.0), (2.0, 2.0)]).len(), 1);
    }
}
