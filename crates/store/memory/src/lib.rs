//! The store contract as a deterministic simulation that injects faults.
