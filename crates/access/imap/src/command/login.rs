//! LOGIN (RFC 3501 §6.2.3), and signing in for AUTHENTICATE too.

use super::capability::{self, may_sign_in};
use super::failed;
use crate::reply::{Answer, Reply, Stop};
use crate::session::Session;
use crate::state::{Enabled, State, User};
use access_listener::account::may_act_as;
use base::telemetry::Printable;
use base::{Error, Kind, SessionId};
use codec_imap::command::Login;
use codec_imap::{Code, Limits};
use contract_directory::{LoginAttempt, Secret};
use contract_mailbox::{MailboxHandle, Principal};

/// The longest login name and password that are looked at, in bytes.
const NAME_BYTES_MAX: usize = 512;
const PASSWORD_BYTES_MAX: usize = codec_smtp::sasl::PASSWORD_BYTES_MAX;

/// Who somebody claims to be.
pub(crate) struct Claim {
    pub(crate) login: String,
    /// Another's mailbox, by the name given in PLAIN's authorization identity.
    pub(crate) acting_as: Option<String>,
    pub(crate) password: String,
}

/// LOGIN.
pub(crate) async fn run(session: &mut Session, command: Login) -> Answer {
    if !matches!(session.state, State::NotAuthenticated(_)) {
        return Err(Reply::bad("You have signed in already").into());
    }
    if !may_sign_in(session) {
        return Err(Reply::no(Code::PrivacyRequired, "Use STARTTLS first").into());
    }
    let Login { user: login, password } = command;
    let sound = login.len() <= NAME_BYTES_MAX && password.expose().len() <= PASSWORD_BYTES_MAX;
    match String::from_utf8(password.expose().to_vec()) {
        Ok(password) if sound && !login.contains('\0') => {
            sign_in(session, Claim { login, acting_as: None, password }).await
        }
        _ => fail(session, &Error::new(Kind::BadCredentials, "")),
    }
}

/// Checks a claim and opens the mailbox.
pub(crate) async fn sign_in(session: &mut Session, claim: Claim) -> Answer {
    let source = session.wire.connection.peer().ip();
    let attempt = LoginAttempt {
        login: claim.login.clone(),
        password: Secret(claim.password),
        source,
        protocol: "imap",
    };
    let shared = session.shared.clone();
    let account = match shared.directory.authenticate(&attempt).await {
        Ok(account) => account,
        Err(error) if matches!(error.kind, Kind::BadCredentials | Kind::Limit) => {
            tracing::info!(login = %Printable(&claim.login), %source, "sign-in refused");
            return fail(session, &error);
        }
        Err(error) => return Err(failed("LOGIN", error)),
    };
    let acting_as = claim.acting_as.as_deref();
    let may = may_act_as(&*shared.directory, &account, &claim.login, acting_as).await;
    if !may.map_err(|error| failed("LOGIN", error))? {
        let text = "You may open your own mailbox only";
        return Err(Reply::no(Code::AuthorizationFailed, text).into());
    }
    let max = shared.config.connections_per_user_max;
    let Some(place) = shared.registry.enter(account.id, max) else {
        return Err(Reply::no(Code::Limit, "You have too many sessions").into());
    };
    let mailbox = MailboxHandle::new(
        shared.mailboxes.clone(),
        account.id,
        Principal::Account(account.id),
        SessionId(shared.env.random.u128()),
    );
    let wake = mailbox.watch();
    tracing::debug!(account = %account.address, %source, "signed in");
    let claims = shared.claims.clone();
    let (enabled, visiting, visit) = (Enabled::default(), None, None);
    let user =
        User { account, mailbox, wake, claims, enabled, _place: Some(place), visiting, visit };
    session.state = State::Authenticated(Box::new(user));
    session.wire.framer.set_limits(Limits::AUTHENTICATED);
    Ok(Reply::ok("Signed in").code(capability::code(session)))
}

/// One answer for an unknown name, a wrong password and a disabled account.
fn fail(session: &mut Session, error: &Error) -> Answer {
    metrics::counter!("rialto_imap_login_failures_total").increment(1);
    let reply = match error.kind {
        Kind::Limit => Reply::no(Code::Limit, "Too many attempts, try later"),
        _ => Reply::no(Code::AuthenticationFailed, "Wrong name or password"),
    };
    if let State::NotAuthenticated(stranger) = &mut session.state {
        stranger.failures += 1;
        if stranger.failures >= session.shared.config.failed_logins_max {
            return Err(Stop::Last(reply, "Too many attempts"));
        }
    }
    Err(reply.into())
}
