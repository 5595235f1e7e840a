//! `rialto config`.

use crate::cli::ConfigVerb;
use crate::node::NodeConfig;
use crate::output;
use base::Result;

pub(super) fn run(verb: ConfigVerb) -> Result<()> {
    match verb {
        ConfigVerb::Check { file } => {
            let config = NodeConfig::read(&file)?;
            config.check()?;
            let count = config.listeners.len();
            output::say(format!("{}: good, {count} listeners", file.display()));
            Ok(())
        }
    }
}
