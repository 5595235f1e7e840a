//! SMTP sessions over streams in memory: dialogues as text, messages, attacks.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attacks;
mod authentication;
mod corpus;
mod doubles;
mod extensions;
mod limits;
mod messages;
mod pressure;
mod properties;
mod protocol_log;
mod receive;
mod scanning;
mod service;
mod transcripts;
mod world;
