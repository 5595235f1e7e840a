//! Who is measured: Rialto, and the peer in two configurations.

use super::peer::{self, Peer};
use super::{ImapClient, Memory, Node, SINK, Scratch, SmtpClient, message, node, shown};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contender {
    Rialto,
    PeerDefault,
    PeerTuned,
}

impl Contender {
    /// A fresh server with empty mailboxes user1 … userN.
    pub async fn start(self, users: u64) -> Server {
        let data = Scratch::new(match self {
            Self::Rialto => "rialto",
            Self::PeerDefault => "peer-default",
            Self::PeerTuned => "peer-tuned",
        });
        match self {
            Self::Rialto => {
                let node = Node::start(data.path(), users).await;
                let endpoint = Endpoint::of_node(data.path());
                Server { endpoint, node: Some(node), peer: None, data }
            }
            Self::PeerDefault | Self::PeerTuned => {
                let kind = if self == Self::PeerTuned { "tuned" } else { "default" };
                let peer = Peer::start(kind, data.path(), users).await;
                let certificate = data.path().join("cert.pem");
                let endpoint = Endpoint::new(peer::SMTP, peer::IMAPS, &certificate);
                Server { endpoint, node: None, peer: Some(peer), data }
            }
        }
    }
}

/// A running contender.
pub struct Server {
    pub endpoint: Endpoint,
    /// Where it is Rialto.
    pub node: Option<Node>,
    peer: Option<Peer>,
    data: Scratch,
}

impl Server {
    /// Sessions of user1 … userN, whose Inboxes have one message each: what a mailbox's very first
    /// message costs is not measured. (With sdbox Dovecot even loses its way for a minute when
    /// several first messages come at once.)
    pub async fn warm(&self, users: u64) -> Vec<ImapClient> {
        let mut smtp = SmtpClient::connect(&self.endpoint).await;
        for user in 1..=users {
            smtp.deliver(&format!("user{user}@rialto.test"), &message(1_000, user)).await;
        }
        let mut sessions = self.sign_in(users).await;
        for session in &mut sessions {
            shown(session, 1).await;
        }
        sessions
    }

    /// Sessions of user1 … userN.
    pub async fn sign_in(&self, users: u64) -> Vec<ImapClient> {
        let mut sessions = Vec::new();
        for user in 1..=users {
            sessions.push(ImapClient::connect(&self.endpoint, &format!("user{user}")).await);
        }
        sessions
    }

    /// Waits until the Inboxes of sessions show so many messages each.
    pub async fn shown(&self, sessions: &mut [ImapClient], wanted: &[u64]) {
        for (session, wanted) in sessions.iter_mut().zip(wanted) {
            shown(session, *wanted).await;
        }
    }

    /// The processes that serve IMAP.
    pub fn imap_memory(&self) -> Memory {
        match (&self.node, &self.peer) {
            (Some(node), _) => Memory(vec![node.pid()]),
            (None, Some(peer)) => peer.imap_memory(),
            (None, None) => Memory(Vec::new()),
        }
    }

    /// Where its data is.
    pub fn path(&self) -> &Path {
        self.data.path()
    }

    /// A verb of the command line; only where it is Rialto.
    pub async fn verb(&self, words: &[&str]) {
        node::verb(self.data.path(), words).await;
    }

    /// Mail for all other domains goes to the sink. The peers' configurations say so already.
    pub async fn relay_to_sink(&self) {
        if self.node.is_none() {
            return;
        }
        let host = format!("127.0.0.1:{SINK}");
        self.verb(&["connector", "send", "new", "sink", "--space", "*", "--host", &host]).await;
        self.lets_relay().await;
    }

    /// The clients of the benchmark may send to everybody; only where it is Rialto.
    pub async fn lets_relay(&self) {
        let receive = ["connector", "receive", "new", "bench", "--binding", "server"];
        self.verb(&[&receive[..], &["--range", "127.0.0.1", "--permission", "relay"]].concat())
            .await;
        // Every node knows of it within a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// Ends it and removes its data.
    pub async fn stop(self) {
        if let Some(node) = self.node {
            node.kill().await;
        }
        drop(self.peer);
        drop(self.data);
    }
}

/// Where a server listens.
#[derive(Clone)]
pub struct Endpoint {
    pub smtp: u16,
    pub imaps: u16,
    pub tls: TlsConnector,
}

impl Endpoint {
    /// Of a node with this data directory.
    pub fn of_node(data: &Path) -> Self {
        Self::new(node::PORTS + 25, node::PORTS + 993, &data.join("ca.pem"))
    }

    fn new(smtp: u16, imaps: u16, trusted: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(trusted).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { smtp, imaps, tls: TlsConnector::from(Arc::new(config)) }
    }
}
