//! What an operator may set.

use std::net::IpAddr;

/// What follows from a failure that its domain wants acted upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Action {
    /// What the domain asks for: refusing, or Junk Email.
    #[default]
    Enforce,
    /// Nothing is refused; what would be goes to Junk Email.
    Quarantine,
    /// Nothing; the results are written down.
    Report,
}

/// How mail is checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The name under which results are written: the server's own.
    pub host_name: String,
    /// Further names of this installation, under which nobody else may write results either.
    pub own_names: Vec<String>,
    /// What DMARC policies of others lead to.
    pub dmarc: Action,
    /// What a hard SPF failure leads to where DMARC has nothing to say. Reporting is usual: mail
    /// that is forwarded fails.
    pub spf: Action,
    /// Whether clients on the machine itself are trusted.
    pub trusts_loopback: bool,
}

impl Config {
    /// The defaults, for a server of this name.
    pub fn new(host_name: impl Into<String>) -> Self {
        Self {
            host_name: host_name.into(),
            own_names: Vec::new(),
            dmarc: Action::Enforce,
            spf: Action::Report,
            trusts_loopback: true,
        }
    }

    /// Whether mail from there is taken as it is.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusts_loopback && address.to_canonical().is_loopback()
    }
}
