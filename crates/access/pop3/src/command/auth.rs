//! AUTH PLAIN and LOGIN (RFC 5034, RFC 4616). Alone it lists the mechanisms, as clients have asked
//! since before CAPA.

use super::capa::{MECHANISMS, may_sign_in};
use super::sign_in::{self, Claim};
use crate::phrase::Phrase;
use crate::reply::{Answer, Reply, Said, Stop};
use crate::session::Session;
use codec_pop3::Secret;
use codec_smtp::sasl::{self, Credentials, LoginStep, SaslError};

/// AUTH.
pub(crate) async fn run(
    session: &mut Session,
    mechanism: Option<&str>,
    initial: Option<Secret>,
) -> Answer {
    session.state.stranger()?;
    if !may_sign_in(session) {
        return Err(Reply::err(Phrase::UseTls).into());
    }
    let credentials = match mechanism {
        None => return Ok(list(session)),
        Some("PLAIN") => plain(session, decode(initial.as_ref())?).await?,
        Some("LOGIN") => two_steps(session, decode(initial.as_ref())?).await?,
        Some(_) => return Err(Reply::err(Phrase::NotThisMechanism).into()),
    };
    let password = String::from_utf8(credentials.password.expose().to_vec());
    let claim = Claim {
        login: credentials.authcid,
        acting_as: credentials.authzid,
        // The mechanisms take UTF-8 only.
        password: password.map_err(|_| malformed())?,
    };
    sign_in::run(session, claim).await
}

fn list(session: &mut Session) -> Said {
    session.wire.say(&Reply::ok(Phrase::Mechanisms));
    for mechanism in MECHANISMS {
        session.wire.put(mechanism);
    }
    session.wire.put(".");
    Said::All
}

/// The initial response, if there is one; `=` is an empty one (RFC 5034 §4).
fn decode(initial: Option<&Secret>) -> Result<Option<sasl::Secret>, Stop> {
    match initial.map(Secret::expose) {
        None => Ok(None),
        Some(b"=") => Ok(Some(sasl::Secret::default())),
        Some(base64) => sasl::decode_response(base64).map(Some).map_err(|_| malformed()),
    }
}

async fn plain(session: &mut Session, initial: Option<sasl::Secret>) -> Result<Credentials, Stop> {
    let response = match initial {
        Some(initial) => initial,
        None => ask(session, "").await?,
    };
    sasl::parse_plain(response.expose()).map_err(|_| malformed())
}

async fn two_steps(
    session: &mut Session,
    initial: Option<sasl::Secret>,
) -> Result<Credentials, Stop> {
    let mut exchange = sasl::Login::new();
    let mut step = exchange.begin(initial.as_ref()).map_err(|_| malformed())?;
    loop {
        match step {
            LoginStep::Done(credentials) => return Ok(credentials),
            LoginStep::Ask(challenge) => {
                let response = ask(session, challenge).await?;
                step = exchange.answer(&response).map_err(|_| malformed())?;
            }
        }
    }
}

/// Sends a challenge and takes the response.
async fn ask(session: &mut Session, challenge: &str) -> Result<sasl::Secret, Stop> {
    session.wire.challenge(challenge);
    let patience = session.patience();
    let line = session.wire.line(patience).await?.map_err(|_| malformed())?;
    match sasl::decode_line(&line) {
        Ok(response) => Ok(response),
        Err(SaslError::Cancelled) => Err(Reply::err(Phrase::GivenUp).into()),
        Err(_) => Err(malformed()),
    }
}

fn malformed() -> Stop {
    Reply::err(Phrase::Malformed).into()
}
