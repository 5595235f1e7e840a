//! Adding and removing accepted domains. At most one is the default: a new default takes over.

use super::{Effects, Plan, run};
use crate::keys;
use crate::read::{ReadResult, Reader};
use crate::rows::{Changed, DomainRow, Row};
use crate::service::Shared;
use crate::validate;
use async_trait::async_trait;
use base::{Error, Kind, Result, Timestamp};
use contract_directory::{Actor, Domain, DomainKind};
use std::sync::Arc;

/// Adds an accepted domain.
pub(crate) async fn create(shared: &Shared, actor: &Actor, new: Domain) -> Result<Arc<Domain>> {
    let domain = Domain { name: validate::domain(&new.name)?, ..new };
    if domain.default && domain.kind == DomainKind::ExternalRelay {
        let text = format!("domain {}: nobody signs in to an external relay domain", domain.name);
        return Err(Error::invalid(text));
    }
    run(shared, actor, &CreateDomain(&domain)).await?;
    Ok(Arc::new(domain))
}

/// Removes an accepted domain.
pub(crate) async fn remove(shared: &Shared, actor: &Actor, name: &str) -> Result<()> {
    let name = validate::domain(name)?;
    run(shared, actor, &RemoveDomain(&name)).await.map(|_| ())
}

struct CreateDomain<'a>(&'a Domain);

#[async_trait]
impl Plan for CreateDomain<'_> {
    fn action(&self) -> &'static str {
        "domain.create"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let Domain { name, kind, default } = self.0;
        if reader.domain(name).await?.is_some() {
            let text = format!("the accepted domain {name} exists already");
            return Err(Error::new(Kind::AlreadyExists, text).into());
        }
        // Contacts may have addresses there, as long as the domain is somebody else's.
        let taken = reader.rows(&keys::names_of_domain(name), 1, false).await?;
        if *kind == DomainKind::Authoritative && !taken.is_empty() {
            let text = format!("domain {name}: contacts have addresses in it; remove them first");
            return Err(Error::new(Kind::Conflict, text).into());
        }
        reader.tx.set(&keys::domain(name), &DomainRow { kind: *kind }.to_bytes()?);
        if *default {
            reader.tx.set(keys::DEFAULT_DOMAIN, name.as_bytes());
        }
        Ok(Effects {
            id: 0,
            changed: vec![Changed::Domains],
            target: name.clone(),
            parameters: format!("kind={kind:?} default={default}"),
        })
    }
}

struct RemoveDomain<'a>(&'a str);

#[async_trait]
impl Plan for RemoveDomain<'_> {
    fn action(&self) -> &'static str {
        "domain.remove"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let name = self.0;
        if reader.domain(name).await?.is_none() {
            return Err(Error::not_found(format!("the accepted domain {name}")).into());
        }
        // An empty read conflicts with the whole range, and whoever makes an address there has
        // read the domain's row: the two cannot both commit.
        if !reader.rows(&keys::names_of_domain(name), 1, false).await?.is_empty() {
            let text = format!("domain {name}: addresses use it");
            return Err(Error::new(Kind::Conflict, text).into());
        }
        reader.tx.clear(&keys::domain(name));
        if reader.default_domain().await?.as_deref() == Some(name) {
            reader.tx.clear(keys::DEFAULT_DOMAIN);
        }
        Ok(Effects {
            id: 0,
            changed: vec![Changed::Domains],
            target: name.to_owned(),
            parameters: String::new(),
        })
    }
}
