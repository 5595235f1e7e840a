//! One world for one test: a runtime whose time jumps, and a simulated environment.
//!
//! Time stands still while anything can run, and jumps to the next timer when everything waits
//! (tokio's paused clock). So an hour passes in a moment, in the same order each time, on a busy
//! machine too. Several worlds can exist beside each other; nothing in them is global.
//!
//! This module is not behind `cfg(test)`, because the tests of the other crates use it.

use crate::env::Env;
use crate::env::sim::Simulation;
use std::future::Future;
use std::time::Duration;

/// How much simulated time a test may take. One that still waits after that waits for something
/// that never comes.
pub const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs tests in worlds of their own.
pub struct Universe;

impl Universe {
    /// Runs a test in a new world, in which everything random follows from the seed
    /// ([`test_seed`](crate::env::sim::test_seed) gives one). When the test fails, the seed is
    /// printed.
    ///
    /// # Panics
    /// With the test, and when it takes more than [`TIME_MAX`] of simulated time.
    pub fn run<T, F: Future<Output = T>>(seed: u64, test: impl FnOnce(Env) -> F) -> T {
        Self::simulate(seed, |simulation| test(simulation.env()))
    }

    /// As [`Universe::run`], for tests that set clocks, cut connections or the power.
    ///
    /// # Panics
    /// As [`Universe::run`].
    pub fn simulate<T, F: Future<Output = T>>(seed: u64, test: impl FnOnce(Simulation) -> F) -> T {
        let _printer = SeedPrinter(seed);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => panic!("no runtime for the test: {error}"),
        };
        runtime.block_on(async {
            let test = Box::pin(test(Simulation::new(seed)));
            match tokio::time::timeout(TIME_MAX, test).await {
                Ok(result) => result,
                Err(_) => panic!("the test waits for something that never comes"),
            }
        })
    }
}

/// Prints the seed if a panic passes by.
struct SeedPrinter(u64);

impl Drop for SeedPrinter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed in a universe; replay it with RIALTO_SEED={}", self.0);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::env::Network;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What happens in one world: who was served when, and what was drawn.
    async fn story(env: Env) -> Vec<(u64, u64)> {
        let listener = env.network.listen("10.0.0.1:25".parse().unwrap()).await.unwrap();
        let clients: Vec<_> = (0..5)
            .map(|_| {
                let env = env.clone();
                tokio::spawn(async move {
                    env.clock.sleep(Duration::from_secs(env.random.below(10_000))).await;
                    let mut stream = connect(&*env.network).await;
                    stream.write_u64(env.random.u64()).await.unwrap();
                })
            })
            .collect();
        let mut served = Vec::new();
        for _ in clients {
            let (mut stream, _) = listener.accept().await.unwrap();
            served.push((env.clock.monotonic().as_secs(), stream.read_u64().await.unwrap()));
        }
        served
    }

    async fn connect(network: &dyn Network) -> Box<dyn crate::env::Stream> {
        network.connect("10.0.0.1:25".parse().unwrap()).await.unwrap()
    }

    #[test]
    fn a_seed_replays_a_world() {
        let one = Universe::run(7, story);
        assert_eq!(one, Universe::run(7, story));
        assert_ne!(one, Universe::run(8, story));
        assert!(one.is_sorted_by_key(|event| event.0));
    }

    #[test]
    fn a_test_that_hangs_fails() {
        let hang = || Universe::run(1, |_env| std::future::pending::<()>());
        assert!(catch_unwind(AssertUnwindSafe(hang)).is_err());
    }

    #[test]
    fn a_test_can_meddle_with_its_world() {
        Universe::simulate(1, async |world| {
            let before = world.env().clock.now();
            world.clock.step_ms(-1000);
            assert_eq!(world.env().clock.now(), before.plus_ms(-1000));
        });
    }
}
