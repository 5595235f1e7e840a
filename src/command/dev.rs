//! `rialto dev`: a complete server for a newcomer and for tests, on 127.0.0.1 only.

mod standin;
mod store;

use crate::cli::Dev;
use crate::node::{
    Health, Limits, ListenerSection, Node, NodeConfig, NodeSection, Protocol, StopSignals,
    StoreSection, TlsFiles, certificates,
};
use crate::output::say;
use access_listener::TlsMode;
use base::telemetry::{LogFormat, init_logging};
use base::{Address, Error, Result};
use contract_directory::{AccountKind, NewAccount, Role, Secret};
use service_directory::Bootstrap;
use std::net::{Ipv4Addr, SocketAddr};

/// The domain of every mailbox here.
const DOMAIN: &str = "rialto.test";

/// Every password here.
const PASSWORD: &str = "rialto-dev";

/// The highest base of ports: with 9090 added it is still below the ephemeral range.
const PORTS_MAX: u16 = 20_000;

/// What listens: name, well-known port, protocol, TLS.
const LISTENERS: [(&str, u16, Protocol, TlsMode); 5] = [
    ("smtp", 25, Protocol::Smtp, TlsMode::StartTls),
    ("submission", 587, Protocol::Submission, TlsMode::StartTls),
    ("submissions", 465, Protocol::Submission, TlsMode::Implicit),
    ("imap", 143, Protocol::Imap, TlsMode::StartTls),
    ("imaps", 993, Protocol::Imap, TlsMode::Implicit),
];

/// Quiet by default: a newcomer wants to see the summary, not the life of every session.
const FILTER: &str = "warn";

pub(super) async fn run(dev: Dev) -> Result<()> {
    if dev.nodes != 1 {
        let text = "Several nodes need a store they can share, which this version does not have; \
                    start with --nodes 1";
        return Err(Error::invalid(text));
    }
    if dev.ports > PORTS_MAX {
        return Err(Error::invalid(format!("--ports: at most {PORTS_MAX}")));
    }
    init_logging(LogFormat::Text, FILTER)?;
    let files = certificates::ensure(&dev.data, DOMAIN)?;
    let mut signals = StopSignals::note()?;
    let store = store::choose(&dev).await?;
    let node = Node::start(config(&dev, files, store.section)).await?;
    node.directory.bootstrap(first_accounts(&dev)?).await?;
    introduce(&dev, &store.words);
    say("rialto: ready");
    signals.wait().await;
    say("rialto: stopping");
    let stopped = node.stop().await;
    if let Some(standin) = store.standin {
        standin.stop().await;
    }
    stopped
}

fn config(dev: &Dev, files: TlsFiles, store: StoreSection) -> NodeConfig {
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, dev.ports + port));
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
        })
        .collect();
    NodeConfig {
        node: NodeSection {
            name: "node-0".into(),
            host_name: format!("node-0.{DOMAIN}"),
            data: dev.data.clone(),
        },
        store,
        tls: Some(files),
        health: Some(Health { address: address(9090) }),
        // Everybody is on this machine, so limits per source would only be in the way of tests.
        limits: Limits { loopback_exempt: true, submissions_per_minute: None },
        listeners,
        file: None,
        #[cfg(feature = "mutants")]
        mutant: dev.mutant,
    }
}

/// The people of a new installation.
fn first_accounts(dev: &Dev) -> Result<Bootstrap> {
    let names = ["admin", "alice", "bob", "carol"].map(str::to_owned);
    let users = (1..=dev.mailboxes).map(|number| format!("user{number}"));
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
    Ok(Bootstrap { domain: DOMAIN.into(), accounts })
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Tells who can sign in where.
fn introduce(dev: &Dev, store: &str) {
    let port = |port: u16| dev.ports + port;
    say("Rialto for trying things out. Everything listens on 127.0.0.1 only.");
    say(format!("  data          {}", dev.data.display()));
    say(format!("  store         {store}"));
    say(format!("  certificates  signed by {}", dev.data.join(certificates::CA_FILE).display()));
    say(format!("  mailboxes     admin, alice, bob, carol @{DOMAIN}"));
    if dev.mailboxes > 0 {
        say(format!("                user1 … user{} @{DOMAIN}", dev.mailboxes));
    }
    say(format!("  password      {PASSWORD} (every mailbox)"));
    say(format!(
        "  send          SMTP {} (STARTTLS), {} (TLS); from other servers {}",
        port(587),
        port(465),
        port(25)
    ));
    say(format!("  read          IMAP {} (STARTTLS), {} (TLS)", port(143), port(993)));
    say(format!("  watch         http://127.0.0.1:{}/readyz and /metrics", port(9090)));
    let data = dev.data.display();
    say(format!("  administer    rialto mailbox get --data {data}    (and domain, group, queue)"));
}
