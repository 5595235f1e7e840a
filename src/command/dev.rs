//! `rialto dev`: a complete server for a newcomer and for tests, on 127.0.0.1 only.

mod nodes;
mod standin;
mod store;

pub(super) use nodes::NodeFiles;

use crate::cli::Dev;
use crate::node::authentication::AuthenticationSection;
use crate::node::outbound::OutboundSection;
use crate::node::{
    ClusterSection, Health, Limits, ListenerSection, Node, NodeConfig, NodeSection, Parting,
    Protocol, StopSignals, StoreSection, TlsFiles, WEIGHT, certificates,
};
use crate::output::say;
use access_listener::TlsMode;
use base::telemetry::{LogFormat, init_logging};
use base::{Address, Error, Result};
use contract_directory::{AccountKind, NewAccount, Role, Secret};
use service_directory::Bootstrap;
use service_transport::PressureConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The domain of every mailbox here.
const DOMAIN: &str = "rialto.test";

/// Every password here.
const PASSWORD: &str = "rialto-dev";

/// The highest base of ports: with 9090 added it is still below the ephemeral range.
const PORTS_MAX: u16 = 20_000;

/// What a node's ports are apart from those of the one before.
const NODE_STEP: u16 = 1_000;

/// The same for the last of several nodes, in which the step of each is added.
const LAST_PORTS_MAX: u16 = 23_000;

/// Where the links of nodes arrive.
const LINK_PORT: u16 = 7_400;

/// What listens: name, well-known port, protocol, TLS.
const LISTENERS: [(&str, u16, Protocol, TlsMode); 7] = [
    ("smtp", 25, Protocol::Smtp, TlsMode::StartTls),
    ("submission", 587, Protocol::Submission, TlsMode::StartTls),
    ("submissions", 465, Protocol::Submission, TlsMode::Implicit),
    ("imap", 143, Protocol::Imap, TlsMode::StartTls),
    ("imaps", 993, Protocol::Imap, TlsMode::Implicit),
    ("pop3", 110, Protocol::Pop3, TlsMode::StartTls),
    ("pop3s", 995, Protocol::Pop3, TlsMode::Implicit),
];

/// Quiet by default: a newcomer wants to see the summary, not the life of every session.
const FILTER: &str = "warn";

pub(super) async fn run(dev: Dev) -> Result<()> {
    let last = (dev.nodes - 1) * NODE_STEP;
    let most = PORTS_MAX.min(LAST_PORTS_MAX - last);
    if dev.ports > most {
        return Err(Error::invalid(format!("--ports: at most {most}")));
    }
    init_logging(LogFormat::Text, FILTER)?;
    let files = certificates::ensure(&dev.data, DOMAIN)?;
    let mut signals = StopSignals::note()?;
    if dev.nodes > 1 {
        return nodes::run(&dev, files, signals).await;
    }
    let store = store::choose(&dev).await?;
    let node = Node::start(config(&dev, Place::Alone, files, store.section)).await?;
    node.directory.bootstrap(first_accounts(dev.mailboxes)).await?;
    introduce(&dev, &store.words);
    say("rialto: ready");
    signals.wait().await;
    say("rialto: stopping");
    let stopped = node.stop(Parting::HandOver).await;
    if let Some(standin) = store.standin {
        standin.stop().await;
    }
    stopped
}

/// Which node a configuration is for.
enum Place {
    /// The only one, in the data directory itself.
    Alone,
    /// One of several, in a directory of its own below it.
    Member {
        /// Counted from 0.
        number: u16,
        /// Its data directory, absolute.
        data: PathBuf,
    },
}

fn config(dev: &Dev, place: Place, files: TlsFiles, store: StoreSection) -> NodeConfig {
    let (number, data, is_member) = match place {
        Place::Alone => (0, dev.data.clone(), false),
        Place::Member { number, data } => (number, data, true),
    };
    let base = dev.ports + number * NODE_STEP;
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, base + port));
    let listeners = LISTENERS
        .iter()
        .map(|(name, port, protocol, tls)| ListenerSection {
            name: (*name).to_owned(),
            address: address(*port),
            protocol: *protocol,
            tls: *tls,
            connections_max: None,
            per_source_max: None,
            per_network_max: None,
            proxy_protocol: None,
        })
        .collect();
    let cluster = ClusterSection { listen: address(LINK_PORT), address: None, weight: WEIGHT };
    NodeConfig {
        node: NodeSection {
            name: format!("node-{number}"),
            host_name: format!("node-{number}.{DOMAIN}"),
            data,
        },
        store,
        tls: Some(files),
        health: Some(Health { address: address(9090) }),
        cluster: is_member.then_some(cluster),
        // Everybody is on this machine, so limits per source would only be in the way of tests.
        limits: Limits { loopback_exempt: true, submissions_per_minute: None },
        outbound: OutboundSection::default(),
        authentication: AuthenticationSection::default(),
        pressure: PressureConfig::default(),
        listeners,
        file: None,
        #[cfg(feature = "mutants")]
        mutant: dev.mutant,
    }
}

/// The people of a new installation.
pub(super) fn first_accounts(mailboxes: u32) -> Bootstrap {
    let names = ["admin", "alice", "bob", "carol"].map(str::to_owned);
    let users = (1..=mailboxes).map(|number| format!("user{number}"));
    let accounts = names
        .into_iter()
        .chain(users)
        .map(|name| NewAccount {
            role: if name == "admin" { Role::OrganizationManagement } else { Role::None },
            display_name: capitalised(&name),
            address: Address::new(name, DOMAIN),
            password: Some(Secret(PASSWORD.into())),
            kind: AccountKind::User,
            quota: None,
        })
        .collect();
    Bootstrap { domain: DOMAIN.into(), accounts }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Tells who can sign in where.
fn introduce(dev: &Dev, store: &str) {
    let port = |port: u16| dev.ports + port;
    introduce_all(dev, store);
    say(format!(
        "  send          SMTP {} (STARTTLS), {} (TLS); from other servers {}",
        port(587),
        port(465),
        port(25)
    ));
    say(format!(
        "  read          IMAP {} (STARTTLS), {} (TLS); POP3 {} (STLS), {} (TLS)",
        port(143),
        port(993),
        port(110),
        port(995)
    ));
    say(format!("  watch         http://127.0.0.1:{}/readyz and /metrics", port(9090)));
    let data = dev.data.display();
    say(format!("  administer    rialto mailbox get --data {data}    (and domain, group, queue)"));
}

/// What does not depend on the node.
fn introduce_all(dev: &Dev, store: &str) {
    say("Rialto for trying things out. Everything listens on 127.0.0.1 only.");
    say(format!("  data          {}", dev.data.display()));
    say(format!("  store         {store}"));
    say(format!("  certificates  signed by {}", dev.data.join(certificates::CA_FILE).display()));
    say(format!("  mailboxes     admin, alice, bob, carol @{DOMAIN}"));
    if dev.mailboxes > 0 {
        say(format!("                user1 … user{} @{DOMAIN}", dev.mailboxes));
    }
    say(format!("  password      {PASSWORD} (every mailbox)"));
}
