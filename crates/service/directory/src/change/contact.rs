//! Making contacts: entries without a mailbox that stand for somebody elsewhere.
//!
//! A contact has an address of ours, or the external one itself, so that people find it. The latter
//! is possible only in a domain whose recipients are not all here; else mail would go round.

use super::{Effects, Plan, check_domain, check_free, flow, run, set_name, take_ids};
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader};
use crate::rows::{AccountRow, Changed, NameRow, Row, Target};
use crate::service::Shared;
use crate::validate::{self, shown};
use async_trait::async_trait;
use base::{AccountId, Address, Error, Result, Timestamp};
use contract_directory::{
    Account, AccountKind, Actor, Attributes, DomainKind, MailFlow, NewContact, Quota, Role,
};

/// Makes a contact.
pub(crate) async fn create(shared: &Shared, actor: &Actor, new: NewContact) -> Result<AccountId> {
    let external = validate::member_address(&new.external)?;
    let name = validate::member_address(&new.address)?;
    if name != external {
        validate::own_address(&new.address)?;
    }
    validate::display_name(&new.display_name)?;
    let plan = CreateContact { new, is_foreign: name == external, name };
    run(shared, actor, &plan).await.map(AccountId)
}

struct CreateContact {
    new: NewContact,
    name: Name,
    /// Whether it is known by the address that it stands for.
    is_foreign: bool,
}

#[async_trait]
impl Plan for CreateContact {
    fn action(&self) -> &'static str {
        "contact.create"
    }

    async fn apply(&self, reader: Reader<'_>, now: Timestamp) -> ReadResult<Effects> {
        let NewContact { address, external, .. } = &self.new;
        let Name { domain, .. } = &self.name;
        if !self.is_foreign {
            check_domain(reader, domain).await?;
        } else if reader.domain(domain).await?.is_some_and(|row| is_all_here(row.kind)) {
            let text = format!("contact {}: nobody else has addresses there", shown(address));
            return Err(Error::invalid(text).into());
        }
        check_free(reader, &self.name, address, None).await?;
        let id = AccountId(take_ids(reader, 1).await?);
        let target = Target::Account(id);
        let account = self.account(id, now);
        flow::check_round(reader, &account).await?;
        let row = AccountRow::from(&account).to_bytes()?;
        reader.tx.set(&keys::account(id), &row);
        set_name(reader.tx, &self.name, target, true)?;
        let order = NameRow { target, primary: true }.to_bytes()?;
        reader.tx.set(&keys::contact_order(&self.name), &order);
        Ok(Effects {
            id: id.0,
            changed: vec![Changed::Account(id)],
            target: address.to_string(),
            parameters: format!("display_name={:?} external={external}", self.new.display_name),
        })
    }
}

fn is_all_here(kind: DomainKind) -> bool {
    kind == DomainKind::Authoritative
}

impl CreateContact {
    fn account(&self, id: AccountId, created: Timestamp) -> Account {
        let NewContact { address, display_name, external } = &self.new;
        let display_name = match display_name.as_str() {
            "" => &address.local,
            name => name,
        };
        let flow = MailFlow { external: Some(external.clone()), ..MailFlow::default() };
        Account {
            id,
            kind: AccountKind::Contact,
            address: Address::new(address.local.as_str(), &self.name.domain),
            aliases: Vec::new(),
            display_name: display_name.to_owned(),
            enabled: true,
            quota: Quota::default(),
            send_as: Vec::new(),
            full_access: Vec::new(),
            smtp_sent_copy: false,
            litigation_hold: false,
            role: Role::None,
            created,
            credentials: 0,
            flow,
            attributes: Attributes::default(),
        }
    }
}
