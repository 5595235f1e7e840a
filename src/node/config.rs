//! The bootstrap file: only what must be known before the store can be read. Everything else is
//! in the store.

use super::authentication::AuthenticationSection;
use super::outbound::OutboundSection;
use super::store::StorePlace;
use crate::cli::StoreKind;
use access_listener::{ListenerConfig, ProxyProtocol, TlsMode};
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use service_transport::PressureConfig;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A node's configuration.
#[derive(Deserialize, Serialize, Debug)]
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
    /// Its cluster; alone where absent.
    pub cluster: Option<ClusterSection>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Towards other servers.
    #[serde(default)]
    pub outbound: OutboundSection,
    /// Who mail from other servers is from.
    #[serde(default)]
    pub authentication: AuthenticationSection,
    /// When mail waits for what the node is short of.
    #[serde(default)]
    pub pressure: PressureConfig,
    /// What it listens on.
    #[serde(rename = "listener", default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerSection>,
    /// The file that it was read from.
    #[serde(skip)]
    pub file: Option<ConfigFile>,
    /// A deliberate fault, for chaos-tests.
    #[cfg(feature = "mutants")]
    #[serde(skip)]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// A configuration file, to tell where in it something is wrong.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Its name.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// `[node]`.
#[derive(Deserialize, Serialize, Debug)]
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
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSection {
    /// Which store.
    pub kind: StoreKind,
    /// Of FoundationDB: the file that names the coordinators.
    pub cluster_file: Option<PathBuf>,
    /// Of FoundationDB: what all keys begin with, so that several installations can share a
    /// cluster.
    #[serde(default)]
    pub key_prefix: String,
    /// Of FoundationDB: the client library.
    pub library: Option<PathBuf>,
}

impl Default for StoreSection {
    fn default() -> Self {
        let (cluster_file, library) = (None, None);
        Self { kind: StoreKind::Embedded, cluster_file, key_prefix: String::new(), library }
    }
}

/// `[tls]`: PEM files.
#[derive(Deserialize, Serialize, Debug, Clone)]
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
#[derive(Deserialize, Serialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// Where it listens.
    pub address: SocketAddr,
}

/// `[limits]`.
#[derive(Deserialize, Serialize, Debug, Clone)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Whether clients on this machine are free of limits per source and of the tarpit.
    pub loopback_exempt: bool,
    /// How many messages one account may submit a minute; no limit where it is 0.
    #[serde(deserialize_with = "zero_is_none", serialize_with = "none_is_zero")]
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

fn none_is_zero<S: serde::Serializer>(count: &Option<u32>, to: S) -> Result<S::Ok, S::Error> {
    count.unwrap_or(0).serialize(to)
}

/// `[cluster]`: the node's place in a cluster. The store must be one that machines share.
#[derive(Deserialize, Serialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterSection {
    /// Where links of other nodes arrive.
    pub listen: SocketAddr,
    /// Where the others reach it, if that is not `listen`.
    pub address: Option<SocketAddr>,
    /// Its share of the slots relative to the others'; counts when it founds or joins the cluster.
    #[serde(default = "usual_weight")]
    pub weight: u32,
}

/// The weight of a node whose configuration names none.
pub(crate) const WEIGHT: u32 = 100;

fn usual_weight() -> u32 {
    WEIGHT
}

impl ClusterSection {
    /// Where the others reach the node's links.
    pub(crate) fn advertised(&self) -> SocketAddr {
        self.address.unwrap_or(self.listen)
    }
}

/// What a listener speaks.
#[derive(Deserialize, Serialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// Mail from other servers.
    Smtp,
    /// Mail from our people.
    Submission,
    /// Reading.
    Imap,
    /// Fetching.
    Pop3,
}

/// `[[listener]]`.
#[derive(Deserialize, Serialize, Debug)]
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
    /// Load balancers whose PROXY header is believed, and required.
    pub proxy_protocol: Option<ProxyProtocol>,
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
        config.proxy_protocol = section.proxy_protocol.clone();
        config
    }
}

impl Protocol {
    /// As it is written in the file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
        }
    }
}

impl NodeConfig {
    /// The text of a file that says the same.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if a path is no text.
    pub(crate) fn to_text(&self) -> Result<String> {
        toml::to_string(self).map_err(Error::internal)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], naming file, line and what is wrong; unknown keys are wrong.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::invalid(format!("{} is not UTF-8", path.display())))?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
        config.file = Some(ConfigFile { path: path.to_owned(), text });
        Ok(config)
    }

    /// Where there must be room on the disk.
    pub(crate) fn room(&self) -> PathBuf {
        self.store_place().embedded_dir().unwrap_or_else(|| self.node.data.clone())
    }

    /// Where the store is.
    pub(crate) fn store_place(&self) -> StorePlace {
        let StoreSection { kind, cluster_file, key_prefix, library } = &self.store;
        match kind {
            StoreKind::Embedded => StorePlace::Embedded { data: self.node.data.clone() },
            StoreKind::Foundationdb => StorePlace::FoundationDb {
                cluster_file: cluster_file.clone(),
                key_prefix: key_prefix.clone(),
                library: library.clone(),
            },
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}
