//! Reports on TLS (RFC 8460 §4.4): JSON.

use crate::DateRange;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// The media type, packed (RFC 8460 §6.4).
pub const MEDIA_TYPE: &str = "application/tlsrpt+gzip";

/// The most policies that are kept of a report that was read.
const POLICIES_MAX: usize = 100;

/// The most failures, strings and exchangers that are kept of one policy.
const LIST_MAX: usize = 1_000;

/// A report.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Report {
    /// Who reports.
    pub organization_name: String,
    /// What time it is about.
    pub date_range: DateRange,
    /// Whom to ask.
    pub contact_info: String,
    /// Its name.
    pub report_id: String,
    /// How sessions went, policy by policy.
    #[serde(deserialize_with = "policies")]
    pub policies: Vec<PolicyResults>,
}

/// How sessions under a policy went.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PolicyResults {
    /// Which policy.
    pub policy: Policy,
    /// How many.
    pub summary: Summary,
    /// Those that failed, by how.
    #[serde(deserialize_with = "failures", skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetails>,
}

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Policy {
    /// `sts`, `tlsa`, `no-policy-found`.
    pub policy_type: String,
    /// Line by line, or record by record.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// Whose.
    pub policy_domain: String,
    /// The exchangers that it names.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// How many sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Summary {
    /// That went well.
    pub total_successful_session_count: u64,
    /// That did not.
    pub total_failure_session_count: u64,
}

/// Sessions that failed in one way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct FailureDetails {
    /// `certificate-expired` and the like (RFC 8460 §4.3).
    pub result_type: String,
    /// Whose address it was that sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sending_mta_ip: String,
    /// The exchanger.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receiving_mx_hostname: String,
    /// Its address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receiving_ip: String,
    /// How many.
    pub failed_session_count: u64,
    /// What the sender calls the failure.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub failure_reason_code: String,
}

/// A list of which no more than so many are kept; the others are passed over unread.
struct Bounded<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.0 {
            match all.next_element()? {
                Some(one) => kept.push(one),
                None => return Ok(kept),
            }
        }
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

fn policies<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PolicyResults>, D::Error> {
    from.deserialize_seq(Bounded(POLICIES_MAX, PhantomData))
}

fn failures<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<FailureDetails>, D::Error> {
    from.deserialize_seq(Bounded(LIST_MAX, PhantomData))
}

/// Some write one string where a list belongs.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_any(OneOrMany)
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Vec<String>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a string or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<Vec<String>, E> {
        Ok(vec![one.to_owned()])
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, all: A) -> Result<Vec<String>, A::Error> {
        Bounded(LIST_MAX, PhantomData).visit_seq(all)
    }
}

impl Report {
    /// Reads a report; what is missing is empty, what is unknown is passed over.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    /// As it is sent.
    pub fn write(&self) -> Vec<u8> {
        // A value of strings, numbers and lists can always be written.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}
