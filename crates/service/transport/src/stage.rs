//! How long each stage of a message takes (docs/operations.md lists the metric).

use crate::context::Context;
use base::env::Clock;
use std::sync::Arc;
use std::time::Duration;

/// A stage that has begun; its time is told when it is dropped, however it ended.
pub(crate) struct Stage {
    clock: Arc<dyn Clock>,
    name: &'static str,
    begun: Duration,
}

impl Stage {
    /// `rules`, `resolve`, `deliver` or `hand-over`.
    pub(crate) fn begin(context: &Context, name: &'static str) -> Self {
        let clock = context.env.clock.clone();
        Self { begun: clock.monotonic(), clock, name }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.begun);
        metrics::histogram!("rialto_transport_stage_seconds", "stage" => self.name)
            .record(took.as_secs_f64());
    }
}
