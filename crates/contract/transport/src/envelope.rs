//! The bytes of an envelope. They are those that it has always had: what the sender wants is one
//! byte, which held RET alone before there was REQUIRETLS.

use crate::{Envelope, Recipient, Source};
use base::{AccountId, Address};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// RET=HDRS.
const HEADERS_ONLY: u8 = 1;
/// REQUIRETLS; nodes below [`crate::REQUIRE_TLS_LEVEL`] cannot read it.
const REQUIRE_TLS: u8 = 2;

#[derive(Serialize)]
struct Written<'a> {
    sender: &'a Option<Address>,
    recipients: &'a [Recipient],
    authenticated: Option<AccountId>,
    envelope_id: &'a Option<String>,
    wishes: u8,
    source: &'a Source,
}

#[derive(Deserialize)]
struct Read {
    sender: Option<Address>,
    recipients: Vec<Recipient>,
    authenticated: Option<AccountId>,
    envelope_id: Option<String>,
    wishes: u8,
    source: Source,
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headers_only = if self.return_headers_only { HEADERS_ONLY } else { 0 };
        let require_tls = if self.require_tls { REQUIRE_TLS } else { 0 };
        let written = Written {
            sender: &self.sender,
            recipients: &self.recipients,
            authenticated: self.authenticated,
            envelope_id: &self.envelope_id,
            wishes: headers_only | require_tls,
            source: &self.source,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        if read.wishes > HEADERS_ONLY | REQUIRE_TLS {
            return Err(D::Error::custom("an envelope wants what is not known here"));
        }
        Ok(Self {
            sender: read.sender,
            recipients: read.recipients,
            authenticated: read.authenticated,
            envelope_id: read.envelope_id,
            return_headers_only: read.wishes & HEADERS_ONLY != 0,
            require_tls: read.wishes & REQUIRE_TLS != 0,
            source: read.source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::wire;

    #[test]
    fn an_envelope_keeps_its_bytes() {
        let check = |return_headers_only: bool, require_tls: bool, wishes: &str| {
            let envelope = Envelope {
                sender: Some(Address::new("a", "b.test")),
                recipients: vec![Recipient::plain(Address::new("c", "d.test"))],
                authenticated: None,
                envelope_id: Some("id".to_owned()),
                return_headers_only,
                require_tls,
                source: Source { ip: None, helo: "h".to_owned(), protocol: "ESMTP".to_owned() },
            };
            let Ok(bytes) = wire::encode(&envelope) else { panic!("not encoded") };
            let golden = format!(
                "\\x01\\x01a\\x06b.test\\x01\\x01c\\x06d.test\\x00\\x01\\x01\\x00\\x00\\x01\\x02id{wishes}\\x00\\x01h\\x05ESMTP"
            );
            assert_eq!(bytes.escape_ascii().to_string(), golden);
            assert_eq!(wire::decode::<Envelope>(&bytes).ok(), Some(envelope));
        };
        check(false, false, "\\x00");
        check(true, false, "\\x01");
        check(false, true, "\\x02");
        check(true, true, "\\x03");
    }
}
