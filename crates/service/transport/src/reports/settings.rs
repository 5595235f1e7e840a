//! What the organisation wants of reports: one setting.
//!
//! - `T/p/reports` the setting; `T/pc` is written with every change.

use super::received;
use crate::service::TransportService;
use crate::table::{Setting, Table};
use async_trait::async_trait;
use base::Result;
use contract_directory::Actor;
use contract_transport::reports::{ReceivedReport, ReportAdmin, ReportChange, ReportSettings};
use std::sync::Arc;

/// The name of the one setting.
const NAME: &str = "reports";

impl Setting for ReportSettings {
    const PREFIX: &'static [u8] = b"T/p/";
    const CHANGED: &'static [u8] = b"T/pc";
    const COUNT_MAX: usize = 1;
    const NOUN: &'static str = "setting";
    const ACTION: &'static str = "domain.reporting";

    fn name(&self) -> &str {
        NAME
    }

    fn check(&self) -> Result<()> {
        ReportSettings::check(self)
    }

    fn built_in(name: &str) -> Option<Self> {
        (name == NAME).then(Self::default)
    }

    fn parameters(&self) -> String {
        let Self { organization, contact, tls, dmarc, inbox } = self;
        format!(
            "organization={organization} contact={contact} tls={tls} dmarc={dmarc} inbox={inbox}"
        )
    }
}

/// What is wanted now.
pub(super) fn current(table: &Table<ReportSettings>) -> Arc<ReportSettings> {
    table.get(NAME).cloned().unwrap_or_default()
}

#[async_trait]
impl ReportAdmin for TransportService {
    async fn report_settings(&self) -> Result<Arc<ReportSettings>> {
        Ok(current(&*self.context.reports.settings.reload().await?))
    }

    async fn change_reports(
        &self,
        actor: &Actor,
        change: &ReportChange,
    ) -> Result<Arc<ReportSettings>> {
        self.context.reports.settings.update(actor, NAME, &|old| old.changed(change)).await
    }

    async fn received_reports(&self, domain: &str, days: u32) -> Result<Vec<ReceivedReport>> {
        received::list(self, domain, days).await
    }
}
