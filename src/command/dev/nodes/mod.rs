//! `rialto dev --nodes N`: several nodes as processes of their own, over one store.
//!
//! This process is only their supervisor: it has the store started that they share (a stand-in for
//! FoundationDB where no cluster answers), founds the cluster with the first node, lets the others
//! join as an operator would (`rialto node join`), and waits. A node that dies stays dead, for that
//! is a drill; whoever wants it back starts it by hand, with the configuration that stands in its
//! directory. When this process is asked to stop, all nodes are, and the store after them.

mod files;
mod process;

pub(crate) use files::NodeFiles;

use super::standin::Standin;
use super::store::{self, Chosen};
use super::{DOMAIN, LINK_PORT, NODE_STEP, Place, config, introduce_all};
use crate::cli::{Dev, StoreKind};
use crate::client::Client;
use crate::node::store::lock_data;
use crate::node::{NodeConfig, StopSignals, StoreSection, TlsFiles};
use crate::output::say;
use base::env::Env;
use base::{Error, Result};
use hyper::Method;
use process::NodeProcess;
use serde_json::json;
use std::path::Path;

/// How long a token for joining is good, in seconds.
const TOKEN_LIFE_S: u32 = 600;

pub(super) async fn run(dev: &Dev, tls: TlsFiles, mut signals: StopSignals) -> Result<()> {
    if dev.store == Some(StoreKind::Embedded) {
        let text = "Several nodes need a store that they can share, and the embedded one is of one \
                    process: --store foundationdb (a stand-in is started where there is none)";
        return Err(Error::invalid(text));
    }
    let env = Env::real();
    let _lock = lock_data(&dev.data, &env)?;
    let nodes: Vec<NodeFiles> =
        (0..dev.nodes).map(|number| NodeFiles::of(&dev.data, number)).collect::<Result<_>>()?;
    check_ports(dev, &nodes)?;
    let Chosen { section, words, standin } = store::choose(dev).await?;
    let mut nodes: Vec<NodeProcess> = nodes.into_iter().map(NodeProcess::new).collect();
    let started = tokio::select! {
        started = start_all(dev, &env, &tls, &section, &mut nodes) => started,
        () = signals.wait() => {
            say("rialto: stopping before the start has come to its end");
            return stop_all(&env, nodes, standin).await;
        }
    };
    if let Err(error) = started {
        let _first_error_counts = stop_all(&env, nodes, standin).await;
        return Err(error);
    }
    introduce(dev, &words, &nodes);
    say("rialto: ready");
    loop {
        tokio::select! {
            () = signals.wait() => break,
            (name, how, again) = process::next_end(&mut nodes) => {
                say(format!("rialto: {name} has ended ({how}) and stays so; to start it: {again}"));
            }
        }
    }
    say("rialto: stopping");
    stop_all(&env, nodes, standin).await
}

/// Links are known to the other nodes by their address, which follows from the base of ports.
fn check_ports(dev: &Dev, nodes: &[NodeFiles]) -> Result<()> {
    for node in nodes.iter().filter(|node| node.is_member()) {
        let section = NodeConfig::read(&node.config).ok().and_then(|config| config.cluster);
        let expected = dev.ports + node.number * NODE_STEP + LINK_PORT;
        let Some(found) = section.map(|section| section.listen.port()) else { continue };
        if found != expected {
            let base = found.saturating_sub(node.number * NODE_STEP + LINK_PORT);
            let data = dev.data.display();
            let text = format!("The cluster in {data} was made with --ports {base}: use that");
            return Err(Error::invalid(text));
        }
    }
    Ok(())
}

/// Members first and all at once, since it takes a majority of them; then who has to join.
async fn start_all(
    dev: &Dev,
    env: &Env,
    tls: &TlsFiles,
    store: &StoreSection,
    nodes: &mut [NodeProcess],
) -> Result<()> {
    tell_of_leftovers(dev);
    for node in nodes.iter() {
        write_config(dev, tls, store, &node.files)?;
    }
    let is_founded = nodes.iter().any(|node| node.files.is_member());
    for (number, node) in nodes.iter_mut().enumerate() {
        if node.files.is_member() || (number == 0 && !is_founded) {
            node.start(env, &arguments(dev, number)).await?;
        }
    }
    for node in nodes.iter_mut().filter(|node| node.is_running()) {
        node.wait_ready(env).await?;
        node.files.note_member()?;
    }
    let member = nodes.iter().find(|node| node.is_running()).map(|node| node.files.clone());
    for (number, node) in nodes.iter_mut().enumerate() {
        if node.is_running() {
            continue;
        }
        let Some(member) = &member else {
            return Err(Error::internal("no node runs that could let another in"));
        };
        let (token, address) = invite(&member.dir).await?;
        node.join(env, &token, &address).await?;
        node.files.note_member()?;
        node.start(env, &arguments(dev, number)).await?;
        node.wait_ready(env).await?;
    }
    let Some(first) = nodes.first_mut() else {
        return Ok(());
    };
    first.wait_for_mailbox(env, &last_mailbox(dev)).await
}

