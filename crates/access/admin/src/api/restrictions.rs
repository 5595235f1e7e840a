//! Who may write to a mailbox, a contact or a group, as the API says it: by addresses.

use super::{Admin, parse_address};
use base::Error;
use contract_directory::{Party, Resolved, Restrictions, RestrictionsChange};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is to be changed; what is not named stays.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Said {
    /// All who may write to it, and no others; an empty list: everybody.
    accept_from: Option<Vec<String>>,
    /// All who may not.
    reject_from: Option<Vec<String>>,
    /// The largest message in bytes; 0 for no limit.
    receive_bytes_max: Option<u64>,
}

impl Said {
    /// As the directory takes it.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`] for an address that is nobody's here; those of the directory.
    pub(super) async fn change(&self, admin: &Admin) -> Result<RestrictionsChange, Error> {
        let Self { accept_from, reject_from, receive_bytes_max } = self;
        Ok(RestrictionsChange {
            accept_from: parties(admin, accept_from.as_deref()).await?,
            reject_from: parties(admin, reject_from.as_deref()).await?,
            receive_bytes_max: receive_bytes_max.map(limit),
        })
    }
}

/// 0 says that there is no limit.
pub(super) fn limit<T: Default + PartialEq>(said: T) -> Option<T> {
    (said != T::default()).then_some(said)
}

async fn parties(admin: &Admin, texts: Option<&[String]>) -> Result<Option<Vec<Party>>, Error> {
    let Some(texts) = texts else { return Ok(None) };
    let mut parties = Vec::with_capacity(texts.len());
    for text in texts.iter().filter(|text| !text.is_empty()) {
        parties.push(match admin.directory.resolve(&parse_address(text)?).await? {
            Resolved::Account(account) | Resolved::Contact(account) => Party::Account(account.id),
            Resolved::Group(group) => Party::Group(group.id),
            Resolved::Unknown | Resolved::Elsewhere => {
                return Err(Error::not_found(format!(
                    "{text}, among mailboxes, contacts and groups,"
                )));
            }
        });
    }
    parties.sort_unstable();
    parties.dedup();
    Ok(Some(parties))
}

/// Restrictions with the addresses of today; of whom there is not any more, the id.
pub(super) async fn view(admin: &Admin, restrictions: &Restrictions) -> Value {
    json!({
        "accept_from": names(admin, &restrictions.accept_from).await,
        "reject_from": names(admin, &restrictions.reject_from).await,
        "receive_bytes_max": restrictions.receive_bytes_max,
    })
}

async fn names(admin: &Admin, parties: &[Party]) -> Vec<String> {
    let mut names = Vec::with_capacity(parties.len());
    for party in parties {
        let found = match party {
            Party::Account(id) => {
                admin.directory.account(*id).await.map(|one| one.address.to_string())
            }
            Party::Group(id) => admin.changes.group(*id).await.map(|one| one.address.to_string()),
        };
        names.push(found.unwrap_or_else(|_| format!("{party:?}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_said_by_0() {
        assert_eq!((limit(0_u64), limit(5_u64), limit(0_u32)), (None, Some(5), None));
    }
}
