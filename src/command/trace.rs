//! `rialto trace`.

use crate::cli::{Reach, Trace, TraceVerb};
use crate::client::{Client, escape};
use crate::output::{self, Format};
use base::Result;
use hyper::Method;

const PATH: &str = "/api/v1/trace";

pub(super) async fn run(trace: Trace) -> Result<()> {
    if let Some(TraceVerb::Explain { id, reach }) = trace.verb {
        return explain(&id, &reach).await;
    }
    let mut path = format!("{PATH}?limit={}", trace.limit);
    for (name, value) in [
        ("sender", &trace.sender),
        ("recipient", &trace.recipient),
        ("message_id", &trace.message_id),
        ("subject", &trace.subject),
        ("since", &trace.since),
        ("until", &trace.until),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escape(value)));
        }
    }
    let answer = Client::new(&trace.reach.data).call(Method::GET, &path, None).await?;
    if trace.reach.output != Format::Table {
        output::show(trace.reach.output, &answer);
        return Ok(());
    }
    output::show(Format::Table, &answer["messages"]);
    if let Some(before) = answer["more_before"].as_str() {
        output::say(format!("There may be more: --until {before}"));
    }
    Ok(())
}

/// Sentences for people, everything for programs.
async fn explain(id: &str, reach: &Reach) -> Result<()> {
    let path = format!("{PATH}/{}", escape(id));
    let answer = Client::new(&reach.data).call(Method::GET, &path, None).await?;
    let lines = answer["story"].as_array().filter(|_| reach.output == Format::Table);
    match lines {
        Some(lines) => lines.iter().filter_map(|line| line.as_str()).for_each(output::say),
        None => output::show(reach.output, &answer),
    }
    Ok(())
}
