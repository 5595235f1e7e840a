//! AUTH (RFC 4954 §4).

use super::{Command, CommandError, Line};
use crate::sasl::{self, Secret};

pub(super) fn parse(arguments: &str) -> Result<Command, CommandError> {
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(CommandError::MissingArgument)?;
    if !sasl::is_mechanism_name(mechanism) {
        return Err(CommandError::BadMechanism);
    }
    let initial = match words.next() {
        None => None,
        Some("=") => Some(Secret::default()),
        Some(response) => Some(
            sasl::decode_response(response.as_bytes())
                .map_err(|_| CommandError::BadInitialResponse)?,
        ),
    };
    if words.next().is_some() {
        return Err(CommandError::UnexpectedArgument);
    }
    Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial })
}

pub(super) fn put_initial(line: &mut Line<'_>, initial: Option<&Secret>) {
    match initial {
        None => {}
        Some(initial) if initial.expose().is_empty() => line.put(&[" ="]),
        Some(initial) => line.put(&[" ", &sasl::encode(initial.expose())]),
    }
}
