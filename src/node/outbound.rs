//! `[outbound]`: how the node presents itself to other servers, and whom it asks for names. Which
//! mail goes where is for send connectors, which are in the store.

use super::config::read;
use access_relay::{Dnssec, Relay, Resolver};
use base::env::{Dns, Env};
use base::{Error, Result};
use contract_blob::Blobs;
use contract_transport::sts::StsPolicies;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// `[outbound]`.
#[derive(Deserialize, Serialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutboundSection {
    /// Name servers; those of `/etc/resolv.conf` where empty.
    pub dns_servers: Vec<SocketAddr>,
    /// Whether signatures are checked of what says where mail goes.
    pub dnssec: DnssecWord,
    /// The keys at which trust begins (DNSKEY records), in place of the Internet's.
    pub trust_anchors: Option<PathBuf>,
    /// Further names of this installation: mail whose best exchanger has one of them would come
    /// back to us.
    pub own_names: Vec<String>,
    /// Addresses at which this installation takes mail from outside, for the same check.
    pub own_addresses: Vec<IpAddr>,
    /// Certificate authorities (PEM) that count beside Mozilla's list.
    pub authorities: Option<PathBuf>,
    /// Whether exchangers of domains may have private and loopback addresses: for closed networks.
    pub local_exchangers: bool,
}

/// [`Dnssec`], as it is written in the file.
#[derive(Deserialize, Serialize, Debug, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DnssecWord {
    /// Where the name servers pass signatures on.
    #[default]
    Auto,
    /// Always.
    Require,
    /// Never.
    Off,
}

impl OutboundSection {
    /// Whoever speaks SMTP to other servers.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for authorities that cannot be read.
    pub(crate) fn courier(
        &self,
        host_name: &str,
        env: &Env,
        blobs: Arc<dyn Blobs>,
        policies: Arc<dyn StsPolicies>,
    ) -> Result<Arc<Relay>> {
        let config = access_relay::Config {
            host_name: host_name.to_owned(),
            own_names: self.own_names.clone(),
            own_addresses: self.own_addresses.clone(),
            extra_authorities: self.authorities()?,
            local_exchangers: self.local_exchangers,
        };
        let env = Env { dns: self.checked_names(env)?, ..env.clone() };
        Ok(Arc::new(Relay::with_policies(config, env, blobs, policies)?))
    }

    /// The text of the file with further authorities; empty where there is none.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], naming the file.
    fn authorities(&self) -> Result<String> {
        let Some(path) = &self.authorities else { return Ok(String::new()) };
        String::from_utf8(read(path)?)
            .map_err(|_| Error::invalid(format!("{} is no PEM file", path.display())))
    }

    /// Whom to ask for names of which nobody must be certain.
    pub(crate) fn names(&self, env: &Env) -> Arc<dyn Dns> {
        Self::asked(env, Resolver::new(&self.dns_servers))
    }

    /// Whom to ask where mail goes: with DNSSEC, as it is set.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for trust anchors that cannot be read.
    pub(crate) fn checked_names(&self, env: &Env) -> Result<Arc<dyn Dns>> {
        let anchors = match &self.trust_anchors {
            Some(path) => String::from_utf8_lossy(&read(path)?).into_owned(),
            None => String::new(),
        };
        access_relay::check_anchors(&anchors)?;
        let dnssec = match self.dnssec {
            DnssecWord::Auto => Dnssec::Auto(anchors),
            DnssecWord::Require => Dnssec::Require(anchors),
            DnssecWord::Off => Dnssec::Off,
        };
        Ok(Self::asked(env, Resolver::with_dnssec(&self.dns_servers, &dnssec)))
    }

    /// A machine without name servers sends to smart hosts all the same.
    fn asked(env: &Env, resolver: Result<Resolver>) -> Arc<dyn Dns> {
        match resolver {
            Ok(resolver) => Arc::new(resolver),
            Err(error) => {
                tracing::warn!(%error, "mail exchangers cannot be looked up");
                env.dns.clone()
            }
        }
    }
}
