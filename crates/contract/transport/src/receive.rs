//! Receive connectors: who may send what through which listener (Exchange: ReceiveConnector).
//!
//! ```text
//! listener (role, address) + client ─▶ ReceiveTable::choose ─▶ the connector of the session
//!                                      smallest range, then closest binding
//! ```
//!
//! The sockets are a matter of each node's bootstrap file; connectors hold for all nodes. There
//! are always two, called after the roles of listeners ([`ReceiveConnector::of_role`]).

mod change;
mod limit;
mod range;
mod table;

pub use change::ReceiveChange;
pub use limit::{LIMITS, Limit, Limits};
pub use range::AddressRange;
pub use table::ReceiveTable;

use crate::connector::{check_name, is_host};
use async_trait::async_trait;
use base::{Error, Result};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// How many receive connectors there may be beside the default ones.
pub const RECEIVE_CONNECTORS_MAX: usize = 100;

/// The most bindings and ranges of one connector. With the number of connectors they bound what
/// choosing costs.
const BINDINGS_MAX: usize = 32;
const RANGES_MAX: usize = 200;

/// The longest banner, in bytes: a line of SMTP has room for it (RFC 5321 §4.5.3.1.5).
const BANNER_BYTES_MAX: usize = 200;

/// Whom a listener is for.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Other mail servers.
    #[default]
    Server,
    /// Our people's mail programs (RFC 6409).
    Submission,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Server, Self::Submission];

    /// As people write it; the name of its default connector.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Submission => "submission",
        }
    }
}

/// A listener, as far as connectors are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenerPlace {
    /// Whom it is for.
    pub role: Role,
    /// Where it listens, as its node's configuration says.
    pub address: SocketAddr,
}

/// Which listeners a connector is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Binding {
    /// All of a role.
    Role(Role),
    /// All at a port.
    Port(u16),
    /// Those at exactly this address.
    Address(SocketAddr),
}

impl Binding {
    /// How closely this describes a listener: greater is closer, `None` is not at all.
    pub fn fits(&self, listener: ListenerPlace) -> Option<u8> {
        match self {
            Self::Role(role) => (*role == listener.role).then_some(0),
            Self::Port(port) => (*port == listener.address.port()).then_some(1),
            Self::Address(address) => (*address == listener.address).then_some(2),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => f.write_str(role.word()),
            Self::Port(port) => write!(f, "{port}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl FromStr for Binding {
    type Err = Error;

    /// # Errors
    /// [`base::Kind::Invalid`], with the text.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(role) = Role::ALL.into_iter().find(|role| role.word() == text) {
            return Ok(Self::Role(role));
        }
        let port = text.parse().ok().filter(|port| *port != 0).map(Self::Port);
        let address = || text.parse().ok().filter(|at: &SocketAddr| at.port() != 0);
        port.or_else(|| address().map(Self::Address)).ok_or_else(|| {
            let shown = text.escape_debug();
            let text = format!(
                "\"{shown}\" is no binding: \"server\", \"submission\", a port, or ADDRESS:PORT"
            );
            Error::invalid(text)
        })
    }
}

/// How people may sign in. Always under TLS only (RFC 4954 §9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which some programs need.
    Login,
}

impl Mechanism {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Login];

    /// Its name in AUTH.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// Who may send through a connector, and what (Exchange: PermissionGroups).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Permissions {
    /// Anybody, to our recipients and those of the domains that we relay for.
    pub anonymous: bool,
    /// Who signed in, as themselves, to everybody.
    pub users: bool,
    /// Servers of partners: as anybody, but under TLS, and nobody makes them wait.
    pub partners: bool,
    /// Servers of our own, which have checked their senders: to everybody, groups for members of
    /// the organisation among them, and nobody makes them wait.
    pub servers: bool,
    /// Anybody, to everybody: printers and the like, by their addresses.
    pub relay: bool,
}

impl Permissions {
    /// None.
    pub const NONE: Self =
        Self { anonymous: false, users: false, partners: false, servers: false, relay: false };

    /// The groups by the words that people write.
    pub fn words(&self) -> Vec<&'static str> {
        let Self { anonymous, users, partners, servers, relay } = self;
        let all = [
            ("anonymous", anonymous),
            ("users", users),
            ("partners", partners),
            ("servers", servers),
            ("relay", relay),
        ];
        all.into_iter().filter(|(_, is_in)| **is_in).map(|(word, _)| word).collect()
    }

    /// Reads the words.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the word that is none.
    pub fn of_words<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self> {
        let mut found = Self::NONE;
        for word in words {
            *match word {
                "anonymous" => &mut found.anonymous,
                "users" => &mut found.users,
                "partners" => &mut found.partners,
                "servers" => &mut found.servers,
                "relay" => &mut found.relay,
                _ => {
                    let text = format!(
                        "\"{}\" is no permission group: anonymous, users, partners, servers, relay",
                        word.escape_debug()
                    );
                    return Err(Error::invalid(text));
                }
            } = true;
        }
        Ok(found)
    }
}

/// What a connector wants of encryption.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum TlsDemand {
    /// STARTTLS is not offered.
    None,
    /// It is offered where the listener has a certificate.
    #[default]
    Offered,
    /// Nothing can be sent without.
    Required,
}

