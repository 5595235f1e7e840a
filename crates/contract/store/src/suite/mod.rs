//! The promises of the store contract as tests that every implementation runs.
