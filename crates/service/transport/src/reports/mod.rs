//! Reports that are sent to other domains, once for each day (UTC): on TLS (RFC 8460), and
//! on mail that bears their names (DMARC, RFC 9990).
//!
//! - What happens is counted in memory (`gather`), and once a minute added to rows (`tally`), in a
//!   transaction for many of them. What a node has not added when it dies is lost: a report tells
//!   how things are, not what was owed.
//! - Some time after the day's end, spread over four hours, the owner of a slot writes the report of
//!   each domain that belongs there and sends it through the queue (`send`). The message's queue id
//!   follows from day and domain, so nothing is sent twice, whoever thinks to be the owner and
//!   wherever a node dies: it is accepted once.
//! - `settings` says whether, and in whose name.
//!
//! What others report of our domains is read when it comes (`received`), and kept in the same rows.

mod dmarc;
mod gather;
mod received;
mod send;
mod settings;
mod tally;
mod tls;

use crate::context::Context;
use crate::service::TransportService;
use crate::table::{self, Settings};
use base::env::Env;
use base::{QueueId, Recent, Result, Slot, Timestamp};
use bytes::Bytes;
use contract_store::Store;
use contract_transport::reports::{RECEIVED_DAYS_MAX, ReportSettings};
use gather::Gathered;
pub(crate) use received::{is_for_us, take};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How often what was counted is added to the rows.
const ADD_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether a report is due.
const SEND_EVERY: Duration = Duration::from_secs(300);

/// How many domains are remembered that do or do not want reports.
const DOMAINS_MAX: usize = 16_384;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// How long after the day's end the first report goes: all nodes have added what they counted, in
/// milliseconds.
const QUIET_MS: i64 = 600_000;

/// Over which time reports are spread, in milliseconds (RFC 8460 §4.1: up to four hours).
const SPREAD_MS: u64 = 4 * 3600 * 1000;

/// For how long it is tried to send a report, in milliseconds; shorter than queue ids are
/// remembered.
const TRY_MS: i64 = 18 * 3600 * 1000;

/// For how many days rows are kept that nobody sends.
const UNSENT_DAYS: u32 = 3;

/// By which a message of ours says that it goes whatever its recipients' domains ask for (RFC 8689
/// §5).
const DESPITE_POLICIES: &[u8] = b"TLS-Required: No\r\n";

/// What a report is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
    Tls,
    Dmarc,
    /// Of others, about our domains.
    TlsReceived,
    DmarcReceived,
}

impl Kind {
    /// Those that are sent.
    const SENT: [Self; 2] = [Self::Tls, Self::Dmarc];

    const ALL: [Self; 4] = [Self::Tls, Self::Dmarc, Self::TlsReceived, Self::DmarcReceived];

    /// In keys and names; never changed.
    fn letter(self) -> u8 {
        match self {
            Self::Tls => b't',
            Self::Dmarc => b'd',
            Self::TlsReceived => b'T',
            Self::DmarcReceived => b'D',
        }
    }

    /// For people, metrics and identifiers.
    fn word(self) -> &'static str {
        match self {
            Self::Tls | Self::TlsReceived => "tls",
            Self::Dmarc | Self::DmarcReceived => "dmarc",
        }
    }

    /// The most records of one report. Those on TLS may be long: each has its policy.
    fn records_max(self) -> u32 {
        match self {
            Self::Tls => 200,
            Self::Dmarc => 2_000,
            Self::TlsReceived | Self::DmarcReceived => 1_000,
        }
    }

    /// For how many days rows are kept.
    fn days_kept(self) -> u32 {
        match self {
            Self::Tls | Self::Dmarc => UNSENT_DAYS,
            Self::TlsReceived | Self::DmarcReceived => RECEIVED_DAYS_MAX,
        }
    }

    fn is_wanted(self, settings: &ReportSettings) -> bool {
        match self {
            Self::Tls => settings.tls,
            Self::Dmarc => settings.dmarc,
            Self::TlsReceived | Self::DmarcReceived => false,
        }
    }
}

/// One report: of a day, for a domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Subject {
    kind: Kind,
    /// Days since 1970.
    day: u32,
    /// In ASCII, lower case.
    domain: String,
}

