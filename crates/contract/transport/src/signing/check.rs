//! What a key must be to be kept.

use super::DomainKey;
use crate::connector::is_host;
use base::{Error, Result};

/// The longest label of a name (RFC 1035 §2.3.4), in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// The longest private key, in bytes: RSA of 4,096 bits has 2,400.
const PRIVATE_BYTES_MAX: usize = 4_096;

impl DomainKey {
    /// Refuses what can never work.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the reason.
    pub fn check(&self) -> Result<()> {
        let (domain, selector) = (self.domain(), self.selector());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label = !selector.is_empty()
            && selector.len() <= LABEL_BYTES_MAX
            && selector.chars().all(plain)
            && !selector.starts_with('-')
            && !selector.ends_with('-');
        if !is_label {
            let shown = selector.escape_debug();
            let text = format!("selector \"{shown}\": it has 1 to 63 of a-z, 0-9 and \"-\" inside");
            return Err(Error::invalid(text));
        }
        if !is_host(domain) || !is_host(&self.name) {
            let shown = self.name.escape_debug();
            return Err(Error::invalid(format!("\"{shown}\" can be no name of a record")));
        }
        let private_bytes = self.private.0.len();
        if private_bytes == 0 || private_bytes > PRIVATE_BYTES_MAX {
            let text = format!("key {}: {private_bytes} bytes are no private key", self.name);
            return Err(Error::invalid(text));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::signing::{DomainKey, KeyAlgorithm, KeyState, PrivateKey};
    use base::{Timestamp, wire};

    fn key(domain: &str, selector: &str) -> DomainKey {
        DomainKey {
            name: DomainKey::name_of(domain, selector),
            algorithm: KeyAlgorithm::Ed25519,
            private: PrivateKey(b"tell-nobody".as_slice().into()),
            record: "v=DKIM1; k=ed25519; p=AAAA".into(),
            state: KeyState::Active,
            created: Timestamp { unix_ms: 7 },
        }
    }

    #[test]
    fn what_can_be_no_record_is_refused() {
        let check = |domain: &str, selector: &str, is_fine: bool| {
            let key = key(domain, selector);
            assert_eq!(key.check().is_ok(), is_fine, "{key:?}");
        };
        check("example.org", "s1", true);
        check("Example.org", "S1", true);
        check("mail.example.org", "20261122-rsa", true);
        check("example.org", "", false);
        check("example.org", "a.b", false);
        check("example.org", "a_b", false);
        check("example.org", "-a", false);
        check("example.org", "a-", false);
        check("example.org", "a\r\n", false);
        check("example.org", &"a".repeat(63), true);
        check("example.org", &"a".repeat(64), false);
        check("", "a", false);
        check("a..b", "a", false);
        check("b\u{fc}cher.example", "a", false);
        check(&format!("{}.org", "a.".repeat(125)), "abcdefgh", false);
        let empty = DomainKey { private: PrivateKey(bytes::Bytes::new()), ..key("a.org", "a") };
        assert!(empty.check().is_err());
    }

    #[test]
    fn a_key_tells_its_domain_and_selector_and_never_itself() {
        let key = key("Example.ORG", "s1");
        assert_eq!((key.domain(), key.selector()), ("example.org", "s1"));
        assert_eq!(key.shown().name(), key.name);
        let shown = format!("{key:?} {:?}", key.shown());
        assert!(!shown.contains("tell-nobody") && !shown.contains("116, 101"), "{shown}");
    }

    #[test]
    fn the_row_of_a_key_keeps_its_bytes() {
        let one = key("a.org", "s");
        let row = wire::encode_row(1, &one).unwrap();
        assert_eq!(wire::decode_row::<DomainKey>(1, &row).unwrap(), one);
        // Version; name; algorithm; private key; record; state; created.
        let golden = concat!(
            r"\x01\x12s._domainkey.a.org\x01\x0btell-nobody\x1av=DKIM1; k=ed25519; p=AAAA\x01",
            r"\x0e",
        );
        assert_eq!(row.escape_ascii().to_string(), golden);
    }
}
