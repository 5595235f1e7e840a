//! Work in the background of a node: removing blobs that nobody holds any more, and fetching the
//! policies of other domains again before they run out. In a cluster one node does it, whichever
//! owns the first slot at the time; two that do it would only be slower.

use super::membership::is_housekeeper;
use super::services::Services;
use access_listener::CancellationToken;
use base::env::Env;
use std::time::Duration;

/// How often blobs are collected while there is nothing to do.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// How many candidates one round looks at.
const COLLECT_AT_ONCE: usize = 200;

/// How often it is looked which policies of MTA-STS run out.
const REFRESH_EVERY: Duration = Duration::from_secs(3600);

/// Starts it; it ends with the token.
pub(super) fn start(env: &Env, services: &Services, stopping: CancellationToken) {
    let (clock, blobs) = (env.clock.clone(), services.blobs.clone());
    let control = services.membership.control();
    let work = async move {
        loop {
            if !is_housekeeper(&*control) {
                clock.sleep(COLLECT_EVERY).await;
                continue;
            }
            match blobs.collect(COLLECT_AT_ONCE).await {
                Ok(collected) if collected.more => {}
                Ok(_) => clock.sleep(COLLECT_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "blobs could not be collected");
                    clock.sleep(COLLECT_EVERY).await;
                }
            }
        }
    };
    let (clock, courier) = (env.clock.clone(), services.courier.clone());
    let control = services.membership.control();
    let policies = async move {
        loop {
            clock.sleep(REFRESH_EVERY).await;
            if is_housekeeper(&*control)
                && let Err(error) = courier.refresh_policies().await
            {
                tracing::warn!(%error, "policies of MTA-STS could not be gone through");
            }
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            () = work => {}
            () = policies => {}
            () = stopping.cancelled() => {}
        }
    });
}