/// The first node makes the people of a new installation.
fn arguments(dev: &Dev, number: usize) -> Vec<String> {
    let mut arguments = vec!["--while-stdin".to_owned()];
    if number == 0 {
        arguments.extend(["--dev-mailboxes".to_owned(), dev.mailboxes.to_string()]);
    }
    #[cfg(feature = "mutants")]
    if let Some(mutant) = dev.mutant.as_ref().and_then(clap::ValueEnum::to_possible_value) {
        arguments.extend(["--mutant".to_owned(), mutant.get_name().to_owned()]);
    }
    arguments
}

fn last_mailbox(dev: &Dev) -> String {
    match dev.mailboxes {
        0 => format!("carol@{DOMAIN}"),
        count => format!("user{count}@{DOMAIN}"),
    }
}

fn write_config(dev: &Dev, tls: &TlsFiles, store: &StoreSection, node: &NodeFiles) -> Result<()> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| Error::invalid(error.to_string()));
    let tls = TlsFiles { certificate: absolute(&tls.certificate)?, key: absolute(&tls.key)? };
    let store = StoreSection {
        kind: store.kind,
        cluster_file: store.cluster_file.as_deref().map(absolute).transpose()?,
        key_prefix: store.key_prefix.clone(),
        library: store.library.as_deref().map(absolute).transpose()?,
    };
    let place = Place::Member { number: node.number, data: node.dir.clone() };
    node.write_config(&config(dev, place, tls, store).to_text()?)
}

/// Asks a member for a token; gives it with the address of that member's links.
async fn invite(member: &Path) -> Result<(String, String)> {
    let body = json!({ "life_s": TOKEN_LIFE_S });
    let client = Client::new(member);
    let answer = client.call(Method::POST, "/api/v1/nodes/invitations", Some(&body)).await?;
    match (answer["token"].as_str(), answer["member"].as_str()) {
        (Some(token), Some(member)) => Ok((token.to_owned(), member.to_owned())),
        _ => Err(Error::internal("an invitation without a token")),
    }
}

/// Says what else is in the directory and is not used.
fn tell_of_leftovers(dev: &Dev) {
    if dev.data.join("store").is_dir() {
        say(format!(
            "rialto: {} also holds the mail of `rialto dev` with one node; several nodes do not \
             see it",
            dev.data.display()
        ));
    }
    let idle = NodeFiles::of(&dev.data, dev.nodes);
    if idle.is_ok_and(|node| node.is_member()) {
        say("rialto: the cluster here has more nodes than --nodes says; they are missing in it");
    }
}

/// Ends all nodes at once, and their store after them.
async fn stop_all(env: &Env, nodes: Vec<NodeProcess>, standin: Option<Standin>) -> Result<()> {
    let stops = nodes.into_iter().map(|node| node.stop(env));
    let stopped: Vec<Result<()>> = futures::future::join_all(stops).await;
    if let Some(standin) = standin {
        standin.stop().await;
    }
    stopped.into_iter().collect()
}

/// Tells who can sign in where, and how to go on.
fn introduce(dev: &Dev, store: &str, nodes: &[NodeProcess]) {
    introduce_all(dev, store);
    for node in nodes {
        let base = dev.ports + node.files.number * NODE_STEP;
        let port = |port: u16| base + port;
        say(format!(
            "  {:12}  SMTP {}, {} (TLS), from other servers {}; IMAP {}, {} (TLS); \
             POP3 {}, {} (TLS); \
             http://127.0.0.1:{}/readyz; log {}",
            node.files.name,
            port(587),
            port(465),
            port(25),
            port(143),
            port(993),
            port(110),
            port(995),
            port(9090),
            node.files.log.display(),
        ));
    }
    let data = dev.data.display();
    say(format!(
        "  administer    rialto cluster status --data {data}    (and node, mailbox, queue)"
    ));
    say(format!("  try a failure rialto drill failover --data {data}    (or kill -9 a node)"));
    if let Some(last) = nodes.last() {
        say(format!("  start again   {}", last.files.command()));
    }
}
