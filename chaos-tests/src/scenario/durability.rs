//! One message after the other, each acknowledged only after a sync: counted by the node's own
//! counter, and, where strace is installed, by the kernel.

use super::verdict;
use crate::binary::Mutant;
use crate::checkers::durable_before_ack::{self, check_counts, check_trace};
use crate::failure::{Failure, Result};
use crate::fault;
use crate::ledger::{Ledger, Sent};
use crate::message;
use crate::random::Random;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::world::{DOMAIN, Options, World};
use std::process::Command;

/// What a run saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages acknowledged.
    pub messages: usize,
    /// What the kernel saw; `None` where there is no strace.
    pub traced: Option<durable_before_ack::Traced>,
}

/// Whether strace is there and may trace.
#[must_use]
pub fn has_strace() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    tried.is_ok_and(|status| status.success())
}

/// By the node's counter `rialto_store_syncs_total`.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn by_counter(seed: u64, mutant: Option<Mutant>) -> Result<Figures> {
    let options = Options { name: "syncs".into(), seed, mutant, ..Options::default() };
    let mut world = World::start(options).await?;
    let pairs = send_slowly(&world, seed, 20).await?;
    verdict(&check_counts(&pairs))?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(Figures { messages: pairs.len(), traced: None })
}

/// By strace.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn by_trace(seed: u64, mutant: Option<Mutant>) -> Result<Figures> {
    let trace = std::env::temp_dir().join(format!("rialto-trace-{}-{seed}", std::process::id()));
    let calls = "trace=fdatasync,fsync,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg";
    let trace_text = trace.display().to_string();
    let words =
        ["strace", "-f", "-qq", "-s", "8192", "-e", "signal=none", "-e", calls, "-o", &trace_text];
    let wrapper = words.map(str::to_owned).to_vec();
    let options = Options { name: "traced".into(), seed, mutant, wrapper, ..Options::default() };
    let mut world = World::start(options).await?;
    let pairs = send_slowly(&world, seed, 20).await?;
    // strace passes SIGTERM on only when asked; the node's end is not what is looked at here.
    fault::kill9(&mut world).await?;
    let text = String::from_utf8_lossy(&std::fs::read(&trace)?).into_owned();
    std::fs::remove_file(&trace)?;
    let traced = durable_before_ack::read_trace(&text);
    if traced.acknowledged < pairs.len() {
        let text = format!("the trace shows {traced:?}, but {} were sent", pairs.len());
        return Err(Failure(text));
    }
    verdict(&check_trace(&text))?;
    world.pass();
    Ok(Figures { messages: pairs.len(), traced: Some(traced) })
}

/// Sends messages to one recipient, each after the one before is delivered, so that no other commit
/// is under way; the sync counter before and after each.
async fn send_slowly(world: &World, seed: u64, count: usize) -> Result<Vec<(f64, f64)>> {
    let endpoint = world.endpoint()?;
    let ledger = Ledger::default();
    let mut random = Random::new(seed, 1);
    let mut client = SmtpClient::open(&endpoint, Door::Transfer, "").await?;
    let to = vec![format!("bob@{DOMAIN}")];
    let mut pairs = Vec::with_capacity(count);
    for number in 0..count {
        let id = format!("d{seed}-{number}");
        let from = "sender@chaos.example";
        let bytes = message::make(&id, from, &to, 500, &mut random);
        world.wait_for_empty_queue().await?;
        let before = world.metric("rialto_store_syncs_total").await?;
        let fate = client.send(from, &to, &bytes).await;
        let after = world.metric("rialto_store_syncs_total").await?;
        if fate != Fate::Acknowledged {
            return Err(Failure(format!("{id}: {fate:?}")));
        }
        ledger.note_sent(Sent { id, users: vec!["bob".into()], bytes, fate });
        pairs.push((before, after));
    }
    Ok(pairs)
}
