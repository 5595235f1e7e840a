//! `rialto config`.

use crate::cli::ConfigVerb;
use crate::node::NodeConfig;
use crate::output;
use base::env::Env;
use base::{Error, Result};

pub(super) fn run(verb: ConfigVerb) -> Result<()> {
    match verb {
        ConfigVerb::Check { file } => {
            let config = NodeConfig::read(&file)?;
            let problems = config.problems(Env::real().clock.now());
            if !problems.is_empty() {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return Err(Error::invalid(lines.join("\n")));
            }
            let count = config.listeners.len();
            output::say(format!("{}: good, {count} listeners", file.display()));
            Ok(())
        }
    }
}
