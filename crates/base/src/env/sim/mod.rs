//! The simulated twins: everything in memory, decided by a seed and by the test.
//!
//! A [`Simulation`] keeps the handles with which a test stops the clock, cuts the network or the
//! power; [`Simulation::env`] is what the code under test gets.

mod clock;
mod disk;
mod disk_file;
mod dns;
mod machine;
mod network;
mod random;
mod stream;

pub use clock::SimClock;
pub use disk::{DiskEvent, SimDisk};
pub use dns::SimDns;
pub use machine::SimMachine;
pub use network::SimNetwork;
pub use random::{SeededRandom, test_seed};

use super::Env;
use std::net::IpAddr;
use std::sync::Arc;

/// One simulated world.
#[derive(Clone)]
pub struct Simulation {
    /// Its time.
    pub clock: SimClock,
    /// Its randomness.
    pub random: Arc<SeededRandom>,
    /// Its network, seen from the host 127.0.0.1.
    pub network: SimNetwork,
    /// Its host names and mail exchangers.
    pub dns: SimDns,
    /// The disk of its first machine.
    pub disk: SimDisk,
    /// The memory of its first machine.
    pub machine: SimMachine,
}

impl Simulation {
    /// A world in which everything random follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            clock: SimClock::default(),
            random: Arc::new(SeededRandom::new(seed)),
            network: SimNetwork::default(),
            dns: SimDns::default(),
            disk: SimDisk::default(),
            machine: SimMachine::default(),
        }
    }

    /// What a program on the first machine sees.
    pub fn env(&self) -> Env {
        Env {
            clock: Arc::new(self.clock.clone()),
            random: self.random.clone(),
            network: Arc::new(self.network.clone()),
            dns: Arc::new(self.dns.clone()),
            disk: Arc::new(self.disk.clone()),
            machine: Arc::new(self.machine.clone()),
        }
    }

    /// What a program on another machine sees, which has an address and a disk of its own.
    pub fn env_at(&self, host: IpAddr, disk: &SimDisk) -> Env {
        let network = Arc::new(self.network.at(host));
        Env { network, disk: Arc::new(disk.clone()), ..self.env() }
    }
}

impl Env {
    /// A simulated world of which the test needs no handles.
    pub fn simulated(seed: u64) -> Self {
        Simulation::new(seed).env()
    }
}
