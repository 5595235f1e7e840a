//! How long each stage of a message takes (docs/operations.md lists the metric).

use crate::context::Context;
use std::time::Duration;

/// A stage that has begun; its time is told when it is dropped, however it ended.
pub(crate) struct Stage<'a> {
    context: &'a Context,
    name: &'static str,
    begun: Duration,
}

impl<'a> Stage<'a> {
    /// `rules`, `resolve`, `deliver` or `hand-over`.
    pub(crate) fn begin(context: &'a Context, name: &'static str) -> Self {
        Self { context, name, begun: context.env.clock.monotonic() }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let took = self.context.env.clock.monotonic().saturating_sub(self.begun);
        metrics::histogram!("rialto_transport_stage_seconds", "stage" => self.name)
            .record(took.as_secs_f64());
    }
}
