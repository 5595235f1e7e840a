//! Signing in to a smart host (RFC 4954): PLAIN, or LOGIN for hosts that have nothing else. Only
//! ever called under TLS. Names and passwords are never logged.

use crate::limits::COMMAND_TIME;
use crate::offer::Offer;
use crate::wire::{Trouble, Wire};
use bytes::Bytes;
use codec_smtp::sasl::{self, Secret};
use codec_smtp::{Command, Reply};

pub(crate) enum Failure {
    NoMechanism,
    Trouble(Trouble),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Signs in; gives the host's no, if it is one.
pub(crate) async fn sign_in(
    wire: &mut Wire,
    offer: Offer,
    (name, password): &(String, String),
) -> Result<Option<Reply>, Failure> {
    let reply = if offer.auth_plain {
        let response = Secret::new(format!("\0{name}\0{password}").into_bytes());
        let command = Command::Auth { mechanism: "PLAIN".to_owned(), initial: Some(response) };
        wire.command(&command, COMMAND_TIME).await?
    } else if offer.auth_login {
        let command = Command::Auth { mechanism: "LOGIN".to_owned(), initial: None };
        let mut reply = wire.command(&command, COMMAND_TIME).await?;
        for secret in [name, password] {
            if reply.code() != 334 {
                break;
            }
            reply = respond(wire, secret).await?;
        }
        reply
    } else {
        return Err(Failure::NoMechanism);
    };
    match reply.code() {
        235 => Ok(None),
        400..=599 => Ok(Some(reply)),
        code => Err(Trouble::Unexpected(code).into()),
    }
}

async fn respond(wire: &mut Wire, secret: &str) -> Result<Reply, Trouble> {
    if !wire.is_quiet() {
        return Err(Trouble::OutOfStep);
    }
    let line = Bytes::from(sasl::encode(secret.as_bytes()) + "\r\n");
    wire.sent_hidden("authentication");
    wire.send(vec![line], COMMAND_TIME).await?;
    wire.reply(COMMAND_TIME).await
}
