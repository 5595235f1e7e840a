//! A node that is stopped (SIGSTOP) in the middle of a load and goes on later loses nothing and
//! doubles nothing: clients only wait. What a stalled virtual machine or a long pause looks like.

use super::{Tier, ask, gather, liveness, verdict};
use crate::checkers;
use crate::failure::{Failure, Result};
use crate::fault;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::workload::{self, Load};
use crate::world::{Options, World};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Runs it; how many acknowledgements there were.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(tier: Tier, seed: u64) -> Result<u64> {
    let mut world =
        World::start(Options { name: "frozen".into(), seed, ..Options::default() }).await?;
    let endpoint = world.endpoint()?;
    let ledger = Arc::new(Ledger::default());
    let mut random = Random::new(seed, 3);
    let load = Load {
        seed,
        round: 1,
        senders: 4,
        shelvers: 3,
        users: world.users(),
        each: tier.pick(30, 300),
    };
    let running = workload::start(&endpoint, &load, &ledger);
    for _ in 0..tier.pick(3, 10) {
        sleep(Duration::from_millis(100) + random.below_ms(300)).await;
        fault::freeze(&world)?;
        sleep(Duration::from_millis(500) + random.below_ms(1_000)).await;
        fault::thaw(&world)?;
    }
    running.finish().await;
    if let [first, ..] = ledger.trouble().as_slice() {
        return Err(Failure(format!("a client met more than a wait: {first}")));
    }
    world.wait_for_empty_queue().await?;
    let evidence = gather(&world, &endpoint, &ledger).await?;
    let mut violations = checkers::judge(&evidence);
    violations.extend(ask(&world, &evidence).await?);
    verdict(&violations)?;
    liveness(&endpoint, &ledger, &format!("l{seed}"), "carol").await?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(ledger.acknowledged())
}
