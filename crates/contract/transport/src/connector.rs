//! Send connectors: which mail for other servers goes where, and how (Exchange: SendConnector).

use crate::courier::{Host, Manner, TlsLevel};
use async_trait::async_trait;
use base::{Error, Result};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many connections there are to one next hop at most, by default (Exchange: 20).
pub const CONNECTIONS_PER_HOP: u32 = 20;

/// How many send connectors there may be.
pub const CONNECTORS_MAX: usize = 1_000;

/// The most address spaces of one connector, and the most smart hosts.
const SPACES_MAX: usize = 500;
const HOSTS_MAX: usize = 16;

/// The longest name of a connector, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The longest name of a host or domain (RFC 1035 §2.3.4), user name or password, in bytes.
const TEXT_BYTES_MAX: usize = 255;

/// A way out of the organisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SendConnector {
    /// Its name: lower-case letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// Whether it takes mail, and sends what waits.
    pub enabled: bool,
    /// The domains for which it is there.
    pub spaces: Vec<AddressSpace>,
    /// Which hosts.
    pub route: Route,
    /// How it talks to them.
    pub manner: Manner,
    /// The largest message, in bytes; larger ones look for another connector.
    pub size_bytes_max: Option<u64>,
    /// How many connections to one next hop at most.
    pub connections_max: u32,
}

/// Some domains, and how dear it is to reach them in this way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AddressSpace {
    /// `*` for all, `*.example.org` for its subdomains, or `example.org`; in ASCII, lower case.
    pub pattern: String,
    /// Among equally good patterns the lowest cost wins.
    pub cost: u32,
}

/// Which hosts a connector sends to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Route {
    /// The mail exchangers of each recipient's domain.
    MailExchangers,
    /// Always these, tried in order.
    SmartHosts(Vec<Host>),
}

impl AddressSpace {
    /// How well this fits a domain: greater is better, `None` is not at all. An exact name is
    /// better than any pattern, a longer pattern better than a shorter one.
    pub fn fits(&self, domain: &str) -> Option<usize> {
        if self.pattern == "*" {
            return Some(0);
        }
        match self.pattern.strip_prefix('*') {
            Some(suffix) => {
                let fits = domain.len() > suffix.len() && domain.ends_with(suffix);
                fits.then_some(suffix.len())
            }
            None => (self.pattern == domain).then_some(usize::MAX),
        }
    }
}

impl SendConnector {
    /// Refuses what can never work.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the reason.
    pub fn check(&self) -> Result<()> {
        let Self { name, spaces, route, manner, connections_max, .. } = self;
        check_name(name)?;
        if spaces.is_empty() || spaces.len() > SPACES_MAX {
            let text = format!("connector {name}: it needs 1 to {SPACES_MAX} address spaces");
            return Err(Error::invalid(text));
        }
        for AddressSpace { pattern, .. } in spaces {
            let domain = pattern.strip_prefix("*.").unwrap_or(pattern);
            if pattern != "*" && !is_host(domain) {
                let shown = pattern.escape_debug();
                return Err(Error::invalid(format!("connector {name}: \"{shown}\" is no domain")));
            }
        }
        if let Route::SmartHosts(hosts) = route
            && (hosts.is_empty() || hosts.len() > HOSTS_MAX || !hosts.iter().all(is_smart_host))
        {
            let text = format!("connector {name}: it needs 1 to {HOSTS_MAX} smart hosts");
            return Err(Error::invalid(text));
        }
        if *connections_max == 0 {
            return Err(Error::invalid(format!("connector {name}: no connection is allowed")));
        }
        check_manner(name, manner)
    }
}

/// Refuses what is no name of a connector.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        let text = "a connector's name has 1 to 64 of a-z, 0-9, \".\", \"-\" and \"_\"";
        return Err(Error::invalid(text));
    }
    Ok(())
}

fn check_manner(name: &str, manner: &Manner) -> Result<()> {
    let Manner { helo, port, tls, tls_domain, implicit_tls, credentials } = manner;
    for host in [helo, tls_domain].into_iter().flatten() {
        if !is_host(host) {
            let shown = host.escape_debug();
            return Err(Error::invalid(format!("connector {name}: \"{shown}\" is no host name")));
        }
    }
    if *port == 0 {
        return Err(Error::invalid(format!("connector {name}: port 0")));
    }
    let Some((user, password)) = credentials else { return Ok(()) };
    let fine = |text: &str| {
        !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
    };
    if !fine(user) || !fine(password) {
        let text = format!("connector {name}: a user name or password that cannot be sent");
        return Err(Error::invalid(text));
    }
    if *tls == TlsLevel::Opportunistic && !implicit_tls {
        let text = format!("connector {name}: a password is sent under TLS only; require it");
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// Whether this can be a host name or domain, in ASCII and lower case.
pub(crate) fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let label = |label: &str| !label.is_empty() && label.len() < 64 && label.chars().all(plain);
    text.len() <= TEXT_BYTES_MAX && text.split('.').all(label)
}

fn is_smart_host(host: &Host) -> bool {
    host.port != 0 && (is_host(&host.name) || host.name.parse::<std::net::IpAddr>().is_ok())
}

/// What to change of a connector; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct ConnectorChange {
    /// Enable or disable.
    pub enabled: Option<bool>,
    /// All address spaces.
    pub spaces: Option<Vec<AddressSpace>>,
    /// Which hosts.
    pub route: Option<Route>,
    /// How it talks to them; without credentials those stay that are there.
    pub manner: Option<Manner>,
    /// Whether the credentials go.
    pub forget_credentials: bool,
    /// The largest message.
    pub size_bytes_max: Option<Option<u64>>,
    /// How many connections to one next hop.
    pub connections_max: Option<u32>,
}

