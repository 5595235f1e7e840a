//! Who may do what. The one place where a request meets a right: access crates are never trusted
//! with it.

use base::{Error, Result};
use contract_directory::{Account, Directory};
use contract_mailbox::{Principal, Write};

/// Refuses a principal that may not read the mailbox.
pub(crate) fn read(owner: &Account, who: Principal) -> Result<()> {
    match who {
        Principal::System => Ok(()),
        Principal::Account(account) if account == owner.id => Ok(()),
        Principal::Account(account) if owner.full_access.contains(&account) => Ok(()),
        Principal::Account(_) | Principal::Transport => {
            Err(Error::denied("No right to open this mailbox"))
        }
    }
}

/// Refuses a principal that may not make this change.
pub(crate) async fn write(
    directory: &dyn Directory,
    owner: &Account,
    who: Principal,
    request: &Write,
) -> Result<()> {
    match (request, who) {
        (Write::Deliver(_), Principal::Transport) => Ok(()),
        (Write::Deliver(_), _) => Err(Error::denied("Only the transport service delivers")),
        (Write::Submit(outgoing), Principal::Account(account)) => {
            read(owner, who)?;
            let envelope = &outgoing.submission.envelope;
            if envelope.authenticated != Some(account) {
                return Err(Error::denied("The envelope names somebody else as its sender"));
            }
            let acting = directory.account(account).await?;
            match &envelope.sender {
                Some(from) if directory.may_send_as(&acting, from).await? => Ok(()),
                Some(from) => Err(Error::denied(format!("No right to send as {from}"))),
                // Reports under the null sender are the transport service's alone.
                None => Err(Error::denied("No right to send without a sender")),
            }
        }
        _ => read(owner, who),
    }
}
