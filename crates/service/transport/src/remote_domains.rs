//! The remote domains: settings, and what they say of one domain.
//!
//! - `T/e/<pattern>` an entry; that for everywhere has a row once it was changed. `T/f` is written
//!   with every change.
//!
//! What goes out goes by what the node knows and costs no lookup, unless something is held back:
//! domains of ours are no remote ones.

use crate::context::Context;
use crate::service::TransportService;
use crate::table::{Setting, Settings};
use async_trait::async_trait;
use base::{Error, Kind, Result};
use contract_directory::Actor;
use contract_transport::remote::{
    EVERYWHERE, REMOTE_DOMAINS_MAX, RemoteDomain, RemoteDomainChange, RemoteDomains,
};
use std::sync::Arc;

impl Setting for RemoteDomain {
    const PREFIX: &'static [u8] = b"T/e/";
    const CHANGED: &'static [u8] = b"T/f";
    const COUNT_MAX: usize = REMOTE_DOMAINS_MAX;
    const NOUN: &'static str = "remote domain";
    const ACTION: &'static str = "domain.remote";

    fn name(&self) -> &str {
        &self.pattern
    }

    fn check(&self) -> Result<()> {
        RemoteDomain::check(self)
    }

    fn built_in(name: &str) -> Option<Self> {
        (name == EVERYWHERE).then(|| Self::open(EVERYWHERE))
    }

    fn parameters(&self) -> String {
        let Self { forwards, failures, reports, .. } = self;
        format!("forwards={forwards} failures={failures} reports={reports}")
    }
}

/// Whether something may go to a domain.
///
/// # Errors
/// Temporary ones of the directory.
pub(crate) async fn allows(
    context: &Context,
    domain: &str,
    what: impl Fn(&RemoteDomain) -> bool,
) -> Result<bool> {
    let table = context.remote_domains.table();
    if what(&RemoteDomain::of(table.values().map(|one| &**one), domain)) {
        return Ok(true);
    }
    let ours = context.directory.domains().await?;
    Ok(ours.iter().any(|one| one.name.eq_ignore_ascii_case(domain)))
}

/// The settings as this node knows them.
pub(crate) type Remote = Settings<RemoteDomain>;

#[async_trait]
impl RemoteDomains for TransportService {
    async fn remote_domains(&self) -> Result<Vec<Arc<RemoteDomain>>> {
        let table = self.context.remote_domains.reload().await?;
        let everywhere =
            (!table.contains_key(EVERYWHERE)).then(|| Arc::new(RemoteDomain::open(EVERYWHERE)));
        Ok(everywhere.into_iter().chain(table.values().cloned()).collect())
    }

    async fn create_remote_domain(
        &self,
        actor: &Actor,
        new: RemoteDomain,
    ) -> Result<Arc<RemoteDomain>> {
        if new.pattern == EVERYWHERE {
            let text = "The remote domain * is always there: change it";
            return Err(Error::new(Kind::AlreadyExists, text));
        }
        self.context.remote_domains.create(actor, new).await
    }

    async fn update_remote_domain(
        &self,
        actor: &Actor,
        pattern: &str,
        change: RemoteDomainChange,
    ) -> Result<Arc<RemoteDomain>> {
        self.context.remote_domains.update(actor, pattern, &|old| old.changed(change)).await
    }

    async fn remove_remote_domain(&self, actor: &Actor, pattern: &str) -> Result<()> {
        self.context.remote_domains.remove(actor, pattern).await
    }
}
