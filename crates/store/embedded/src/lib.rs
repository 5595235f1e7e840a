//! The single-machine store: a write-ahead log of our own in front of redb.
