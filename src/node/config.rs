//! The bootstrap file: only what must be known before the store can be read. Everything else is
//! in the store.

use crate::cli::StoreKind;
use access_listener::{ListenerConfig, TlsMode};
use base::{Error, Result};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A node's configuration.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// The node.
    pub node: NodeSection,
    /// Its store.
    #[serde(default)]
    pub store: StoreSection,
    /// Its certificate.
    pub tls: Option<TlsFiles>,
    /// The health and metrics port.
    pub health: Option<Health>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// What it listens on.
    #[serde(rename = "listener", default)]
    pub listeners: Vec<ListenerSection>,
    /// A deliberate fault, for chaos-tests.
    #[cfg(feature = "mutants")]
    #[serde(skip)]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// `[node]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeSection {
    /// For logs.
    pub name: String,
    /// The name it greets with and writes into trace headers.
    pub host_name: String,
    /// Where it keeps its state.
    pub data: PathBuf,
}

/// `[store]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSection {
    /// Which store.
    pub kind: StoreKind,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self { kind: StoreKind::Embedded }
    }
}

/// `[tls]`: PEM files.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// The chain, the node's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], naming the file.
    pub(crate) fn read(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        Ok((read(&self.certificate)?, read(&self.key)?))
    }
}

/// `[health]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// Where it listens.
    pub address: SocketAddr,
}

/// `[limits]`.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Whether clients on this machine are free of limits per source and of the tarpit.
    pub loopback_exempt: bool,
    /// How many messages one account may submit a minute; no limit where it is 0.
    #[serde(deserialize_with = "zero_is_none")]
    pub submissions_per_minute: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        let submissions_per_minute = Some(access_smtp::config::SUBMISSIONS_PER_MINUTE);
        Self { loopback_exempt: false, submissions_per_minute }
    }
}

fn zero_is_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let count = u32::deserialize(from)?;
    Ok((count > 0).then_some(count))
}

/// What a listener speaks.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// Mail from other servers.
    Smtp,
    /// Mail from our people.
    Submission,
    /// Reading.
    Imap,
}

/// `[[listener]]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerSection {
    /// For logs and metrics.
    pub name: String,
    /// Where.
    pub address: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// When connections are encrypted.
    pub tls: TlsMode,
    /// How many connections; the default of the listener where absent.
    pub connections_max: Option<usize>,
    /// How many from one source.
    pub per_source_max: Option<usize>,
    /// How many from one neighbourhood.
    pub per_network_max: Option<usize>,
}

/// How many connections of people may come from one address.
const PEOPLE_PER_SOURCE_MAX: usize = 1_000;

/// How many connections of people may come from one neighbourhood.
const PEOPLE_PER_NETWORK_MAX: usize = 4_000;

impl ListenerSection {
    /// What the listener is started with.
    pub(crate) fn config(&self, limits: &Limits) -> ListenerConfig {
        let section = self;
        let mut config = ListenerConfig::new(section.name.clone(), section.address, section.tls);
        config.loopback_exempt = limits.loopback_exempt;
        if section.protocol != Protocol::Smtp {
            // The defaults are a receive connector's. People share addresses: a whole office may
            // be behind one, with several sessions each.
            config.per_source_max = PEOPLE_PER_SOURCE_MAX;
            config.per_network_max = PEOPLE_PER_NETWORK_MAX;
        }
        if let Some(count) = section.connections_max {
            config.connections_max = count;
        }
        if let Some(count) = section.per_source_max {
            config.per_source_max = count;
        }
        if let Some(count) = section.per_network_max {
            config.per_network_max = count;
        }
        config
    }
}

impl NodeConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], naming file, line and what is wrong; unknown keys are wrong.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::invalid(format!("{} is not UTF-8", path.display())))?;
        toml::from_str(&text)
            .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
    }

    /// Checks what a parser cannot: that it makes sense as a whole, and that files are there.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], naming what is wrong.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(files) = &self.tls {
            files.read()?;
        }
        for (place, listener) in self.listeners.iter().enumerate() {
            let name = &listener.name;
            if self.tls.is_none() && listener.tls != TlsMode::None {
                let text = format!("listener \"{name}\" needs a certificate: add [tls]");
                return Err(Error::invalid(text));
            }
            let earlier = &self.listeners[..place];
            if earlier.iter().any(|other| other.address == listener.address) {
                let text = format!("listener \"{name}\": another listens on {}", listener.address);
                return Err(Error::invalid(text));
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(), &str>) {
        let path = std::env::temp_dir().join(format!("rialto-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let found = NodeConfig::read(&path).and_then(|config| config.check());
        match (found, expect) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => {
                assert!(error.text.contains(part), "{error} does not tell of {part:?}");
            }
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let node = "[node]\nname = \"n\"\nhost_name = \"h.example\"\ndata = \"/tmp/x\"\n";
        check(node, Ok(()));
        check(&format!("{node}speed = 9\n"), Err("line 5"));
        check("[node]\nname = 1\n", Err("line 2"));
        let listener = "[[listener]]\nname = \"imaps\"\naddress = \"127.0.0.1:993\"\n\
                        protocol = \"imap\"\ntls = \"implicit\"\n";
        check(&format!("{node}{listener}"), Err("needs a certificate"));
        let plain = listener.replace("implicit", "none");
        check(&format!("{node}{plain}{plain}"), Err("another listens on"));
        check(&format!("{node}[tls]\ncertificate=\"/no/c\"\nkey=\"/no/k\"\n"), Err("/no/c"));
    }
}
