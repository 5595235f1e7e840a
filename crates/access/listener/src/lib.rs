//! The only owner of client sockets: accept loops, limits, TLS and buffered byte streams.
//!
//! ```text
//! Network ─▶ accept loop ─▶ admission (counts) ─▶ session actor ─▶ TLS ─▶ SessionFactory::serve
//!               └ refused: one line, closed                              (a Connection, by value)
//! ```
//!
//! A protocol crate implements [`SessionFactory`] and talks through [`Connection`]; it never sees
//! a socket, so idle memory, slow readers, handshakes and STARTTLS injection are solved here, once.
//! Each connection is served by an actor of its own (`base::actor`), so a session that panics ends
//! alone and is counted. [`Listener::drain`] stops accepting, tells the sessions through the token
//! that each [`Connection::shutdown`] gives out, and waits for them.
//!
//! Behind a load balancer that is trusted ([`ProxyProtocol`]), a client counts under its own address:
//! its session begins with the balancer's header, and everything else comes after it.
//!
//! [`Pace`] bounds how long a client may take for what it has begun; [`account`] answers what every
//! protocol asks about who has signed in, [`Users`] counts the sessions of each.
//!
//! [`transcript`] replays `C:`/`S:` dialogues against a session; protocol crates test with it.

mod accept;
pub mod account;
mod admission;
pub mod config;
mod connection;
mod deflate;
mod listener;
mod pace;
mod proxy;
mod range;
mod session;
mod tls;
pub mod transcript;
mod users;

pub use admission::Refusal;
pub use config::{ListenerConfig, ProxyProtocol, TlsMode};
pub use connection::{Connection, READ_BYTES};
pub use listener::Listener;
pub use pace::Pace;
pub use range::IpRange;
pub use session::SessionFactory;
pub use tls::{TlsInfo, TlsSettings};
pub use tokio_util::sync::CancellationToken;
pub use users::{UserPlace, Users};
