//! Heartbeats out, ticks, and the probe of the store: each a task of its own, so that none delays
//! another.

use super::exchange::send_beat;
use super::shared::Core;
use crate::detect::{Beat, Vitals, recipients};
use base::{Error, Kind};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the store is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// An answer that takes longer is none.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// Tells others that this node is there, from [`super::ClusterNode::begin`] on.
pub(super) async fn beat(core: Arc<Core>) {
    loop {
        if core.has_begun()
            && let Err(error) = send_beats(&core)
        {
            tracing::warn!(%error, "no heartbeat");
        }
        core.env.clock.sleep(core.options.detect.beat_every).await;
    }
}

fn send_beats(core: &Core) -> Result<(), Error> {
    let (state, leader) = (core.state(), core.raft.leadership().borrow().leader);
    let beat = {
        let detector = core.detector.lock();
        let vitals = Vitals {
            tick_lag_ms: detector.tick_lag_ms(),
            store_silence_ms: ms(core.store_silence()),
            raft_sync_ms: core.raft.last_sync_ms(),
            command_p99_ms: core.command_p99_ms.load(Ordering::Relaxed),
            // No service tells how full its inboxes are; a full one shows in the commands' times.
            inbox_percent: 0,
        };
        Beat { node: core.me, boot: core.boot, vitals, hears: detector.hears(core.now()) }
    };
    let bytes = beat.encode()?;
    for to in recipients(&state, core.me, leader) {
        send_beat(&core.links, to, &bytes)?;
    }
    Ok(())
}

pub(super) fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Keeps the detector's time.
pub(super) async fn tick(core: Arc<Core>) {
    let (mut led, mut before) = (false, None);
    loop {
        let leadership = *core.raft.leadership().borrow();
        let leads = leadership.is_me;
        {
            let state = core.state();
            let mut detector = core.detector.lock();
            let now = core.now();
            detector.tick(now);
            detector.store_silence(core.store_silence());
            detector.quorum_silence(core.raft.quorum_silence().unwrap_or_default());
            if leads && !led {
                detector.begin_to_lead(now, &state, before);
            }
        }
        led = leads;
        // While nobody leads, beats still go to whoever did last, as far as their senders know.
        before = leadership.leader.or(before);
        core.env.clock.sleep(core.options.detect.tick_every).await;
    }
}

/// Stands for election where the leader has fallen silent and this node is the next.
pub(super) async fn stand(core: Arc<Core>) {
    let lease = core.options.raft.lease;
    let mut stood_in = None;
    loop {
        core.env.clock.sleep(core.options.detect.tick_every).await;
        let leadership = *core.raft.leadership().borrow();
        let Some(leader) = leadership.leader.filter(|_| core.has_begun()) else { continue };
        let Some(silence) = core.raft.silence_of(leader) else { continue };
        // Once for each term: if nothing comes of it, Raft's own time-outs go on from there.
        if silence < lease || stood_in == Some(leadership.term) {
            continue;
        }
        let applied = core.raft.applied().borrow().clone();
        let stands = {
            let (detector, last) = (core.detector.lock(), (leader, silence));
            detector.should_stand(core.now(), &applied.state, last, lease, &applied.voters)
        };
        if stands {
            stood_in = Some(leadership.term);
            tracing::info!(%leader, ?silence, "the leader is silent: standing for election");
            if core.raft.stand().await.is_err() {
                return;
            }
        }
    }
}

/// Asks the store whether it is there, and whose it is; again and again, whether or not it has
/// answered: one slow answer is no outage.
pub(super) async fn probe(core: Arc<Core>) {
    let mut asked = FuturesUnordered::new();
    let mut is_well = true;
    loop {
        core.raft.hinder(!core.has_store());
        // As many as fit into the time that each may take, so there is always a place.
        asked.push(tokio::time::timeout(PROBE_TIME, core.probe_store()));
        let next = core.env.clock.sleep(PROBE_EVERY);
        tokio::pin!(next);
        loop {
            let answer = tokio::select! {
                () = &mut next => break,
                Some(answer) = asked.next() => answer,
            };
            let error = match answer {
                Ok(Ok(())) => {
                    *core.store_answered.lock() = core.now();
                    core.raft.hinder(false);
                    None
                }
                Ok(Err(error)) => Some(error),
                Err(_) => Some(Error::new(Kind::Timeout, "no answer in time")),
            };
            match error {
                Some(error) if is_well && !core.has_store() => {
                    tracing::warn!(%error, silence = ?core.store_silence(), "the store is silent");
                    is_well = false;
                }
                None if !is_well => {
                    tracing::info!("the store answers again");
                    is_well = true;
                }
                _ => {}
            }
        }
    }
}

/// While nobody is heard: looks in the store whether others have taken this node's slots. In touch
/// with them it hears of that from Raft, and from every write.
pub(super) async fn look(core: Arc<Core>) {
    loop {
        core.env.clock.sleep(PROBE_EVERY).await;
        if core.has_begun() && !core.is_in_touch() {
            // Without the store there is nothing to be seen; the probe says so.
            let _unseen = tokio::time::timeout(PROBE_TIME, core.fences.look()).await;
        }
    }
}
