//! The one serialisation of durable rows and of messages between nodes: bincode with a limit.
//!
//! A durable row starts with a version byte, so that a later feature level can change its shape
//! and still read what stands in the store ([`encode_row`], [`decode_row`]). Messages between
//! nodes carry their version in the frame instead ([`encode`], [`decode`]). Golden vectors guard
//! the byte forms; swapping the serialiser means changing this file and nothing else.

use crate::error::{Error, Result};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// The most that one encoded value may take, in bytes; larger things travel as blobs.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<VALUE_BYTES_MAX>()
}

/// Encodes a message.
///
/// # Errors
/// [`Kind::Internal`](crate::Kind::Internal) if the value cannot be represented.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    match bincode::serde::encode_to_vec(value, config()) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(error) => Err(Error::internal(format!("encode {}: {error}", name::<T>()))),
    }
}

/// Decodes a message; all of `bytes` must be used up.
///
/// # Errors
/// [`Kind::Corrupt`](crate::Kind::Corrupt) if the bytes are no such value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match bincode::serde::decode_from_slice(bytes, config()) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => {
            Err(Error::corrupt(format!("{}: {} bytes left over", name::<T>(), bytes.len() - used)))
        }
        Err(error) => Err(Error::corrupt(format!("{}: {error}", name::<T>()))),
    }
}

/// Encodes a durable row: the version byte, then the value.
///
/// # Errors
/// As [`encode`].
pub fn encode_row<T: Serialize + ?Sized>(version: u8, value: &T) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(128);
    bytes.push(version);
    match bincode::serde::encode_into_std_write(value, &mut bytes, config()) {
        Ok(_) => Ok(Bytes::from(bytes)),
        Err(error) => Err(Error::internal(format!("encode {}: {error}", name::<T>()))),
    }
}

/// Splits a durable row into its version byte and the encoded value.
///
/// # Errors
/// [`Kind::Corrupt`](crate::Kind::Corrupt) for an empty row.
pub fn split_row(row: &[u8]) -> Result<(u8, &[u8])> {
    row.split_first().map(|(v, rest)| (*v, rest)).ok_or_else(|| Error::corrupt("an empty row"))
}

/// Decodes a durable row that must have the given version.
///
/// # Errors
/// [`Kind::Corrupt`](crate::Kind::Corrupt) for another version or for damaged bytes.
pub fn decode_row<T: DeserializeOwned>(version: u8, row: &[u8]) -> Result<T> {
    match split_row(row)? {
        (found, rest) if found == version => decode(rest),
        (found, _) => Err(Error::corrupt(format!("{}: unknown version {found}", name::<T>()))),
    }
}

fn name<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_carry_their_version() {
        let row = encode_row(3, &(1u64, "x")).unwrap();
        assert_eq!(row[0], 3);
        assert_eq!(decode_row::<(u64, String)>(3, &row).unwrap(), (1, "x".into()));
        assert!(decode_row::<(u64, String)>(2, &row).is_err());
        assert!(decode_row::<(u64, String)>(3, &row[..2]).is_err());
        assert!(decode::<u8>(&[1, 2]).is_err());
    }

    #[test]
    fn a_length_lie_is_refused_without_allocating() {
        // A vector that claims 2^62 elements.
        let lie = [253u8, 0, 0, 0, 0, 0, 0, 0, 0x40];
        assert!(decode::<Vec<u8>>(&lie).is_err());
    }
}
