//! Settings of the organisation that are one word each.
//!
//! - `T/o/<name>` a setting; `T/oc` is written with every change.
//!
//! Nodes go by what they know and never ask the store: one that cannot read it goes on with what it
//! knew last.

use crate::bounce::Language;
use crate::context::Context;
use crate::service::TransportService;
use crate::table::{self, Settings};
use async_trait::async_trait;
use base::{Kind, Result};
use contract_directory::Actor;
use contract_transport::setting::{
    self, OrganisationSettings, REPORT_LANGUAGE, SETTINGS_MAX, Setting,
};

impl table::Setting for Setting {
    const PREFIX: &'static [u8] = b"T/o/";
    const CHANGED: &'static [u8] = b"T/oc";
    const COUNT_MAX: usize = SETTINGS_MAX;
    const NOUN: &'static str = "setting";
    const ACTION: &'static str = "setting";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        Setting::check(self)
    }

    fn parameters(&self) -> String {
        self.value.clone()
    }
}

/// The settings as this node knows them.
pub(crate) type Organisation = Settings<Setting>;

impl Context {
    /// In which language a sender is told whose message does not tell its own.
    pub(crate) fn report_language(&self) -> Language {
        let table = self.organisation.table();
        let set = table.get(REPORT_LANGUAGE);
        set.and_then(|set| Language::of_tag(&set.value)).unwrap_or(self.config.report_language)
    }
}

#[async_trait]
impl OrganisationSettings for TransportService {
    fn setting(&self, name: &str) -> Option<String> {
        self.context.organisation.table().get(name).map(|set| set.value.clone())
    }

    async fn settings(&self) -> Result<Vec<Setting>> {
        let table = self.context.organisation.reload().await?;
        Ok(table.values().map(|set| (**set).clone()).collect())
    }

    async fn set(&self, actor: &Actor, new: Setting) -> Result<()> {
        let settings = &self.context.organisation;
        let edit = |_: &Setting| new.clone();
        match settings.update(actor, &new.name, &edit).await {
            Err(error) if error.kind == Kind::NotFound => {}
            outcome => return outcome.map(|_| ()),
        }
        match settings.create(actor, new.clone()).await {
            // Somebody else was faster.
            Err(error) if error.kind == Kind::AlreadyExists => {
                settings.update(actor, &new.name, &edit).await.map(|_| ())
            }
            outcome => outcome.map(|_| ()),
        }
    }

    async fn reset(&self, actor: &Actor, name: &str) -> Result<()> {
        setting::known(name)?;
        self.context.organisation.remove(actor, name).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::wire;

    #[test]
    fn the_row_of_a_setting_keeps_its_bytes() {
        let one = Setting::new("report_language", "de").unwrap();
        let row = wire::encode_row(1, &one).unwrap();
        assert_eq!(wire::decode_row::<Setting>(1, &row).unwrap(), one);
        assert_eq!(row.escape_ascii().to_string(), r"\x01\x0freport_language\x02de");
    }
}