impl Subject {
    /// What says which one it is, all else being equal.
    fn hash(&self, with_day: bool) -> [u8; 32] {
        let day = if with_day { self.day } else { 0 };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[self.kind.letter()]).update(&day.to_be_bytes());
        hasher.update(self.domain.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The day's beginning and end.
    fn range_ms(&self) -> (i64, i64) {
        let begin = i64::from(self.day) * DAY_MS;
        (begin, begin + DAY_MS)
    }

    /// When its report goes, at the same time every day.
    fn due(&self) -> Timestamp {
        let [a, b, c, d, e, f, g, h, ..] = self.hash(false);
        let spread = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % SPREAD_MS;
        let spread = i64::try_from(spread).unwrap_or_default();
        Timestamp { unix_ms: self.range_ms().1 + QUIET_MS + spread }
    }

    /// The queue id of its report.
    fn queue(&self) -> QueueId {
        let hash = self.hash(true);
        let random = hash.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        QueueId::new(self.due(), random)
    }

    /// The slot whose owner sends it.
    fn slot(&self, context: &Context) -> Slot {
        context.control.slot_of_hop(&[&[self.kind.letter()], self.domain.as_bytes()].concat())
    }
}

/// The day of a moment.
fn day(at: Timestamp) -> u32 {
    u32::try_from(at.unix_ms / DAY_MS).unwrap_or_default()
}

/// What this node knows of reports.
pub(crate) struct Reports {
    settings: Arc<Settings<ReportSettings>>,
    gathered: Gathered,
    /// Which domains want reports on TLS, and since when that is known.
    wishes: Recent<String, (Duration, bool)>,
    /// One permit: reports of strangers are read one after the other.
    reading: Arc<Semaphore>,
}

impl Reports {
    fn wanted(&self) -> Arc<ReportSettings> {
        settings::current(&self.settings.table())
    }
}

/// Begins to know what is wanted.
///
/// # Errors
/// The store's.
pub(crate) async fn start(store: &Arc<dyn Store>, env: &Env) -> Result<Reports> {
    let settings = table::start(store, env).await?;
    let (gathered, wishes) = (Gathered::default(), Recent::new(DOMAINS_MAX));
    Ok(Reports { settings, gathered, wishes, reading: Arc::new(Semaphore::new(1)) })
}

/// Adds what is counted and sends what is due, for as long as the service lives.
pub(crate) fn keep(service: &Arc<TransportService>) {
    tokio::spawn(keep_adding(Arc::downgrade(service)));
    tokio::spawn(keep_sending(Arc::downgrade(service)));
}

/// Adds what was counted to the rows, for as long as the service lives.
async fn keep_adding(service: Weak<TransportService>) {
    while let Some(context) = pause(&service, ADD_EVERY).await {
        send::add(&context).await;
    }
}

/// Sends what is due, for as long as the service lives.
async fn keep_sending(service: Weak<TransportService>) {
    while let Some(context) = pause(&service, SEND_EVERY).await {
        if let Err(error) = send::send_due(&context).await {
            tracing::debug!(%error, "reports cannot be looked for now");
        }
    }
}

async fn pause(service: &Weak<TransportService>, time: Duration) -> Option<Arc<Context>> {
    let env = service.upgrade()?.context.env.clone();
    env.clock.sleep(time).await;
    Some(service.upgrade()?.context.clone())
}

/// Forgets the rows that nobody has sent, and what others reported long ago: one node does it for
/// all.
///
/// # Errors
/// The store's.
pub(crate) async fn forget_old(context: &Context) -> Result<()> {
    tally::forget(&context.store, day(context.env.clock.now())).await
}

/// The field that says so, to be put in front.
fn despite_policies() -> Bytes {
    Bytes::from_static(DESPITE_POLICIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_its_time_and_its_name() {
        let subject = |day, domain: &str| Subject { kind: Kind::Tls, day, domain: domain.into() };
        let one = subject(20_000, "a.test");
        let (begin, end) = one.range_ms();
        assert_eq!((begin, end), (1_728_000_000_000, 1_728_086_400_000));
        assert_eq!(day(Timestamp { unix_ms: begin }), 20_000);
        assert_eq!(day(Timestamp { unix_ms: end - 1 }), 20_000);
        for domain in ["a.test", "b.test", "c.test", "d.test"] {
            let due = subject(20_000, domain).due().unix_ms - end;
            assert!((QUIET_MS..QUIET_MS + 4 * 3_600_000).contains(&due), "{domain}: {due}");
            let next = subject(20_001, domain);
            assert_eq!(next.due().unix_ms - end, due + DAY_MS);
            assert_ne!(next.queue(), subject(20_000, domain).queue());
        }
        assert_eq!(one.queue(), one.clone().queue());
        assert_ne!(one.queue(), subject(20_000, "b.test").queue());
        assert_eq!(one.queue().accepted_at(), one.due());
        const { assert!(TRY_MS < contract_transport::rows::ENDED_KEEP_MS) }
    }
}
