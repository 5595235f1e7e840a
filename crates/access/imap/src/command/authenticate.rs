//! AUTHENTICATE PLAIN and LOGIN (RFC 3501 §6.2.2, RFC 4616), with an initial response (RFC 4959).

use super::capability::may_sign_in;
use super::login::{self, Claim};
use crate::reply::{Answer, Reply, Stop};
use crate::session::Session;
use crate::state::State;
use codec_imap::command::Authenticate;
use codec_imap::{Code, Secret};
use codec_smtp::sasl;

/// AUTHENTICATE.
pub(crate) async fn run(session: &mut Session, command: Authenticate) -> Answer {
    if !matches!(session.state, State::NotAuthenticated(_)) {
        return Err(Reply::bad("You have signed in already").into());
    }
    if !may_sign_in(session) {
        return Err(Reply::no(Code::PrivacyRequired, "Use STARTTLS first").into());
    }
    let initial = command.initial.as_ref().map(own);
    let credentials = match command.mechanism.as_str() {
        "PLAIN" => plain(session, initial).await?,
        "LOGIN" => two_steps(session, initial).await?,
        _ => return Err(Reply::refused("There is no such mechanism").into()),
    };
    let password = String::from_utf8(credentials.password.expose().to_vec());
    let claim = Claim {
        login: credentials.authcid,
        acting_as: credentials.authzid,
        // The mechanisms take UTF-8 only.
        password: password.map_err(|_| malformed())?,
    };
    login::sign_in(session, claim).await
}

async fn plain(
    session: &mut Session,
    initial: Option<sasl::Secret>,
) -> Result<sasl::Credentials, Stop> {
    let response = match initial {
        Some(initial) => initial,
        None => ask(session, "").await?,
    };
    sasl::parse_plain(response.expose()).map_err(|_| malformed())
}

async fn two_steps(
    session: &mut Session,
    initial: Option<sasl::Secret>,
) -> Result<sasl::Credentials, Stop> {
    let mut exchange = sasl::Login::new();
    let mut step = exchange.begin(initial.as_ref()).map_err(|_| malformed())?;
    loop {
        match step {
            sasl::LoginStep::Done(credentials) => return Ok(credentials),
            sasl::LoginStep::Ask(challenge) => {
                let response = ask(session, challenge).await?;
                step = exchange.answer(&response).map_err(|_| malformed())?;
            }
        }
    }
}

/// Sends a challenge and takes the response.
async fn ask(session: &mut Session, challenge: &str) -> Result<sasl::Secret, Stop> {
    session.wire.invite(challenge);
    let patience = session.patience();
    let line = session.wire.line(patience).await?;
    match sasl::decode_line(&line) {
        Ok(response) => Ok(response),
        Err(sasl::SaslError::Cancelled) => Err(Reply::bad("Given up").into()),
        Err(_) => Err(malformed()),
    }
}

fn malformed() -> Stop {
    Reply::bad("That is no response of this mechanism").into()
}

fn own(secret: &Secret) -> sasl::Secret {
    sasl::Secret::new(secret.expose().to_vec())
}
