//! The promises of the blob contract as tests that every implementation runs.
