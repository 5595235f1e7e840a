//! Where probes go: the listeners of every node, and whom their certificates must be signed by.

use super::super::dev::NodeFiles;
use super::choose::Chosen;
use crate::cli::DrillArguments;
use crate::client::Client;
use crate::node::{Protocol, certificates};
use access_listener::TlsMode;
use base::{Error, Result};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// The authorities that Debian trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where one node's clients connect, `host:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The node's name.
    pub(super) node: String,
    /// Submission over TLS.
    pub(super) submission: String,
    /// IMAP over TLS.
    pub(super) imap: String,
}

/// All places.
pub(super) struct Places {
    pub(super) all: Vec<Place>,
    /// Whether the nodes are those of `rialto dev` in the data directory.
    pub(super) is_dev: bool,
    pub(super) tls: TlsConnector,
    nodes: Vec<NodeFiles>,
}

impl Places {
    /// Those of the arguments; in a directory of `rialto dev`, those of its nodes.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if there are none, or no authority can be read.
    pub(super) fn find(arguments: &DrillArguments) -> Result<Self> {
        let data = &arguments.reach.data;
        let nodes = NodeFiles::all(data);
        let is_dev = !nodes.is_empty();
        let all: Vec<Place> = match arguments.probes.is_empty() {
            false => arguments.probes.iter().map(|text| parse(text)).collect::<Result<_>>()?,
            true => nodes.iter().map(of_dev).collect::<Result<_>>()?,
        };
        if all.is_empty() {
            let text = "Where do clients connect? --probe NODE=HOST:465,HOST:993 for each node";
            return Err(Error::invalid(text));
        }
        let dev_authority = data.join(certificates::CA_FILE);
        let authority = match &arguments.ca {
            Some(file) => file.clone(),
            None if is_dev => dev_authority,
            None => PathBuf::from(SYSTEM_AUTHORITIES),
        };
        Ok(Self { all, is_dev, tls: connector(&authority)?, nodes })
    }

    /// Whom to ask how the cluster is: a node that does not fail, where there is a choice.
    pub(super) fn watcher(&self, chosen: &Chosen, data: &Path) -> Client {
        let failing = chosen.names();
        let other = self.nodes.iter().find(|node| !failing.contains(&node.name));
        Client::new(other.map_or(data, |node| &node.dir))
    }

    /// How a person starts a node of `rialto dev` again.
    pub(super) fn command(&self, name: &str) -> String {
        let node = self.nodes.iter().find(|node| node.name == name);
        node.map(|node| format!("  {}", node.command())).unwrap_or_default()
    }
}

/// `NODE=HOST:PORT,HOST:PORT`.
fn parse(text: &str) -> Result<Place> {
    let wrong = || {
        let text = text.escape_debug();
        Error::invalid(format!("--probe: \"{text}\" is not NODE=HOST:PORT,HOST:PORT"))
    };
    let (node, places) = text.split_once('=').ok_or_else(wrong)?;
    let (submission, imap) = places.split_once(',').ok_or_else(wrong)?;
    if node.is_empty() || host(submission).is_err() || host(imap).is_err() {
        return Err(wrong());
    }
    let (submission, imap) = (submission.to_owned(), imap.to_owned());
    Ok(Place { node: node.to_owned(), submission, imap })
}

/// The name that a server's certificate must have.
pub(super) fn host(place: &str) -> Result<ServerName<'static>> {
    let wrong = || Error::invalid(format!("\"{}\" is not HOST:PORT", place.escape_debug()));
    let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| wrong())
}

/// The listeners of a node of `rialto dev` that use TLS from the first byte.
fn of_dev(node: &NodeFiles) -> Result<Place> {
    let config = node.read_config()?;
    let find = |protocol: Protocol| {
        let listener = config
            .listeners
            .iter()
            .find(|found| found.protocol == protocol && found.tls == TlsMode::Implicit);
        let listener = listener.ok_or_else(|| {
            let word = protocol.word();
            Error::invalid(format!("{}: no listener for {word} over TLS", node.config.display()))
        });
        Ok::<_, Error>(listener?.address.to_string())
    };
    Ok(Place {
        node: config.node.name.clone(),
        submission: find(Protocol::Submission)?,
        imap: find(Protocol::Imap)?,
    })
}

fn connector(authority: &Path) -> Result<TlsConnector> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::invalid(format!("--ca {}: {error}", authority.display()))
    };
    let pem = std::fs::read(authority).map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        // A list of many may hold some that this library cannot use.
        roots.add_parsable_certificates([certificate.map_err(|error| wrong(&error))?]);
    }
    if roots.is_empty() {
        return Err(wrong(&"no certificate in PEM"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let check = |text: &str, expected: Option<[&str; 3]>| {
            let expected = expected.map(|[node, submission, imap]| Place {
                node: node.into(),
                submission: submission.into(),
                imap: imap.into(),
            });
            assert_eq!(parse(text).ok(), expected, "{text}");
        };
        check("a=mail1.example:465,10.0.0.1:993", Some(["a", "mail1.example:465", "10.0.0.1:993"]));
        check("a=[::1]:465,[::1]:993", Some(["a", "[::1]:465", "[::1]:993"]));
        check("a=mail1.example:465", None);
        check("a=mail1.example,mail1.example:993", None);
        check("=x:1,x:2", None);
        check("a=x:1,x:99999", None);
        check("x:1,x:2", None);
    }
}
