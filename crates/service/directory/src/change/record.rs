//! Audit records of administrative changes that are made elsewhere.

use super::{Effects, Plan, run};
use crate::read::{ReadResult, Reader};
use crate::service::Shared;
use async_trait::async_trait;
use base::{Result, Timestamp};
use contract_directory::Actor;

/// Writes one record, and changes nothing.
pub(crate) async fn record(
    shared: &Shared,
    actor: &Actor,
    action: &'static str,
    (target, parameters): (&str, &str),
) -> Result<()> {
    run(shared, actor, &Record { action, target, parameters }).await.map(|_| ())
}

struct Record<'a> {
    action: &'static str,
    target: &'a str,
    parameters: &'a str,
}

#[async_trait]
impl Plan for Record<'_> {
    fn action(&self) -> &'static str {
        self.action
    }

    async fn apply(&self, _: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let (target, parameters) = (self.target.to_owned(), self.parameters.to_owned());
        Ok(Effects { id: 0, changed: Vec::new(), target, parameters })
    }
}
