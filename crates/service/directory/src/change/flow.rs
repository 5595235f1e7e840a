//! Changing what happens to somebody's mail.

use crate::config::PARTIES_MAX;
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader};
use crate::validate::{self, shown};
use base::{Address, Error, Kind, Result};
use contract_directory::{
    Account, AccountKind, FlowChange, Party, Restrictions, RestrictionsChange,
};

/// Makes the change. Whether mail would go round then is for [`check_round`] to say.
///
/// # Errors
/// [`base::Kind::Invalid`] for what cannot be: an address elsewhere for a mailbox.
pub(super) fn change(account: &mut Account, change: &FlowChange) -> Result<()> {
    let is_contact = account.kind == AccountKind::Contact;
    let refuse = |why: &str| Err(Error::invalid(format!("{}: {why}", account.address)));
    if let Some(external) = &change.external {
        let name = validate::member_address(external)?;
        if !is_contact {
            return refuse("only a contact stands for an address elsewhere");
        }
        let known = account.flow.external.as_ref().and_then(Name::of);
        let is_foreign = known == Name::of(&account.address);
        let is_own = account.addresses().any(|own| name.is_of(own));
        if is_foreign != is_own {
            return refuse("what a contact is known by and what it stands for cannot become one");
        }
    }
    if let Some(Some(forwarding)) = &change.forwarding {
        validate::member_address(&forwarding.to)?;
        if is_contact {
            return refuse("a contact has no mailbox whose mail could be forwarded");
        }
    }
    if is_contact && (change.send_bytes_max.is_some() || change.recipients_max.is_some()) {
        return refuse("a contact sends nothing through us");
    }
    change.apply(&mut account.flow);
    Ok(())
}

/// Refuses an account whose mail would be sent on to the account itself. Its addresses and where its
/// mail goes on to are those that it is to have.
///
/// # Errors
/// [`Kind::Invalid`]; the store's.
pub(super) async fn check_round(reader: Reader<'_>, account: &Account) -> ReadResult<()> {
    // A contact that is known by its external address ends there.
    let is_round = |external: &&Address| Name::of(external) != Name::of(&account.address);
    let external = account.flow.external.as_ref().filter(is_round);
    let forwarding = account.flow.forwarding.as_ref().map(|forwarding| &forwarding.to);
    for to in external.into_iter().chain(forwarding) {
        if is_led_to(reader, account, to).await? {
            let text = format!("{}: {} is an address of its own", account.address, shown(to));
            return Err(Error::invalid(text).into());
        }
    }
    Ok(())
}

/// Whether mail for an address arrives at the account: it is one of its own, or one with a detail
/// that is not somebody else's as it stands.
async fn is_led_to(reader: Reader<'_>, account: &Account, to: &Address) -> ReadResult<bool> {
    let is_own = |name: &Name| account.addresses().any(|own| name.is_of(own));
    let Some(name) = Name::of(to) else { return Ok(false) };
    if is_own(&name) {
        return Ok(true);
    }
    let is_detailed = name.without_detail().is_some_and(|user| is_own(&user));
    Ok(is_detailed && reader.name(&name).await?.is_none())
}

/// Refuses lists that name whom there is not, or too many. Those who stood in them before may be
/// gone by now; that is no reason to refuse.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Limit`]; the store's.
pub(super) async fn check_parties(
    reader: Reader<'_>,
    known: &Restrictions,
    change: &RestrictionsChange,
) -> ReadResult<()> {
    let lists =
        [(&change.accept_from, &known.accept_from), (&change.reject_from, &known.reject_from)];
    for (asked, known) in lists {
        let Some(asked) = asked else { continue };
        if asked.len() > PARTIES_MAX {
            let text = format!("more than {PARTIES_MAX} people and groups in one list");
            return Err(Error::new(Kind::Limit, text).into());
        }
        for party in asked.iter().filter(|party| !known.contains(party)) {
            let key = match party {
                Party::Account(id) => keys::account(*id),
                Party::Group(id) => keys::group(*id),
            };
            if reader.tx.get(&key, reader.isolation()).await?.is_none() {
                return Err(Error::not_found(format!("{party:?}")).into());
            }
        }
    }
    Ok(())
}

/// A change for the audit, cut where its lists would not fit a row.
pub(super) fn shown_change(change: &impl std::fmt::Debug) -> String {
    const SHOWN_BYTES_MAX: usize = 20_000;
    let mut text = format!("{change:?}");
    if text.len() > SHOWN_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text.push('…');
    }
    text
}
