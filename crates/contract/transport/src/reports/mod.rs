//! Reports about authentication and TLS that domains exchange, once a day: what whoever sends or
//! checks mail tells ([`tls`], [`dmarc`]), and what the organisation wants of it ([`ReportSettings`]).
//!
//! Telling never waits and never fails: the transport service counts in memory, adds to what the
//! store has now and then, and writes the reports. What a node has counted and not yet added is
//! lost with it.

pub mod dmarc;
pub mod tls;

use crate::connector::is_host;
use async_trait::async_trait;
use base::{Address, Error, Result, Timestamp};
use contract_directory::Actor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest name of an organisation, in bytes.
const ORGANIZATION_BYTES_MAX: usize = 200;

/// The longest address, in bytes (RFC 5321 §4.5.3.1.3).
const ADDRESS_BYTES_MAX: usize = 254;

/// What the organisation wants of reports.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReportSettings {
    /// Who reports, as others read it.
    pub organization: String,
    /// Whom to ask about a report, and its author: an address of a domain of ours whose mail is
    /// signed. Empty while nobody is.
    pub contact: String,
    /// Whether reports about TLS are sent (RFC 8460).
    pub tls: bool,
    /// Whether aggregate reports about authentication are sent (DMARC, RFC 9990).
    pub dmarc: bool,
    /// Where others are asked to send reports about our domains; what comes there is read. Empty
    /// for nowhere.
    pub inbox: String,
}

/// What to change of [`ReportSettings`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReportChange {
    /// Who reports.
    pub organization: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Whether reports about TLS are sent.
    pub tls: Option<bool>,
    /// Whether reports about authentication are sent.
    pub dmarc: Option<bool>,
    /// Where reports about our domains come.
    pub inbox: Option<String>,
}

impl ReportSettings {
    /// Refuses what can never work.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`].
    pub fn check(&self) -> Result<()> {
        let Self { organization, contact, tls, dmarc, inbox } = self;
        if organization.len() > ORGANIZATION_BYTES_MAX || organization.chars().any(char::is_control)
        {
            return Err(Error::invalid("reports: that is no name of an organisation"));
        }
        for (what, address) in [("contact", contact), ("inbox", inbox)] {
            let is_fine = address.len() <= ADDRESS_BYTES_MAX && read(address).is_some();
            if !address.is_empty() && !is_fine {
                let shown = address.escape_debug();
                return Err(Error::invalid(format!("reports: {what}: \"{shown}\" is no address")));
            }
        }
        if (*tls || *dmarc) && (organization.trim().is_empty() || contact.is_empty()) {
            let text = "reports that are sent need the organisation's name and a contact address";
            return Err(Error::invalid(text));
        }
        Ok(())
    }

    /// They, changed.
    #[must_use]
    pub fn changed(&self, change: &ReportChange) -> Self {
        let ReportChange { organization, contact, tls, dmarc, inbox } = change.clone();
        Self {
            organization: organization.unwrap_or_else(|| self.organization.clone()),
            contact: contact.unwrap_or_else(|| self.contact.clone()),
            tls: tls.unwrap_or(self.tls),
            dmarc: dmarc.unwrap_or(self.dmarc),
            inbox: inbox.unwrap_or_else(|| self.inbox.clone()),
        }
    }

    /// Whom to ask, as an address.
    pub fn contact(&self) -> Option<Address> {
        read(&self.contact)
    }

    /// Where reports about our domains come, as an address.
    pub fn inbox(&self) -> Option<Address> {
        read(&self.inbox)
    }
}

/// Something that another organisation has reported of a domain of ours, summed up for a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceivedReport {
    /// The day's beginning (UTC).
    pub day: Timestamp,
    /// `dmarc` or `tls`.
    pub kind: String,
    /// Who reports.
    pub reporter: String,
    /// Which host has sent, or of TLS which of ours was reached; empty where that is not told.
    pub source: String,
    /// Whether all was well: authenticated, or encrypted.
    pub passed: bool,
    /// How, or why not.
    pub detail: String,
    /// How many messages or sessions.
    pub count: u64,
}

/// How many days back reports of others are kept.
pub const RECEIVED_DAYS_MAX: u32 = 90;

/// The most that is told at once of reports of others.
pub const RECEIVED_MAX: usize = 10_000;

/// An address of plain ASCII in the domain of a host: what every record and every reader takes.
fn read(text: &str) -> Option<Address> {
    let address = Address::parse_plain(text)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_fine = address.local.chars().all(plain) && is_host(&address.domain);
    is_fine.then_some(address)
}

/// Administering reports.
#[async_trait]
pub trait ReportAdmin: Send + Sync + 'static {
    /// What is wanted, as it is stored now.
    ///
    /// # Errors
    /// Temporary ones only.
    async fn report_settings(&self) -> Result<Arc<ReportSettings>>;

    /// Changes it: one transaction with its audit record, in effect on every node within about a
    /// second.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`].
    async fn change_reports(
        &self,
        actor: &Actor,
        change: &ReportChange,
    ) -> Result<Arc<ReportSettings>>;

    /// What others have reported of a domain in the last days, the latest first; at most
    /// [`RECEIVED_MAX`].
    ///
    /// # Errors
    /// Temporary ones only.
    async fn received_reports(&self, domain: &str, days: u32) -> Result<Vec<ReceivedReport>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_reported_with_is_refused() {
        let check = |organization: &str, contact: &str, tls: bool, inbox: &str, is_fine: bool| {
            let (organization, contact) = (organization.to_owned(), contact.to_owned());
            let inbox = inbox.to_owned();
            let settings = ReportSettings { organization, contact, tls, dmarc: false, inbox };
            assert_eq!(settings.check().is_ok(), is_fine, "{settings:?}");
        };
        check("", "", false, "", true);
        check("Rialto", "reports@rialto.test", true, "", true);
        check("Rialto", "reports@rialto.test", true, "in+tls@rialto.test", true);
        check("", "reports@rialto.test", true, "", false);
        check("Rialto", "", true, "", false);
        check("Rialto", "reports", false, "", false);
        check("Rialto", "a b@rialto.test", false, "", false);
        check("Rialto", "a,b@rialto.test", false, "", false);
        check("Rialto", "", false, "a@x..test", false);
        check("a\r\nb", "", false, "", false);
        check(&"x".repeat(201), "", false, "", false);
    }

    #[test]
    fn the_row_of_the_settings_keeps_its_bytes() {
        let settings = ReportSettings {
            organization: "R".into(),
            contact: "c@r.test".into(),
            tls: true,
            dmarc: false,
            inbox: "i@r.test".into(),
        };
        let row = base::wire::encode_row(1, &settings).map(|row| row.escape_ascii().to_string());
        let golden = r"\x01\x01R\x08c@r.test\x01\x00\x08i@r.test";
        assert_eq!(row.ok().as_deref(), Some(golden));
    }
}
