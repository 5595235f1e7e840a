//! The simulated twins.
