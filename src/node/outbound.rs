//! `[outbound]`: how the node presents itself to other servers, and whom it asks for names. Which
//! mail goes where is for send connectors, which are in the store.

use super::config::read;
use access_relay::{Relay, Resolver};
use base::env::{Dns, Env};
use base::{Error, Result};
use contract_blob::Blobs;
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
    ) -> Result<Arc<Relay>> {
        let config = access_relay::Config {
            host_name: host_name.to_owned(),
            own_names: self.own_names.clone(),
            own_addresses: self.own_addresses.clone(),
            extra_authorities: self.authorities()?,
            local_exchangers: self.local_exchangers,
        };
        let env = Env { dns: self.names(env), ..env.clone() };
        Ok(Arc::new(Relay::new(config, env, blobs)?))
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

    /// A machine without name servers sends to smart hosts all the same.
    pub(crate) fn names(&self, env: &Env) -> Arc<dyn Dns> {
        match Resolver::new(&self.dns_servers) {
            Ok(resolver) => Arc::new(resolver),
            Err(error) => {
                tracing::warn!(%error, "mail exchangers cannot be looked up");
                env.dns.clone()
            }
        }
    }
}
