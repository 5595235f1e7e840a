//! What each verb does: one file per noun.

mod certificate;
mod cluster;
mod config;
mod connector;
mod contact;
mod dev;
mod domain;
mod drill;
mod group;
mod health;
mod log;
mod mailbox;
mod node;
mod queue;
mod rule;
mod scanner;
mod serve;
mod setting;
mod store;
mod trace;

use crate::cli::{Arguments, ChangeReach, Command, Reach};
use crate::client::Client;
use crate::output;
use base::{Error, Result};
use hyper::Method;
use serde_json::Value;

/// Runs a command to its end.
///
/// # Errors
/// Why it was refused, as it is to be told.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Dev(dev) => dev::run(dev).await,
        Command::Serve(serve) => serve::run(serve).await,
        Command::Config(verb) => config::run(verb),
        Command::Mailbox(verb) => mailbox::run(verb).await,
        Command::Domain(verb) => domain::run(verb).await,
        Command::Doctor(doctor) => domain::doctor(doctor).await,
        Command::Contact(verb) => contact::run(verb).await,
        Command::Group(verb) => group::run(verb).await,
        Command::Queue(verb) => queue::run(verb).await,
        Command::Trace(trace) => trace::run(trace).await,
        Command::Log(verb) => log::run(verb).await,
        Command::Connector(verb) => connector::run(verb).await,
        Command::Rule(verb) => rule::run(verb).await,
        Command::Scanner(verb) => scanner::run(verb).await,
        Command::Setting(verb) => setting::run(verb).await,
        Command::Certificate(verb) => certificate::run(verb).await,
        Command::Store(verb) => store::run(verb).await,
        Command::Node(verb) => node::run(verb).await,
        Command::Cluster(verb) => cluster::run(verb).await,
        Command::Rebalance(rebalance) => cluster::rebalance(&rebalance.change).await,
        Command::Drill(verb) => drill::run(verb).await,
        Command::Health(health) => health::run(health).await,
        Command::Audit(reach) => ask(&reach, "/api/v1/audit").await,
        Command::ExtractWorker => Err(Error::internal("a worker has no command to run")),
    }
}

/// Asks a node and shows the answer.
async fn ask(reach: &Reach, path: &str) -> Result<()> {
    let answer = Client::new(&reach.data).call(Method::GET, path, None).await?;
    output::show(reach.output, &answer);
    Ok(())
}

/// Asks for a list, page by page, and shows all of it. `key` is the field that the next page
/// begins after.
async fn ask_all(reach: &Reach, path: &str, key: &str) -> Result<()> {
    const PAGE: usize = 1_000;
    let client = Client::new(&reach.data);
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let after = rows.last().and_then(|row| row[key].as_str()).map(crate::client::escape);
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let page = format!("{path}?limit={PAGE}{after}");
        let Value::Array(page) = client.call(Method::GET, &page, None).await? else {
            return Err(base::Error::internal("the node's answer is no list"));
        };
        let is_last = page.len() < PAGE;
        rows.extend(page);
        if is_last {
            output::show(reach.output, &Value::Array(rows));
            return Ok(());
        }
    }
}

/// Asks a node to change something and shows what it says.
async fn change(
    change: &ChangeReach,
    method: Method,
    path: &str,
    query: &str,
    body: Option<&Value>,
) -> Result<()> {
    let what_if = if change.what_if { "what_if=true" } else { "what_if=false" };
    let path = format!("{path}?{what_if}{query}");
    let answer = Client::new(&change.reach.data).call(method, &path, body).await?;
    output::show(change.reach.output, &answer);
    Ok(())
}
