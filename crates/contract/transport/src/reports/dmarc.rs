//! What became of mail that bears a domain's name, as the domain wants to hear of it (DMARC, RFC
//! 9990).

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The most signatures of one message that are told.
pub const SIGNATURES_MAX: usize = 10;

/// A message from another server, whose author's domain wants reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DmarcMessage {
    /// Where the policy stands, in ASCII and lower case.
    pub domain: String,
    /// What is told of it. Equal ones are counted.
    pub evaluated: Evaluated,
}

/// What was found of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evaluated {
    /// What the domain has published.
    pub policy: PublishedPolicy,
    /// Which host has sent it.
    pub source: IpAddr,
    /// What was done: `pass`, `none`, `quarantine`, `reject`.
    pub disposition: String,
    /// Whether an aligned signature holds.
    pub dkim: bool,
    /// Whether SPF passes, aligned.
    pub spf: bool,
    /// Why something else was done than what the policy says (RFC 9990 §3.1.1.6).
    pub reason: Option<String>,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM; `None` for `<>`.
    pub envelope_from: Option<String>,
    /// At most [`SIGNATURES_MAX`].
    pub signatures: Vec<SignatureResult>,
    /// The domain that SPF was asked about.
    pub spf_domain: String,
    /// What it said.
    pub spf_result: String,
}

/// What a domain has published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublishedPolicy {
    /// `p`.
    pub policy: String,
    /// `sp`.
    pub subdomain_policy: String,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `t=y`.
    pub testing: bool,
}

/// What came of a signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignatureResult {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `pass`, `fail` and the like.
    pub result: String,
}

/// Whoever counts messages.
pub trait DmarcMessages: Send + Sync + 'static {
    /// Counts one. Never waits; may forget it.
    fn note(&self, message: DmarcMessage);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_keeps_its_bytes() {
        let evaluated = Evaluated {
            policy: PublishedPolicy {
                policy: "reject".into(),
                subdomain_policy: "none".into(),
                strict_dkim: true,
                strict_spf: false,
                testing: false,
            },
            source: IpAddr::from([192, 0, 2, 1]),
            disposition: "none".into(),
            dkim: false,
            spf: true,
            reason: Some("local_policy".into()),
            header_from: "a.test".into(),
            envelope_from: None,
            signatures: vec![SignatureResult {
                domain: "d".into(),
                selector: "s".into(),
                result: "fail".into(),
            }],
            spf_domain: "h".into(),
            spf_result: "pass".into(),
        };
        let bytes = base::wire::encode(&evaluated).map(|bytes| bytes.escape_ascii().to_string());
        let golden = concat!(
            r"\x06reject\x04none\x01\x00\x00\x00\xc0\x00\x02\x01\x04none\x00\x01",
            r"\x01\x0clocal_policy\x06a.test\x00\x01\x01d\x01s\x04fail\x01h\x04pass",
        );
        assert_eq!(bytes.ok().as_deref(), Some(golden));
    }
}
