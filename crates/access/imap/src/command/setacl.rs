//! SETACL and DELETEACL (RFC 4314 §3.1, §3.2). The mailbox decides who may, and changes one entry
//! whatever others change at the same time.

use super::failed;
use super::getacl::{find, who};
use crate::reply::{Answer, Reply};
use crate::rights;
use crate::session::Session;
use codec_imap::Code;
use codec_imap::command::{AclEntry, AclMode, SetAcl};
use contract_mailbox::request::StoreMode;

/// SETACL.
pub(crate) async fn run(session: &mut Session, command: SetAcl) -> Answer {
    let Some(bits) = rights::bits(command.rights) else {
        return Err(Reply::bad("There is a right among these that does not exist here").into());
    };
    let entry = AclEntry { mailbox: command.mailbox, identifier: command.identifier };
    match command.mode {
        AclMode::Add => change(session, &entry, &[(StoreMode::Add, bits)]).await,
        AclMode::Remove => change(session, &entry, &[(StoreMode::Remove, bits)]).await,
        // What letters cannot speak of, such as free/busy times, stays.
        AclMode::Replace => {
            let others = rights::mapped() & !bits;
            let steps = [(StoreMode::Add, bits), (StoreMode::Remove, others)];
            change(session, &entry, &steps).await
        }
    }
}

/// DELETEACL.
pub(crate) async fn delete(session: &mut Session, entry: AclEntry) -> Answer {
    change(session, &entry, &[(StoreMode::Replace, 0)]).await
}

async fn change(session: &mut Session, entry: &AclEntry, steps: &[(StoreMode, u32)]) -> Answer {
    let user = session.state.user()?;
    let (located, folder) = find(&session.shared, user, &entry.mailbox).await?;
    let account = who(&session.shared, &entry.identifier).await?;
    let mailbox = &located.place.mailbox;
    if account.id == mailbox.mailbox() {
        return Err(Reply::no(Code::Cannot, "The owner always has all rights").into());
    }
    for (mode, rights) in steps {
        let done = mailbox.grant(folder, account.id, *mode, *rights).await;
        done.map_err(|error| failed("SETACL", error))?;
    }
    Ok(Reply::ok("Done"))
}
