//! The times of detection. The defaults are those that `docs/` promises; tests vary them.

use std::time::Duration;

/// See [`crate::detect`].
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// How often a node sends its [`super::Beat`].
    pub beat_every: Duration,
    /// How often [`super::Detector::tick`] is called.
    pub tick_every: Duration,
    /// A tick that comes later than this is a stop of our own: nobody is suspected for a while.
    pub own_lag_max: Duration,
    /// Silence that makes a suspicion.
    pub silence: Duration,
    /// Silence after which the leader's view is enough where no other can be had.
    pub silence_alone: Duration,
    /// A report of others older than this is none.
    pub report_age_max: Duration,
    /// Without the store for this long, a node cannot serve.
    pub store_outage: Duration,
    /// How long a node must be well after the first time it was declared dead.
    pub hold_down_first: Duration,
    /// The longest hold-down.
    pub hold_down_max: Duration,
    /// Well for this long, earlier flaps are forgotten.
    pub flaps_forgotten: Duration,
    /// For how long the leader and its peers must disagree, or a node be slow, before it is said.
    pub persistent: Duration,
    /// Slow is so many times the pace of the node in the middle ...
    pub slow_factor: u32,
    /// ... and at least this for a request.
    pub slow_min: Duration,
    /// The same for a node that lacks a processor by what it says of itself.
    pub starved_min: Duration,
    /// So late are the timers of a node that lacks a processor.
    pub starved_lag: Duration,
    /// What was told of paces longer ago is not true any more.
    pub pace_age_max: Duration,
    /// How long a node that was drained for being slow keeps out the first time. Longer than a
    /// node takes that leaves because it ends.
    pub slow_hold_first: Duration,
    /// The longest such time.
    pub slow_hold_max: Duration,
    /// A node whose store was silent for longer meanwhile is not well enough to come back.
    pub slow_store: Duration,
}

impl Settings {
    /// Whether a node that says this of itself may have slots again after it was slow.
    pub(super) fn is_sound(&self, tick_lag_ms: u32, store_silence_ms: u32) -> bool {
        u128::from(tick_lag_ms) <= self.own_lag_max.as_millis()
            && u128::from(store_silence_ms) < self.slow_store.as_millis()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            beat_every: ms(100),
            tick_every: ms(50),
            own_lag_max: ms(100),
            silence: ms(400),
            silence_alone: ms(1200),
            report_age_max: ms(350),
            store_outage: ms(1000),
            hold_down_first: ms(500),
            hold_down_max: ms(32_000),
            flaps_forgotten: ms(600_000),
            persistent: ms(10_000),
            slow_factor: 5,
            slow_min: ms(30),
            starved_min: ms(10),
            starved_lag: ms(25),
            pace_age_max: ms(12_000),
            slow_hold_first: ms(60_000),
            slow_hold_max: ms(960_000),
            slow_store: ms(500),
        }
    }
}
