//! Signing in, for PASS and AUTH: checks who it is and opens the Inbox.

use crate::phrase::Phrase;
use crate::reply::{Answer, Ending, Reply, failed};
use crate::session::Session;
use crate::state::{State, User};
use access_listener::account::may_act_as;
use base::telemetry::Printable;
use base::{Error, Kind, SessionId};
use codec_pop3::Code;
use contract_directory::{LoginAttempt, Secret};
use contract_mailbox::{MailboxHandle, Principal, SpecialUse};

use crate::maildrop::Maildrop;

/// Who somebody claims to be.
pub(crate) struct Claim {
    pub(crate) login: String,
    /// Another's mailbox, by the name given in PLAIN's authorization identity.
    pub(crate) acting_as: Option<String>,
    pub(crate) password: String,
}

/// Checks a claim and opens the mailbox. The Inbox is read from its compact index, whose size is
/// all that this depends on.
pub(crate) async fn run(session: &mut Session, claim: Claim) -> Answer {
    let source = session.wire.connection.peer().ip();
    let attempt = LoginAttempt {
        login: claim.login.clone(),
        password: Secret(claim.password),
        source,
        protocol: "pop3",
    };
    let shared = session.shared.clone();
    let account = match shared.directory.authenticate(&attempt).await {
        Ok(account) => account,
        Err(error) if matches!(error.kind, Kind::BadCredentials | Kind::Limit) => {
            tracing::info!(login = %Printable(&claim.login), %source, "sign-in refused");
            return fail(session, &error);
        }
        Err(error) => return Err(failed("sign-in", &error)),
    };
    let acting_as = claim.acting_as.as_deref();
    let may = may_act_as(&*shared.directory, &account, &claim.login, acting_as).await;
    if !may.map_err(|error| failed("sign-in", &error))? {
        return Err(Reply::because(Code::Auth, Phrase::OnlyOwnMailbox).into());
    }
    let max = shared.config.connections_per_user_max;
    let Some(place) = shared.users.enter(account.id, max) else {
        return Err(Reply::because(Code::InUse, Phrase::TooManySessions).into());
    };
    let mailbox = MailboxHandle::new(
        shared.mailboxes.clone(),
        account.id,
        Principal::Account(account.id),
        SessionId(shared.env.random.u128()),
    );
    let view = mailbox.view(SpecialUse::Inbox.folder_id()).await;
    let drop = Maildrop::open(&view.map_err(|error| failed("sign-in", &error))?);
    tracing::debug!(account = %account.address, %source, "signed in");
    let reply = totals(&drop);
    let user = User { account, mailbox, drop, read: Vec::new(), _place: place };
    session.state = State::Transaction(Box::new(user));
    Ok(reply.into())
}

/// How much there is.
pub(crate) fn totals(drop: &Maildrop) -> Reply {
    Reply::words(format!("{} messages ({} octets)", drop.count(), drop.size_bytes()))
}

/// One answer for an unknown name, a wrong password and a disabled account.
pub(crate) fn fail(session: &mut Session, error: &Error) -> Answer {
    metrics::counter!("rialto_pop3_login_failures_total").increment(1);
    let reply = match error.kind {
        // Not AUTH: a program must not ask its user for another password.
        Kind::Limit => Reply::because(Code::SysTemp, Phrase::TooManyAttempts),
        _ => Reply::because(Code::Auth, Phrase::WrongPassword),
    };
    let max = session.shared.config.failed_logins_max;
    let stranger = session.state.stranger()?;
    stranger.failures += 1;
    if stranger.failures >= max {
        return Err(Ending::Words(reply).into());
    }
    Err(reply.into())
}
