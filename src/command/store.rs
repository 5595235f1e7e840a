//! `rialto store`: through the node that runs on the data directory, or without one.

use super::{ask, change};
use crate::cli::{ChangeReach, Reach, StoreCopy, StoreVerb};
use crate::client::Client;
use crate::node::store::{Backend, Opening, StorePlace, copy, verify};
use crate::output::{self, say};
use access_admin::{JobState, StoreJob};
use base::env::Env;
use base::telemetry::{LogFormat, init_logging};
use base::{Error, Result};
use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use store_copy::Start;
use tokio::net::UnixStream;
use tokio::sync::watch;

const PATH: &str = "/api/v1/store";

/// How often it is told how far a job has come.
const TELL_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(verb: StoreVerb) -> Result<()> {
    match verb {
        StoreVerb::Status(reach) => ask(&reach, PATH).await,
        StoreVerb::Verify { store, reach } => verify_store(store, &reach).await,
        StoreVerb::Copy(order) => copy_store(order).await,
        StoreVerb::Use { store, change } => use_store(store, &change).await,
    }
}

async fn verify_store(store: Option<StorePlace>, reach: &Reach) -> Result<()> {
    let place = store.unwrap_or_else(|| StorePlace::Embedded { data: reach.data.clone() });
    if let StorePlace::Embedded { data } = &place
        && node_runs(data).await
    {
        let client = Client::new(data);
        client.call(Method::POST, &format!("{PATH}/verify"), Some(&json!({}))).await?;
        return follow(&client).await;
    }
    let (env, backend) = open(&place).await?;
    let told = told(ToString::to_string);
    let findings = verify::run(&backend, &env, &told).await;
    let closed = backend.close().await;
    let findings = findings?;
    closed?;
    for problem in &findings.problems {
        say(problem);
    }
    if findings.is_sound() {
        say(&findings);
        return Ok(());
    }
    Err(Error::invalid(findings.to_string()))
}

async fn copy_store(order: StoreCopy) -> Result<()> {
    let StoreCopy { from, to, anew, change: reach } = order;
    let data = reach.reach.data.clone();
    let from = from.unwrap_or_else(|| StorePlace::Embedded { data: data.clone() });
    if let StorePlace::Embedded { data } = &from
        && node_runs(data).await
    {
        return copy_of_node(data, &to, anew, &reach).await;
    }
    let (from, to) = (from.absolute()?, to.absolute()?);
    copy::check_places(&from, &to)?;
    if reach.what_if {
        return output_would(&reach, &format!("copy everything from {from} to {to}"));
    }
    let (env, source) = open(&from).await?;
    let target = Backend::open(&to, Opening::default(), &env).await?;
    let told = told(copy::describe_progress);
    let start = if anew { Start::Anew } else { Start::Resume };
    let order = copy::Order { env: &env, source: (&source, &from), target: (&target, &to), start };
    let copied = match order.prepare().await {
        Ok(copy) => copy
            .run(&told)
            .await
            .map_err(|failed| Error::new(failed.error.kind, copy::describe_failure(&failed))),
        Err(error) => Err(error),
    };
    let (closed, source_closed) = (target.close().await, source.close().await);
    let summary = copied?;
    closed?;
    source_closed?;
    say(copy::describe(&summary));
    say("Writing into the source is over: change [store] and start the node with the new one.");
    Ok(())
}

/// Takes the mark off a store that says that its data has moved.
async fn use_store(store: Option<StorePlace>, reach: &ChangeReach) -> Result<()> {
    let place = store.unwrap_or_else(|| StorePlace::Embedded { data: reach.reach.data.clone() });
    if let StorePlace::Embedded { data } = &place
        && node_runs(data).await
    {
        return Err(Error::invalid("A node has the store open: stop it first"));
    }
    let (_env, backend) = open(&place).await?;
    let freed = store_copy::use_again(&backend.store(), reach.what_if).await;
    let closed = backend.close().await;
    let Some(to) = freed? else {
        return Err(Error::not_found(format!("A mark that the data has moved, in {place},")));
    };
    closed?;
    if reach.what_if {
        return output_would(reach, &format!("use {place} again, whose data has moved to {to}"));
    }
    say(format!(
        "{place} is in use again. Never start a node on {to} as it is now: it is a copy of before."
    ));
    Ok(())
}

/// The node that has the store open copies it itself.
async fn copy_of_node(data: &Path, to: &StorePlace, anew: bool, reach: &ChangeReach) -> Result<()> {
    // The node may stand in another directory than we do.
    let to = to.absolute()?;
    let order = json!({ "to": to.to_string(), "anew": anew });
    let path = format!("{PATH}/copy");
    if reach.what_if {
        let mut reach = reach.clone();
        reach.reach.data = data.to_owned();
        return change(&reach, Method::POST, &path, "", Some(&order)).await;
    }
    let client = Client::new(data);
    client.call(Method::POST, &path, Some(&order)).await?;
    say("The node copies its store; until it has ended, mail can be read but not changed.");
    follow(&client).await
}

/// Tells how a node's job goes until it has ended.
async fn follow(client: &Client) -> Result<()> {
    let mut last = String::new();
    loop {
        let answer = client.call(Method::GET, PATH, None).await?;
        let job: StoreJob = serde_json::from_value(answer).map_err(Error::internal)?;
        if job.text != last {
            say(&job.text);
            last.clone_from(&job.text);
        }
        match job.state {
            JobState::Running => tokio::time::sleep(TELL_EVERY / 10).await,
            JobState::Done => return Ok(()),
            JobState::Failed => {
                job.problems.iter().for_each(say);
                return Err(Error::invalid(format!("{} failed: {}", job.what, job.text)));
            }
        }
    }
}

/// Opens a store that no node has open. One that is not there is not made.
async fn open(place: &StorePlace) -> Result<(Env, Backend)> {
    if let Some(dir) = place.embedded_dir()
        && !dir.is_dir()
    {
        return Err(Error::not_found(format!("A store in {}", dir.display())));
    }
    let env = Env::real();
    init_logging(LogFormat::Text, "warn")?;
    let backend = Backend::open(place, Opening::default(), &env).await?;
    Ok((env, backend))
}

/// Whether a node answers on the socket of a data directory.
async fn node_runs(data: &Path) -> bool {
    UnixStream::connect(data.join(crate::node::SOCKET)).await.is_ok()
}

/// Somebody to tell how far work has come, who says it now and then.
fn told<T: Default + Send + Sync + 'static>(
    text: impl Fn(&T) -> String + Send + 'static,
) -> watch::Sender<T> {
    let (told, mut heard) = watch::channel(T::default());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            match heard.has_changed() {
                Ok(true) => say(text(&heard.borrow_and_update())),
                Ok(false) => {}
                Err(_) => return,
            }
        }
    });
    told
}

fn output_would(reach: &ChangeReach, what: &str) -> Result<()> {
    let answer: Value = json!({ "what_if": true, "would": what });
    output::show(reach.reach.output, &answer);
    Ok(())
}
