//! AUTH (RFC 4954): what the receive connector offers of PLAIN and LOGIN, under TLS only.
//!
//! How guessing is made slow: the directory limits attempts for each account and source, every
//! failure waits in the tarpit, and a few of them end the session (counted where replies pass by).

use crate::reply;
use crate::session::{End, Login, Outcome, Session};
use access_listener::account::may_act_as;
use base::telemetry::Printable;
use base::{Error, Kind, Result};
use codec_smtp::Reply;
use codec_smtp::sasl::{self, Credentials, LoginStep, SaslError, Secret};
use contract_directory::{Account, LoginAttempt};
use contract_mailbox::{MailboxHandle, Principal};
use contract_transport::receive::Mechanism;
use std::sync::Arc;

/// What an exchange comes to; an error is a reply to it, not the end of the session.
type Exchanged = Result<Credentials, SaslError>;

pub(crate) async fn run(
    session: &mut Session,
    mechanism: &str,
    initial: Option<Secret>,
) -> Outcome {
    if let Some(refusal) = out_of_place(session) {
        return Ok(refusal);
    }
    let offered = &session.terms.connector.auth;
    let exchanged = match offered.iter().find(|offered| offered.name() == mechanism) {
        Some(Mechanism::Plain) => plain(session, initial).await?,
        Some(Mechanism::Login) => login(session, initial).await?,
        None => return Ok(Reply::not_supported("mechanism not supported")),
    };
    match exchanged {
        Ok(credentials) => sign_in(session, &credentials).await,
        Err(SaslError::Cancelled) => Ok(Reply::auth_cancelled()),
        Err(_) => Ok(Reply::bad_auth_response()),
    }
}

fn out_of_place(session: &Session) -> Option<Reply> {
    if session.terms.connector.auth.is_empty() {
        return Some(reply::auth_not_offered());
    }
    if !session.connection.is_tls() {
        return Some(Reply::encryption_required());
    }
    if !session.client.as_ref().is_some_and(|client| client.extended) {
        return Some(Reply::bad_sequence("send EHLO first"));
    }
    if session.login.is_some() {
        return Some(Reply::bad_sequence("already authenticated"));
    }
    None
}

async fn plain(session: &mut Session, initial: Option<Secret>) -> Result<Exchanged, End> {
    let response = match initial {
        Some(initial) => Ok(initial),
        None => ask(session, "").await?,
    };
    Ok(response.and_then(|response| sasl::parse_plain(response.expose())))
}

async fn login(session: &mut Session, initial: Option<Secret>) -> Result<Exchanged, End> {
    let mut exchange = sasl::Login::new();
    let mut step = exchange.begin(initial.as_ref());
    loop {
        let challenge = match step {
            Ok(LoginStep::Ask(challenge)) => challenge,
            Ok(LoginStep::Done(credentials)) => return Ok(Ok(credentials)),
            Err(error) => return Ok(Err(error)),
        };
        let response = ask(session, challenge).await?;
        step = response.and_then(|response| exchange.answer(&response));
    }
}

/// Sends a challenge and waits for the response.
async fn ask(session: &mut Session, challenge: &str) -> Result<Result<Secret, SaslError>, End> {
    session.say(&Reply::auth_challenge(challenge));
    let line = session.line().await?;
    session.heard_response();
    Ok(line.map_err(|_| SaslError::TooLong).and_then(|line| sasl::decode_line(&line)))
}

async fn sign_in(session: &mut Session, credentials: &Credentials) -> Outcome {
    let result = check(session, credentials).await;
    let label = match &result {
        Ok(_) => "ok",
        Err(error) if error.kind == Kind::BadCredentials => "wrong",
        Err(_) => "unavailable",
    };
    metrics::counter!("rialto_smtp_logons_total", "result" => label).increment(1);
    let peer = session.connection.peer();
    let name = Printable(&credentials.authcid);
    match result {
        Ok(account) => {
            tracing::info!(session = %session.id, %peer, account = %account.id, "signed in");
            let principal = Principal::Account(account.id);
            let mailboxes = session.shared.mailboxes.clone();
            let mailbox = MailboxHandle::new(mailboxes, account.id, principal, session.id);
            session.login = Some(Login { account, mailbox: Arc::new(mailbox) });
            Ok(Reply::authenticated())
        }
        Err(error) if error.kind == Kind::BadCredentials => {
            tracing::info!(session = %session.id, %peer, %name, "sign-in refused");
            session.tarpit().await;
            Ok(Reply::auth_failed())
        }
        Err(error) => {
            if error.kind == Kind::Limit {
                session.tarpit().await;
            }
            Ok(reply::auth_later(&error))
        }
    }
}

/// The account, if name and password are right and nobody wants to act for somebody else, which
/// the name and password of one person do not allow.
async fn check(session: &Session, credentials: &Credentials) -> Result<Arc<Account>> {
    let Credentials { authzid, authcid, password } = credentials;
    let password = String::from_utf8_lossy(password.expose()).into_owned();
    let attempt = LoginAttempt {
        login: authcid.clone(),
        password: contract_directory::Secret(password),
        source: session.connection.peer().ip(),
        protocol: "smtp",
    };
    let directory = &*session.shared.directory;
    let account = directory.authenticate(&attempt).await?;
    match may_act_as(directory, &account, authcid, authzid.as_deref()).await? {
        true => Ok(account),
        false => Err(Error::new(Kind::BadCredentials, "acting for others is not offered")),
    }
}
