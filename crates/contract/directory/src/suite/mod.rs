//! The promises of the directory contract as tests that every implementation runs.
