//! The outside world behind traits: clock, randomness, network, names, disk, memory.
//!
//! Every source of nondeterminism comes through an [`Env`], so that a seed replays a run and a
//! test decides what time it is. Each trait has a real implementation ([`Env::real`]) and a
//! simulated twin ([`sim`]).

pub mod clock;
pub mod disk;
pub mod dns;
pub mod machine;
pub mod network;
pub mod random;
pub mod real;
pub mod sim;

pub use clock::Clock;
pub use disk::{Disk, DiskFile, DiskLock, Space};
pub use dns::{Dns, DnsError, Family, Found, Located, MailExchanger, ServiceHost, Tlsa};
pub use machine::{Machine, Memory};
pub use network::{Listener, Network, Stream};
pub use random::Random;

use std::sync::Arc;

/// The outside world, as one value that is cheap to clone and is handed down to everybody.
#[derive(Clone)]
pub struct Env {
    /// What time it is, and waiting.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
    /// TCP.
    pub network: Arc<dyn Network>,
    /// Host names, mail exchangers, texts.
    pub dns: Arc<dyn Dns>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Memory.
    pub machine: Arc<dyn Machine>,
}
