//! `rialto health`.

use super::ask;
use crate::cli::{Health, HealthVerb, Reach};
use crate::client::Client;
use crate::output::{self, Format};
use base::Result;
use hyper::Method;

pub(super) async fn run(health: Health) -> Result<()> {
    match health.verb {
        Some(HealthVerb::Pressure(reach)) => pressure(&reach).await,
        None => ask(&health.reach, "/api/v1/health").await,
    }
}

/// A row for each resource, and a sentence for people.
async fn pressure(reach: &Reach) -> Result<()> {
    let answer = Client::new(&reach.data).call(Method::GET, "/api/v1/pressure", None).await?;
    match reach.output {
        Format::Json => output::show(reach.output, &answer),
        Format::Csv => output::show(reach.output, &answer["resources"]),
        Format::Table => {
            output::show(Format::Table, &answer["resources"]);
            let (level, effect) = (&answer["level"], &answer["effect"]);
            let word = level.as_str().unwrap_or("unknown");
            output::say(format!("{word}: {}", effect.as_str().unwrap_or_default()));
        }
    }
    Ok(())
}
