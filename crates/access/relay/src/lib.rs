//! SMTP to other servers: the courier of the transport service.
//!
//! ```text
//! Relay::open ─▶ exchangers (MX, smart hosts) ─▶ addresses ─▶ connect ─▶ Session::begin
//!                                                                └ greeting, EHLO, STARTTLS, AUTH
//! Conversation::transfer ─▶ plan ─▶ introduce (MAIL, RCPT, DATA) ─▶ body (DATA | BDAT) ─▶ verdicts
//! ```
//!
//! The queue decides where a message goes and when; this crate finds a host that takes it, brings it
//! there and says for each recipient what became of it. A recipient counts as relayed only after
//! the host's own yes behind the last byte: whatever breaks before that is [`Verdict::Later`].
//!
//! [`Wire`](wire) alone reads and writes. It knows whether the host said more than it was asked, so
//! an answer that came too early, whoever put it there, is never taken for a later one.
//!
//! What a domain publishes about its hosts raises what a connection needs: `secure` looks for TLSA
//! records that DNSSEC vouches for, and `dane` judges certificates by them; `sts` knows the policies
//! that other domains publish over HTTPS.
//!
//! [`Resolver`] is the DNS client that stands behind [`base::env::Dns`] in the server.
//!
//! [`Verdict::Later`]: contract_transport::courier::Verdict::Later

mod answer;
mod auth;
mod body;
mod config;
mod conversation;
mod dane;
mod dead;
mod exchangers;
mod fit;
mod introduce;
mod limits;
mod logs;
mod offer;
mod plan;
mod relay;
mod resolver;
mod secure;
mod session;
mod sts;
mod telemetry;
mod tls;
mod told;
mod verdicts;
mod wire;

pub use config::Config;
pub use logs::{CONNECTIVITY_LOG, Logs, PROTOCOL_LOG};
pub use relay::Relay;
pub use resolver::{Dnssec, Resolver, check_anchors};
