//! The core of the mailbox: bulk commands, faults, takeover.
