//! BDAT (RFC 3030 §2). DATA has no arguments and needs no code.

use super::{Command, CommandError};

pub(super) fn bdat(arguments: &str) -> Result<Command, CommandError> {
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let size = words.next().unwrap_or_default();
    let is_number = (1..=20).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_digit());
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(CommandError::BadChunkSize),
    };
    match size.parse() {
        Ok(size_bytes) if is_number && words.next().is_none() => {
            Ok(Command::Bdat { size_bytes, last })
        }
        _ => Err(CommandError::BadChunkSize),
    }
}
