//! What became of each recipient, as it becomes known. The first word stands.

use crate::answer::{judged, said};
use crate::wire::Trouble;
use codec_smtp::Reply;
use contract_transport::courier::{Answer, Verdict};

pub(crate) struct Verdicts(Vec<Option<Verdict>>);

impl Verdicts {
    pub(crate) fn new(recipients: usize) -> Self {
        Self(vec![None; recipients])
    }

    /// Settles one recipient, unless it is settled.
    pub(crate) fn settle(&mut self, index: usize, verdict: Verdict) {
        if let Some(place) = self.0.get_mut(index) {
            place.get_or_insert(verdict);
        }
    }

    /// Settles everybody who is not.
    pub(crate) fn settle_rest(&mut self, verdict: &Verdict) {
        for place in &mut self.0 {
            place.get_or_insert_with(|| verdict.clone());
        }
    }

    /// Of all recipients.
    pub(crate) fn finish(mut self) -> Vec<Verdict> {
        // Every path settles everybody; whoever was forgotten after all is tried again.
        let forgotten = judged(0, "4.0.0", "no answer was given for this recipient");
        self.settle_rest(&Verdict::Later(forgotten));
        self.0.into_iter().flatten().collect()
    }
}

/// What a reply that is not positive means for those whom it concerns.
pub(crate) fn refused(reply: &Reply, host: &str) -> Result<Verdict, Trouble> {
    match reply.code() / 100 {
        _ if reply.code() == 421 => Err(Trouble::Closing(reply.clone())),
        4 => Ok(Verdict::Later(said(reply, host))),
        5 => Ok(Verdict::Failed(said(reply, host))),
        _ => Err(Trouble::Unexpected(reply.code())),
    }
}

/// What it means that a connection came to nothing.
pub(crate) fn broken(trouble: &Trouble, host: &str) -> Answer {
    match trouble {
        Trouble::Closing(reply) => said(reply, host),
        _ => judged(0, trouble.status(), format!("{host}: {trouble}")),
    }
}
