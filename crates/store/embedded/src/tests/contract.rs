//! The promises that every store keeps.
