//! `rialto serve`: the production start.

use crate::node::{Node, NodeConfig, StopSignals};
use base::Result;
use base::telemetry::{DEFAULT_FILTER, LogFormat, init_logging};
use std::path::Path;

pub(super) async fn run(file: &Path) -> Result<()> {
    let config = NodeConfig::read(file)?;
    init_logging(LogFormat::Json, DEFAULT_FILTER)?;
    let mut signals = StopSignals::note()?;
    let node = Node::start(config).await?;
    tracing::info!("ready");
    signals.wait().await;
    node.stop().await
}
