//! `rialto serve`: the production start, and a node of `rialto dev --nodes`.

use super::dev::first_accounts;
use crate::cli::Serve;
use crate::node::{Node, NodeConfig, Parting, StopSignals};
use base::Result;
use base::telemetry::{DEFAULT_FILTER, LogFormat, init_logging};

/// How long the client of a database may take to end when a start is given up.
const CLIENT_STOP_TIME: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) async fn run(serve: Serve) -> Result<()> {
    let config = NodeConfig::read(&serve.config)?;
    #[cfg(feature = "mutants")]
    let config = NodeConfig { mutant: serve.mutant, ..config };
    init_logging(LogFormat::Json, DEFAULT_FILTER)?;
    let mut signals = StopSignals::note()?;
    let while_stdin = serve.while_stdin;
    let parting = async {
        tokio::select! {
            () = signals.wait() => Parting::HandOver,
            () = stdin_ends(), if while_stdin => Parting::Drop,
        }
    };
    tokio::pin!(parting);
    let is_member = config.cluster.is_some();
    let starting = Box::pin(Node::start(config));
    // A start in a cluster may have to wait for others, for as long as they are away.
    let node = tokio::select! {
        node = starting => node?,
        _ = &mut parting, if is_member => return give_up().await,
    };
    if let Some(mailboxes) = serve.dev_mailboxes {
        node.directory.bootstrap(first_accounts(mailboxes)).await?;
    }
    tracing::info!("ready");
    let parting = parting.await;
    node.stop(parting).await
}

/// Nothing was served yet, so nothing is owed to anybody.
async fn give_up() -> Result<()> {
    tracing::warn!("stopped before the start had come to its end");
    let stopping = tokio::task::spawn_blocking(store_foundationdb::stop);
    let _late = tokio::time::timeout(CLIENT_STOP_TIME, stopping).await;
    Ok(())
}

/// Waits for the end of the standard input, whatever is in it. A thread of its own reads, which
/// nobody waits for when the process ends for another reason.
async fn stdin_ends() {
    let (ended, heard) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _whatever = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(ended);
    });
    let _always_dropped = heard.await;
}
