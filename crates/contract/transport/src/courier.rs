//! Mail to other servers: what the queue asks of whoever speaks SMTP to the outside.
//!
//! The transport service decides where a message goes ([`NextHop`]), when, and what becomes of an
//! answer; a [`Courier`] finds the hosts, connects, negotiates and transfers. One [`Conversation`]
//! is one SMTP session, used for as many messages as both sides like.

use crate::Recipient;
use async_trait::async_trait;
use base::{Address, Deadline, QueueId, Result};
use bytes::Bytes;
use contract_blob::{ByteStream, Content};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Where a message goes next. Messages with an equal next hop share a queue and connections.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct NextHop {
    /// The name of the send connector that is used, folded.
    pub connector: String,
    /// Which hosts.
    pub destination: Destination,
    /// Whether it is to be there rather than safe (`TLS-Required: No`, RFC 8689 §3; reports on TLS
    /// itself, RFC 8460 §3): what the domain publishes about its hosts is not asked for. What the
    /// connector asks for is.
    pub ignores_policies: bool,
}

/// Which hosts take a message.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Destination {
    /// The mail exchangers of a domain (RFC 5321 §5.1), in ASCII, lower case.
    Domain(String),
    /// Fixed hosts, tried in this order.
    SmartHosts(Vec<Host>),
}

/// A smart host.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Host {
    /// A name or an address literal without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

/// How much encryption a connection needs (Exchange: RequireTLS and TlsAuthLevel). What a domain
/// publishes about its hosts raises the first two: DANE (RFC 7672) where DNSSEC vouches for it,
/// else MTA-STS (RFC 8461).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum TlsLevel {
    /// STARTTLS where it is offered, without looking at the certificate (RFC 7435).
    #[default]
    Opportunistic,
    /// STARTTLS, or the message waits; any certificate.
    Encryption,
    /// The certificate must be valid for a known authority.
    Certificate,
    /// The certificate must be valid and name the host, or the domain that is given.
    Domain,
    /// The host must publish TLSA records that DNSSEC vouches for, and its certificate be what they
    /// say (RFC 7672).
    Dane,
}

/// How a connector talks to its hosts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// What is said in EHLO; the node's host name if `None`.
    pub helo: Option<String>,
    /// The port of mail exchangers; smart hosts have their own.
    pub port: u16,
    /// How much encryption.
    pub tls: TlsLevel,
    /// Which name a certificate must have under [`TlsLevel::Domain`]; the host's if `None`.
    pub tls_domain: Option<String>,
    /// TLS from the first byte (RFC 8314), as on port 465.
    pub implicit_tls: bool,
    /// User name and password (AUTH), given only under TLS.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for Manner {
    /// Without the password: this is what logs show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        f.debug_struct("Manner")
            .field("helo", &self.helo)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("tls_domain", &self.tls_domain)
            .field("implicit_tls", &self.implicit_tls)
            .field("user", &user)
            .finish()
    }
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            helo: None,
            port: 25,
            tls: TlsLevel::default(),
            tls_domain: None,
            implicit_tls: false,
            credentials: None,
        }
    }
}

/// One message for one next hop.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its name, for logs.
    pub queue: QueueId,
    /// MAIL FROM; `None` for the null sender.
    pub sender: Option<Address>,
    /// Whom to name in RCPT TO, with their DSN parameters; at most what one envelope may have.
    pub recipients: Vec<Recipient>,
    /// The message, trace headers in front, lines ended by CRLF.
    pub content: Content,
    /// Bytes of `content`.
    pub size_bytes: u64,
    /// Whether it has bytes above 127 in headers or body.
    pub is_8bit: bool,
    /// Whether its headers or addresses need SMTPUTF8 (RFC 6531).
    pub needs_smtputf8: bool,
    /// ENVID, decoded.
    pub envelope_id: Option<String>,
    /// RET=HDRS.
    pub return_headers_only: bool,
    /// It may only go where TLS is sure and stays so (REQUIRETLS, RFC 8689).
    pub require_tls: bool,
    /// How many bytes at the beginning of `content` are signatures of ours, which are good for the
    /// message as it is only.
    pub signed_bytes: u64,
    /// Signs what is sent where the message has to be converted for a host.
    pub signer: Signer,
}

/// Signs a message in the form in which it leaves.
#[async_trait]
pub trait Resign: Send + Sync {
    /// The fields to put in front of a message; empty if nobody here vouches for it. Reads all of
    /// it.
    ///
    /// # Errors
    /// Where the message cannot be read.
    async fn sign(&self, message: ByteStream) -> Result<Bytes>;
}

/// Who signs a message that is converted on its way, if anybody does.
#[derive(Clone, Default)]
pub struct Signer(pub Option<Arc<dyn Resign>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Signer" } else { "nobody" })
    }
}

/// An SMTP reply, or what stands for it where the far side could not give one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// `250`, `451`; 0 where there was none (a connection that broke).
    pub code: u16,
    /// Enhanced status code (RFC 3463), such as `4.7.1`; made from `code` where none was given.
    pub status: String,
    /// The first lines of the text, printable, bounded.
    pub text: String,
    /// Who said it: `mx.example.org [192.0.2.1]`; `None` where it is our own judgement.
    pub host: Option<String>,
}

/// What became of one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// The next hop is responsible now.
    Relayed {
        /// Its answer to the end of the message.
        answer: Answer,
        /// Whether it takes DSN requests over (RFC 3461 §5.2.1), so that we report nothing.
        speaks_dsn: bool,
    },
    /// Worth another attempt.
    Later(Answer),
    /// Never, as far as this next hop is concerned.
    Failed(Answer),
}

/// What came of one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transferred {
    /// A verdict for each recipient, in order.
    pub verdicts: Vec<Verdict>,
    /// Whether another message may follow in this conversation.
    pub may_go_on: bool,
}

/// Why there is no conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreachable {
    /// No host could be reached or wanted to talk; for all messages of the next hop, later.
    Later(Answer),
    /// There is no such domain, it takes no mail (RFC 7505), or it leads back to us.
    Never(Answer),
}

/// Whoever speaks SMTP to other servers.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// Finds the hosts of a next hop, tries them in their order of preference, and gets one to the
    /// point where MAIL can be said: connected, greeted, encrypted and signed in as `manner` asks.
    ///
    /// # Errors
    /// [`Unreachable`], by the deadline.
    async fn open(
        &self,
        hop: &NextHop,
        manner: &Manner,
        deadline: Deadline,
    ) -> std::result::Result<Box<dyn Conversation>, Unreachable>;
}

/// One SMTP session with a next hop. Dropping it closes the connection.
#[async_trait]
pub trait Conversation: Send + 'static {
    /// Transfers one message. What the far side does not answer in the times of RFC 5321
    /// §4.5.3.2 is [`Verdict::Later`]; only after its `250` to the end of data is a recipient
    /// [`Verdict::Relayed`].
    ///
    /// # Errors
    /// Where our own side fails: the message cannot be read. Nothing was relayed then.
    async fn transfer(&mut self, outgoing: &Outgoing) -> Result<Transferred>;

    /// Says QUIT and waits a moment for the answer.
    async fn quit(self: Box<Self>);

    /// With whom: `mx.example.org [192.0.2.1]`.
    fn host(&self) -> &str;
}
