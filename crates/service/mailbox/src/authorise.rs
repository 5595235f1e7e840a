//! Who may do what. The one place where a request meets a right: access crates are never trusted
//! with it.

use base::{Address, Error, Result};
use codec_mime::ParsedMessage;
use contract_directory::{Account, Directory};
use contract_mailbox::{Principal, Write};

/// Refuses a principal that may not read the mailbox.
pub(crate) fn read(owner: &Account, who: Principal) -> Result<()> {
    match who {
        Principal::System => Ok(()),
        // Sessions that are open when an account is disabled end with their next request.
        Principal::Account(_) if !owner.enabled => Err(Error::denied("The mailbox is disabled")),
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
                // Receipts that a mail program writes; they must come from their author.
                None => may_be_author(directory, &acting, &outgoing.submission.parsed).await,
            }
        }
        _ => read(owner, who),
    }
}

/// Refuses a message whose From names anybody but the account.
async fn may_be_author(
    directory: &dyn Directory,
    acting: &Account,
    parsed: &ParsedMessage,
) -> Result<()> {
    let mut authors = 0;
    for author in &parsed.envelope.from {
        let codec_mime::Address::Mailbox { mailbox, host, .. } = author else { continue };
        let (local, domain) = (String::from_utf8_lossy(mailbox), String::from_utf8_lossy(host));
        let from = Address::new(local, domain);
        if !directory.may_send_as(acting, &from).await? {
            return Err(Error::denied(format!("No right to send as {from}")));
        }
        authors += 1;
    }
    if authors == 0 {
        return Err(Error::denied("A message without a sender needs an author"));
    }
    Ok(())
}