/// A way into the organisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReceiveConnector {
    /// Its name: lower-case letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// Whether it is there for anybody.
    pub enabled: bool,
    /// Which listeners it is for.
    pub bindings: Vec<Binding>,
    /// For which clients. Of several connectors the one with the smallest range that contains the
    /// client is taken; of those the one that names the listener most closely.
    pub ranges: Vec<AddressRange>,
    /// How people may sign in; not at all where empty.
    pub auth: Vec<Mechanism>,
    /// Who may send.
    pub permissions: Permissions,
    /// What it wants of encryption.
    pub tls: TlsDemand,
    /// What stands behind the name in the greeting.
    pub banner: Option<String>,
    /// The name in greetings and trace headers; the node's host name if `None`.
    pub helo: Option<String>,
    /// Limits; what is not in here is the node's.
    pub limits: Limits,
}

impl ReceiveConnector {
    /// The connector that a role has where nobody has said anything else.
    pub fn of_role(role: Role) -> Self {
        let (auth, permissions) = match role {
            Role::Server => (vec![], Permissions { anonymous: true, ..Permissions::NONE }),
            Role::Submission => {
                (Mechanism::ALL.to_vec(), Permissions { users: true, ..Permissions::NONE })
            }
        };
        Self {
            name: role.word().to_owned(),
            enabled: true,
            bindings: vec![Binding::Role(role)],
            ranges: AddressRange::everything().to_vec(),
            auth,
            permissions,
            tls: TlsDemand::default(),
            banner: None,
            helo: None,
            limits: Limits::new(),
        }
    }

    /// Whether it is one of those that are always there.
    pub fn is_default(name: &str) -> bool {
        Role::ALL.iter().any(|role| role.word() == name)
    }

    /// The smallest of its ranges that contains a client.
    pub fn range_of(&self, client: IpAddr) -> Option<&AddressRange> {
        self.ranges.iter().filter(|range| range.contains(client)).min_by_key(|range| range.size())
    }

    /// Refuses what can never work, and what would be an open relay.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the reason.
    pub fn check(&self) -> Result<()> {
        let Self { name, bindings, ranges, banner, helo, limits, .. } = self;
        check_name(name)?;
        let wrong = |text: String| Err(Error::invalid(format!("connector {name}: {text}")));
        if bindings.is_empty() || bindings.len() > BINDINGS_MAX {
            return wrong(format!("it needs 1 to {BINDINGS_MAX} bindings"));
        }
        if ranges.is_empty() || ranges.len() > RANGES_MAX {
            return wrong(format!("it needs 1 to {RANGES_MAX} ranges of addresses"));
        }
        if let Some(helo) = helo.as_ref().filter(|helo| !is_host(helo)) {
            return wrong(format!("\"{}\" is no host name", helo.escape_debug()));
        }
        let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if let Some(banner) = banner
            && (banner.is_empty() || banner.len() > BANNER_BYTES_MAX || !printable(banner))
        {
            return wrong(format!("a banner is 1 to {BANNER_BYTES_MAX} characters of ASCII"));
        }
        for (limit, value) in limits {
            let row = limit.row();
            if !(row.min..=row.max).contains(value) {
                return wrong(format!("{} is {} to {}, not {value}", row.name, row.min, row.max));
            }
        }
        self.check_rights()
    }

    fn check_rights(&self) -> Result<()> {
        let Self { name, permissions, auth, tls, .. } = self;
        let wrong = |text: String| Err(Error::invalid(format!("connector {name}: {text}")));
        if *permissions == Permissions::NONE {
            return wrong("no permission group: nobody could send; disable it instead".to_owned());
        }
        if permissions.users == auth.is_empty() {
            return wrong(match permissions.users {
                true => "\"users\" need a mechanism to sign in with".to_owned(),
                false => "who signs in may send nothing without \"users\"".to_owned(),
            });
        }
        if *tls == TlsDemand::None && (!auth.is_empty() || permissions.partners) {
            let text = "passwords and mail of partners are taken under TLS only; offer it";
            return wrong(text.to_owned());
        }
        if permissions.relay || permissions.servers {
            let group = if permissions.relay { "relay" } else { "servers" };
            if let Some(wide) = self.ranges.iter().find(|range| range.is_wide()) {
                return wrong(format!("\"{group}\" for all of {wide} would be an open relay"));
            }
        }
        Ok(())
    }
}

/// The receive connectors of the organisation. Every change is one transaction with its audit
/// record, and counts for new sessions on every node within about a second.
#[async_trait]
pub trait ReceiveConnectors: Send + Sync + 'static {
    /// What this node knows, for sessions that begin; never waits.
    fn receive_table(&self) -> Arc<ReceiveTable>;

    /// All of them, as they are stored now.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn receive_connectors(&self) -> Result<Arc<ReceiveTable>>;

    /// Makes one.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`], [`base::Kind::Invalid`], [`base::Kind::Limit`];
    /// [`base::Kind::Conflict`] for what another connector has ([`ReceiveTable::check_beside`]).
    async fn create_receive_connector(
        &self,
        actor: &Actor,
        new: ReceiveConnector,
    ) -> Result<Arc<ReceiveConnector>>;

    /// Changes one. Sessions that have begun keep what they began with.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Invalid`], [`base::Kind::Conflict`].
    async fn update_receive_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ReceiveChange,
    ) -> Result<Arc<ReceiveConnector>>;

    /// Removes one.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`]; [`base::Kind::CannotChange`] for those that are always there.
    async fn remove_receive_connector(&self, actor: &Actor, name: &str) -> Result<()>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
