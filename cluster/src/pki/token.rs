//! One-time tokens that let a new node ask for its first certificate.

use super::Roots;
use base::env::Random;
use base::{Error, Kind, Result, Timestamp, wire};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The version byte of the row.
const ROW_VERSION: u8 = 1;

/// The longest that a token may be good; an hour is the usual time.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an operator carries from the cluster to a new node: `rj1.<id>.<secret>.<fingerprint>`, all
/// hexadecimal. A secret; it is printed once, where it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Names its row.
    pub id: u64,
    /// What the row holds the hash of. 256 random bits, so a plain hash hides it.
    pub secret: [u8; 32],
    /// The authority that the new node must find: [`Roots::fingerprint`].
    pub authority: [u8; 32],
}

impl JoinToken {
    /// A new token, and the row to be stored for it.
    pub fn draw(
        random: &dyn Random,
        authority_certificate: &[u8],
        now: Timestamp,
        life: Duration,
    ) -> (Self, TokenRow) {
        let mut secret = [0; 32];
        random.fill(&mut secret);
        let authority = Roots::fingerprint(authority_certificate);
        let token = Self { id: random.u64(), secret, authority };
        let life_ms = life.min(TOKEN_LIFE_MAX).as_millis();
        let expires_at = now.plus_ms(i64::try_from(life_ms).unwrap_or(0));
        let row = TokenRow { secret_hash: token.secret_hash(), expires_at, claimed_by: None };
        (token, row)
    }

    /// What the row knows the secret by.
    pub fn secret_hash(&self) -> [u8; 32] {
        *blake3::hash(&self.secret).as_bytes()
    }

    /// The text that is carried.
    pub fn to_text(&self) -> String {
        let hex = |bytes: &[u8; 32]| blake3::Hash::from_bytes(*bytes).to_hex();
        format!("rj1.{:016x}.{}.{}", self.id, hex(&self.secret), hex(&self.authority))
    }

    /// Reads that text.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if it is none; the text of the token is not repeated in the error.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("This is not a join token");
        let hex = |part: &str| blake3::Hash::from_hex(part).map(|hash| *hash.as_bytes());
        let mut parts = text.trim().split('.');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some("rj1"), Some(id), Some(secret), Some(authority), None] = parts else {
            return Err(wrong());
        };
        let id = u64::from_str_radix(id, 16).map_err(|_| wrong())?;
        let (secret, authority) =
            (hex(secret).map_err(|_| wrong())?, hex(authority).map_err(|_| wrong())?);
        Ok(Self { id, secret, authority })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({:x}, …)", self.id)
    }
}

/// What the store keeps of a token. It stays after its use, until it has expired, so that a claim
/// whose answer was lost can be repeated by the same key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenRow {
    /// [`JoinToken::secret_hash`].
    pub secret_hash: [u8; 32],
    /// When it stops being good.
    pub expires_at: Timestamp,
    /// The fingerprint of the key that has used it up.
    pub claimed_by: Option<[u8; 32]>,
}

impl TokenRow {
    /// The key of a token's row.
    pub fn key(id: u64) -> Bytes {
        KeyBuilder::new(b"K").raw(b"join/").u64(id).build()
    }

    /// The row's bytes.
    ///
    /// # Errors
    /// [`Kind::Internal`] if it cannot be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        wire::encode_row(ROW_VERSION, self)
    }

    /// Reads the row.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is none.
    pub fn decode(row: &[u8]) -> Result<Self> {
        wire::decode_row(ROW_VERSION, row)
    }

    /// Uses the token up for one key. The caller does this in a store transaction: it reads the row
    /// with a conflict, claims, and writes it back, so that of two nodes one comes first. The key
    /// that has used it already may do so again.
    ///
    /// # Errors
    /// [`Kind::BadCredentials`] for a wrong secret, a token that another key has used, or one that
    /// has expired. A row that is missing must be answered alike ([`TokenRow::refused`]).
    pub fn claim(
        &mut self,
        secret_hash: &[u8; 32],
        key_fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Result<()> {
        // This comparison takes the same time wherever the two differ.
        if blake3::Hash::from_bytes(self.secret_hash) != blake3::Hash::from_bytes(*secret_hash) {
            return Err(Self::refused("the secret is wrong"));
        }
        match self.claimed_by {
            Some(key) if key == key_fingerprint => Ok(()),
            Some(_) => Err(Self::refused("it has been used by another node")),
            None if now > self.expires_at => Err(Self::refused("it has expired")),
            None => {
                self.claimed_by = Some(key_fingerprint);
                Ok(())
            }
        }
    }

    /// The one answer to everybody who may not join; why, only the log says.
    pub fn refused(why: &str) -> Error {
        Error::new(Kind::BadCredentials, "The join token is not valid").detail(why)
    }
}
