//! Scanners: their settings, and what they have said of messages, as tracking tells it.
//!
//! - `T/s/<name>` a scanner; `T/sv` is written with every change.
//!
//! Sessions ask what the node knows and never the store: a node that cannot read it goes on with
//! what it knew last.

use crate::context::Context;
use crate::service::TransportService;
use crate::table::{self, Derived, Setting, Settings, Table};
use async_trait::async_trait;
use base::env::Env;
use base::{Result, Timestamp};
use contract_directory::{Actor, RECIPIENTS_LEVEL};
use contract_store::{Store, body, transact};
use contract_transport::Submission;
use contract_transport::scanner::{SCANNERS_MAX, Scanner, ScannerChange, ScannerSettings};
use contract_transport::tracking::{Event, Involved, Origin, Tracked, record};
use futures::FutureExt;
use std::sync::Arc;

impl Setting for Scanner {
    const PREFIX: &'static [u8] = b"T/s/";
    const CHANGED: &'static [u8] = b"T/sv";
    const COUNT_MAX: usize = SCANNERS_MAX;
    const NOUN: &'static str = "scanner";
    const ACTION: &'static str = "scanner";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        Scanner::check(self)
    }

    fn parameters(&self) -> String {
        let Self { enabled, order, place, deadline_ms, size_bytes_max, connections_max, .. } = self;
        format!(
            "enabled={enabled} order={order} protocol={} place={place} sees={} on_failure={} \
             on_found={} deadline_ms={deadline_ms} size_bytes_max={size_bytes_max} \
             connections_max={connections_max}",
            self.language.word(),
            self.sees.word(),
            self.on_failure.word(),
            self.on_found.word(),
        )
    }
}

/// The scanners as this node knows them.
pub(crate) struct Scanning {
    settings: Arc<Settings<Scanner>>,
    ordered: Derived<Scanner, Vec<Arc<Scanner>>>,
}

/// Begins to follow the settings.
///
/// # Errors
/// The store's.
pub(crate) async fn start(store: &Arc<dyn Store>, env: &Env) -> Result<Scanning> {
    let settings = Arc::new(Settings::new(store.clone(), env.clone()));
    // No message may pass because they are not known yet.
    settings.reload().await?;
    tokio::spawn(table::follow(Arc::downgrade(&settings)));
    Ok(Scanning { settings, ordered: Derived::default() })
}

impl Scanning {
    fn of(&self, table: Arc<Table<Scanner>>) -> Arc<Vec<Arc<Scanner>>> {
        let ordered = self.ordered.of(table, |table| {
            let mut all: Vec<_> = table.values().cloned().collect();
            // By name within an order, since the table is sorted so.
            all.sort_by_key(|scanner| scanner.order);
            Ok(all)
        });
        ordered.unwrap_or_default()
    }
}

#[async_trait]
impl ScannerSettings for TransportService {
    fn scanner_table(&self) -> Arc<Vec<Arc<Scanner>>> {
        self.scanning.of(self.scanning.settings.table())
    }

    async fn scanners(&self) -> Result<Arc<Vec<Arc<Scanner>>>> {
        Ok(self.scanning.of(self.scanning.settings.reload().await?))
    }

    async fn create_scanner(&self, actor: &Actor, new: Scanner) -> Result<Arc<Scanner>> {
        self.scanning.settings.create(actor, new).await
    }

    async fn update_scanner(
        &self,
        actor: &Actor,
        name: &str,
        change: ScannerChange,
    ) -> Result<Arc<Scanner>> {
        self.scanning.settings.update(actor, name, &|old| change.applied(old)).await
    }

    async fn remove_scanner(&self, actor: &Actor, name: &str) -> Result<()> {
        self.scanning.settings.remove(actor, name).await
    }
}

/// What scanners have said of a message that is accepted.
pub(crate) fn said(
    context: &Context,
    submission: &Submission,
    accepted: Timestamp,
) -> Vec<Tracked> {
    // Older nodes do not know the event.
    if context.control.feature_level() < RECIPIENTS_LEVEL {
        return Vec::new();
    }
    Tracked::scanned((accepted, context.control.node()), submission).collect()
}

/// Tracks a message that came whole and was not accepted.
///
/// # Errors
/// The store's.
pub(crate) async fn refused(
    context: &Context,
    submission: &Submission,
    about: Vec<Involved>,
) -> Result<()> {
    let place = (context.env.clock.now(), context.control.node());
    let event = Tracked::begun(place, (Event::Fail, Origin::Agent), submission).about(about);
    let write = body(event, |event, tx, _| {
        async move {
            record(tx, event)?;
            Ok(())
        }
        .boxed()
    });
    transact(&context.store, write).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::wire;
    use contract_transport::scanner::{Language, OnFailure, OnFound, Sees};

    fn one() -> Scanner {
        let place = "unix:/run/clamav/clamd.ctl".parse().unwrap();
        Scanner {
            sees: Sees::Strangers,
            on_failure: OnFailure::Junk,
            on_found: OnFound::Discard,
            ..Scanner::new("av", Language::Clamd, place)
        }
    }

    #[test]
    fn the_row_of_a_scanner_keeps_its_bytes() {
        let row = wire::encode_row(1, &one()).unwrap();
        assert_eq!(wire::decode_row::<Scanner>(1, &row).unwrap(), one());
        assert_eq!(row.escape_ascii().to_string(), GOLDEN);
    }

    /// Version; name; enabled; order; protocol; place; sees; failure; found; time; size;
    /// connections.
    const GOLDEN: &str = concat!(
        r"\x01\x02av\x01d\x00\x01\x15/run/clamav/clamd.ctl",
        r"\x00\x02\x01\xfb0u\xfc\x00\x00\x90\x012",
    );

    #[test]
    fn the_audit_says_everything() {
        assert_eq!(
            Setting::parameters(&one()),
            "enabled=true order=100 protocol=clamd place=unix:/run/clamav/clamd.ctl \
             sees=strangers on_failure=junk on_found=discard deadline_ms=30000 \
             size_bytes_max=26214400 connections_max=50"
        );
    }
}