impl ConnectorChange {
    /// The connector with the change made.
    #[must_use]
    pub fn applied(&self, old: &SendConnector) -> SendConnector {
        let mut new = old.clone();
        if let Some(manner) = &self.manner {
            let kept = manner.credentials.clone().or_else(|| old.manner.credentials.clone());
            new.manner = Manner { credentials: kept, ..manner.clone() };
        }
        if self.forget_credentials {
            new.manner.credentials = None;
        }
        new.enabled = self.enabled.unwrap_or(old.enabled);
        new.size_bytes_max = self.size_bytes_max.unwrap_or(old.size_bytes_max);
        new.connections_max = self.connections_max.unwrap_or(old.connections_max);
        new.spaces = self.spaces.clone().unwrap_or(new.spaces);
        new.route = self.route.clone().unwrap_or(new.route);
        new
    }
}

/// The send connectors of the organisation. Every change is one transaction with its audit record,
/// and is in effect on every node within about a second.
#[async_trait]
pub trait SendConnectors: Send + Sync + 'static {
    /// All of them, by name, as they are stored now.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn connectors(&self) -> Result<Vec<Arc<SendConnector>>>;

    /// Makes one.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`], [`base::Kind::Invalid`], [`base::Kind::Limit`].
    async fn create_connector(
        &self,
        actor: &Actor,
        new: SendConnector,
    ) -> Result<Arc<SendConnector>>;

    /// Changes one. What waits for it goes by the new settings at the next attempt; where it is
    /// disabled, as if it were removed.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Invalid`].
    async fn update_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ConnectorChange,
    ) -> Result<Arc<SendConnector>>;

    /// Removes one. What waits for it is routed anew: it goes by another one, or waits until there
    /// is one that takes it.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn remove_connector(&self, actor: &Actor, name: &str) -> Result<()>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn connector() -> SendConnector {
        SendConnector {
            name: "out".into(),
            enabled: true,
            spaces: vec![AddressSpace { pattern: "*".into(), cost: 1 }],
            route: Route::MailExchangers,
            manner: Manner::default(),
            size_bytes_max: None,
            connections_max: CONNECTIONS_PER_HOP,
        }
    }

    #[test]
    fn what_can_never_work_is_refused() {
        let check = |change: &dyn Fn(&mut SendConnector), is_fine: bool| {
            let mut connector = connector();
            change(&mut connector);
            assert_eq!(connector.check().is_ok(), is_fine, "{connector:?}");
        };
        let hosts = |name: &str, port| Route::SmartHosts(vec![Host { name: name.into(), port }]);
        let secret = Some(("u".to_owned(), "p".to_owned()));
        check(&|_| {}, true);
        check(&|one| one.name = "Out".into(), false);
        check(&|one| one.name = "a/b".into(), false);
        check(&|one| one.spaces.clear(), false);
        check(&|one| one.spaces[0].pattern = "*.example.org".into(), true);
        check(&|one| one.spaces[0].pattern = "*example.org".into(), false);
        check(&|one| one.spaces[0].pattern = "a..b".into(), false);
        check(&|one| one.route = hosts("192.0.2.1", 25), true);
        check(&|one| one.route = hosts("2001:db8::1", 25), true);
        check(&|one| one.route = hosts("relay.example.org", 0), false);
        check(&|one| one.route = hosts("a b", 25), false);
        check(&|one| one.route = Route::SmartHosts(vec![]), false);
        check(&|one| one.connections_max = 0, false);
        check(&|one| one.manner.helo = Some("x\r\ny".into()), false);
        check(&|one| one.manner.credentials = secret.clone(), false);
        check(
            &|one| {
                one.manner.credentials = secret.clone();
                one.manner.tls = TlsLevel::Encryption;
            },
            true,
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        let mut connector = connector();
        connector.manner.credentials = Some(("user".into(), "tell-nobody".into()));
        let shown = format!("{connector:?}");
        assert!(shown.contains("user") && !shown.contains("tell-nobody"), "{shown}");
    }

    #[test]
    fn credentials_stay_until_they_are_to_go() {
        let mut old = connector();
        old.manner.credentials = Some(("user".into(), "secret".into()));
        let manner = Some(Manner { port: 587, ..Manner::default() });
        let new = ConnectorChange { manner, ..ConnectorChange::default() }.applied(&old);
        assert_eq!((new.manner.port, &new.manner.credentials), (587, &old.manner.credentials));
        let change = ConnectorChange { forget_credentials: true, ..ConnectorChange::default() };
        assert_eq!(change.applied(&old).manner.credentials, None);
        assert_eq!(ConnectorChange::default().applied(&old), old);
    }
}
