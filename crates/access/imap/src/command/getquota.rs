//! GETQUOTA and GETQUOTAROOT (RFC 9208 §4.1.1, §4.1.2).
//!
//! Each mailbox is one quota root, named by its owner's address. What it holds is a counter of its
//! own; what it may hold is the level from which on nothing can be received. Nothing limits the
//! number of messages, so STORAGE is the one resource. Of another's mailbox it is told to who has
//! Full Access; for other guests it has no quota root.

use super::{failed, no_such};
use crate::others::{self, Place};
use crate::reply::{Answer, Reply, Stop};
use crate::session::Session;
use crate::state::User;
use base::{Address, Kind};
use codec_imap::Code;
use codec_imap::command::{GetQuota, OfMailbox};
use codec_imap::response::{QuotaResource, Response};

/// Bytes of one unit of STORAGE.
const STORAGE_UNIT_BYTES: u64 = 1024;

/// A quota root.
struct Root {
    name: String,
    used_bytes: u64,
    limit_bytes: u64,
}

/// GETQUOTA.
pub(crate) async fn run(session: &mut Session, command: &GetQuota) -> Answer {
    let user = session.state.user()?;
    let asked = Address::parse_plain(&command.root).map(|address| address.folded());
    let root = match asked {
        Some(asked) if user.account.addresses().any(|own| own.folded() == asked) => {
            root_of(session, user).await?
        }
        Some(_) => {
            // By the name that GETQUOTAROOT gave.
            let mailbox = format!("{}{}", others::PREFIX, command.root);
            match others::locate(&session.shared, user, &mailbox).await? {
                Some(found) if matches!(found.place, Place::Other(_)) => {
                    root_of(session, &found.place).await?
                }
                _ => None,
            }
        }
        None => None,
    };
    let Some(root) = root else {
        return Err(Reply::no(Code::NonExistent, "There is no such quota root").into());
    };
    put(session, &root);
    Ok(Reply::ok("Done"))
}

/// GETQUOTAROOT.
pub(crate) async fn root(session: &mut Session, command: &OfMailbox) -> Answer {
    let user = session.state.user()?;
    let located = others::find(&session.shared, user, &command.mailbox).await?;
    if located.find().is_none() {
        return Err(no_such(&command.mailbox).into());
    }
    let root = root_of(session, &located.place).await?;
    let names: Vec<&str> = root.iter().map(|root| root.name.as_str()).collect();
    session.wire.put(&Response::QuotaRoot(command.mailbox.as_str(), &names));
    if let Some(root) = &root {
        put(session, root);
    }
    Ok(Reply::ok("Done"))
}

/// The quota root of a mailbox; `None` without a limit, and for who may not know.
async fn root_of(session: &Session, user: &User) -> Result<Option<Root>, Stop> {
    let usage = match user.mailbox.usage().await {
        Ok(usage) => usage,
        Err(error) if error.kind == Kind::Denied => return Ok(None),
        Err(error) => return Err(failed("GETQUOTA", error)),
    };
    let owner = session.shared.directory.account(user.mailbox.mailbox()).await;
    let owner = owner.map_err(|error| failed("GETQUOTA", error))?;
    let root = |limit_bytes| Root {
        name: owner.address.to_string(),
        used_bytes: usage.size_bytes,
        limit_bytes,
    };
    Ok(owner.quota.no_receive_bytes.map(root))
}

fn put(session: &mut Session, root: &Root) {
    let storage = QuotaResource {
        name: "STORAGE",
        usage: root.used_bytes.div_ceil(STORAGE_UNIT_BYTES),
        limit: root.limit_bytes / STORAGE_UNIT_BYTES,
    };
    session.wire.put(&Response::Quota(&root.name, &[storage]));
}
