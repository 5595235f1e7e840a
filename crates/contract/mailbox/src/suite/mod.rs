//! The promises of the mailbox contract as tests that every implementation runs.
