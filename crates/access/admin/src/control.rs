//! What only the node itself knows or can do, and administration offers: what it listens on, its
//! certificate, its store.

use async_trait::async_trait;
use base::Result;
use serde::{Deserialize, Serialize};

/// A node, as its administration sees it; the binary implements it.
#[async_trait]
pub trait NodeControl: Send + Sync + 'static {
    /// What the node is, and what it listens on.
    fn about(&self) -> NodeAbout;

    /// The certificate that listeners present; `None` without one.
    fn certificate(&self) -> Option<CertificateView>;

    /// Reads the certificate's files again; new connections use what they hold. With `what_if`
    /// only tells.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if the files cannot be used; then the old one stays.
    async fn reload_certificate(&self, what_if: bool) -> Result<CertificateView>;

    /// Begins to copy the whole store; writing stops until the copy fails or the node ends. With
    /// `what_if` only looks whether it could begin. [`NodeControl::store_job`] tells how it goes.
    ///
    /// # Errors
    /// [`base::Kind::Conflict`] while another job runs, [`base::Kind::Invalid`] for a target that
    /// is none.
    async fn copy_store(&self, order: CopyOrder, what_if: bool) -> Result<StoreJob>;

    /// Begins to read everything that is stored and check it.
    ///
    /// # Errors
    /// [`base::Kind::Conflict`] while another job runs.
    async fn verify_store(&self) -> Result<StoreJob>;

    /// The job that runs, or the last one that did.
    fn store_job(&self) -> Option<StoreJob>;
}

/// What a node is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeAbout {
    /// Its name in its configuration.
    pub name: String,
    /// The name it greets with.
    pub host_name: String,
    /// Its binary's version.
    pub version: String,
    /// Where clients reach it.
    pub listeners: Vec<ListenerView>,
}

/// A listener, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListenerView {
    /// Its name in the configuration.
    pub name: String,
    /// Where it listens, `address:port`.
    pub address: String,
    /// `smtp`, `submission`, `imap` or `pop3`.
    pub protocol: String,
    /// `starttls`, `implicit` or `none`.
    pub tls: String,
}

/// A certificate, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CertificateView {
    /// Its file.
    pub file: String,
    /// The names and addresses it is for.
    pub names: Vec<String>,
    /// From when it is good.
    pub not_before: String,
    /// Until when it is good.
    pub not_after: String,
    /// How many whole days are left; negative when it has run out.
    pub days_left: i64,
    /// SHA-256 of its public key (SubjectPublicKeyInfo) in hexadecimal, as a TLSA record `3 1 1`
    /// has it (RFC 6698 §2.1).
    pub public_key_sha256: String,
}

/// What is to be copied where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyOrder {
    /// The target: `embedded:DIR`, `foundationdb:CLUSTER_FILE?prefix=…`.
    pub to: String,
    /// Throw away an unfinished copy that is there.
    #[serde(default)]
    pub anew: bool,
}

/// How a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It is at work.
    Running,
    /// It has come to its end, and all is well.
    Done,
    /// It has ended, and something is wrong.
    Failed,
}

/// Long work on the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoreJob {
    /// What it does: `copy` or `verify`.
    pub what: String,
    /// How it stands.
    pub state: JobState,
    /// A sentence for people: how far it has come, what came of it.
    pub text: String,
    /// What was found wrong.
    #[serde(default)]
    pub problems: Vec<String>,
}
