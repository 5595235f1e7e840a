//! The test suite of RFC 7208, whole: `data/rfc7208-tests.json`, with its notice.

use async_trait::async_trait;
use base::env::{Dns, DnsError, Family, Found, MailExchanger};
use serde_json::Value;
use service_sender_auth::spf::{Client, check_host};
use std::collections::HashMap;
use std::net::IpAddr;

const SUITE: &str = include_str!("../data/rfc7208-tests.json");

/// Aliases that are followed.
const ALIASES_MAX: usize = 8;

/// The zone of a scenario: records by name and kind.
struct Zone(HashMap<String, Vec<Value>>);

impl Zone {
    fn new(data: &Value) -> Self {
        let entries = data.as_object().unwrap().iter();
        Self(
            entries
                .map(|(name, records)| (key(name), records.as_array().unwrap().clone()))
                .collect(),
        )
    }

    /// Records of a kind. A name with `TIMEOUT` does not answer for kinds that it does not list.
    fn find(&self, name: &str, kind: &str) -> Result<Vec<Value>, DnsError> {
        let mut name = key(name);
        for _ in 0..ALIASES_MAX {
            let entries = self.0.get(&name).ok_or(DnsError::NoDomain)?;
            let of = |kind: &str| -> Vec<Value> {
                entries.iter().filter_map(|entry| entry.get(kind)).cloned().collect()
            };
            if let [Value::String(target)] = &of("CNAME")[..] {
                name = key(target);
                continue;
            }
            let mut records = of(kind);
            if kind == "TXT" && records.is_empty() {
                // Records of the old type stand for texts, where there are no others.
                records = of("SPF");
            }
            records.retain(|record| *record != "NONE");
            if !records.is_empty() {
                return Ok(records);
            }
            let silent = entries.iter().any(|entry| *entry == "TIMEOUT");
            return Err(if silent { silence() } else { DnsError::NoRecords });
        }
        Err(silence())
    }
}

fn silence() -> DnsError {
    DnsError::NoAnswer("time-out".to_owned())
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The suite writes bytes as characters of the same number.
fn bytes(text: &Value) -> Vec<u8> {
    match text {
        Value::Array(parts) => parts.iter().flat_map(bytes).collect(),
        text => text.as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect(),
    }
}

fn found<T>(records: Vec<T>) -> Result<Found<T>, DnsError> {
    Ok(Found { records, is_secure: false })
}

#[async_trait]
impl Dns for Zone {
    async fn addresses(&self, _: &str) -> Result<Found<IpAddr>, DnsError> {
        panic!("SPF asks for one family at a time");
    }

    async fn addresses_of(&self, host: &str, family: Family) -> Result<Found<IpAddr>, DnsError> {
        let kind = if family == Family::V4 { "A" } else { "AAAA" };
        let records = self.find(host, kind)?;
        found(records.iter().map(|record| record.as_str().unwrap().parse().unwrap()).collect())
    }

    async fn exchangers(&self, domain: &str) -> Result<Found<MailExchanger>, DnsError> {
        let exchanger = |record: &Value| MailExchanger {
            preference: record[0].as_u64().unwrap() as u16,
            host: key(record[1].as_str().unwrap()),
        };
        found(self.find(domain, "MX")?.iter().map(exchanger).collect())
    }

    async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, DnsError> {
        found(self.find(name, "TXT")?.iter().map(bytes).collect())
    }

    async fn names(&self, address: IpAddr) -> Result<Found<String>, DnsError> {
        let reverse = match address {
            IpAddr::V4(four) => {
                let [a, b, c, d] = four.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(six) => {
                let digits = six.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
                let digits: Vec<String> = digits.map(|digit| format!("{digit:x}")).collect();
                format!("{}.ip6.arpa", digits.join("."))
            }
        };
        let names = self.find(&reverse, "PTR")?;
        found(names.iter().map(|name| key(name.as_str().unwrap())).collect())
    }
}

#[tokio::test]
async fn the_whole_suite_of_rfc_7208_holds() {
    let suite: Value = serde_json::from_str(SUITE).unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for scenario in suite["scenarios"].as_array().unwrap() {
        let zone = Zone::new(&scenario["zonedata"]);
        for (name, test) in scenario["tests"].as_object().unwrap() {
            count += 1;
            let text = |field: &str| test[field].as_str().unwrap_or_default();
            let client = Client {
                ip: text("host").parse().unwrap(),
                helo: text("helo"),
                receiver: "receiver.test",
                unix_s: 0,
            };
            let (local, domain) = text("mailfrom").rsplit_once('@').unwrap_or(("", text("helo")));
            let spf = check_host(&zone, &client, local, domain).await;
            let expected = match &test["result"] {
                Value::Array(results) => results.clone(),
                result => vec![result.clone()],
            };
            let explained = match &test["explanation"] {
                Value::String(text) if text == "DEFAULT" => spf.explanation.is_none(),
                Value::String(text) => spf.explanation.as_ref() == Some(text),
                _ => true,
            };
            if !expected.contains(&Value::from(spf.result.word())) || !explained {
                wrong.push(format!("{name}: {test} gave {spf:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(count, 203);
}

/// Counts what is asked.
struct Counting(Zone, std::sync::atomic::AtomicUsize);

#[async_trait]
impl Dns for Counting {
    async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, DnsError> {
        self.0.addresses(host).await
    }

    async fn addresses_of(&self, host: &str, family: Family) -> Result<Found<IpAddr>, DnsError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.addresses_of(host, family).await
    }

    async fn exchangers(&self, domain: &str) -> Result<Found<MailExchanger>, DnsError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.exchangers(domain).await
    }

    async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, DnsError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.texts(name).await
    }
}

#[tokio::test]
async fn attack_18_bombs_of_lookups_are_cut_short() {
    let check = async |record: &str, questions_max: usize| {
        let hosts: Vec<Value> =
            (0..10).map(|n| serde_json::json!({ "MX": [n, format!("h{n}.bomb.test")] })).collect();
        let mut zone = HashMap::from([
            ("bomb.test".to_owned(), vec![serde_json::json!({ "SPF": record })]),
            ("mx.test".to_owned(), hosts),
        ]);
        for n in 0..10 {
            let name = format!("h{n}.bomb.test");
            zone.insert(name, vec![serde_json::json!({ "A": "192.0.2.1" })]);
        }
        let dns = Counting(Zone(zone), Default::default());
        let ip = "198.51.100.1".parse().unwrap();
        let client = Client { ip, helo: "x.test", receiver: "r.test", unix_s: 0 };
        let spf = check_host(&dns, &client, "a", "bomb.test").await;
        assert_eq!(spf.result.word(), "permerror", "{record}");
        let asked = dns.1.into_inner();
        assert!(asked <= questions_max, "{record}: {asked} questions");
    };
    check(&format!("v=spf1 {} -all", "a:h1.bomb.test ".repeat(500)), 11).await;
    check("v=spf1 include:bomb.test include:bomb.test -all", 12).await;
    check(&format!("v=spf1 {} -all", "a:%{i}.none.test ".repeat(9)), 4).await;
    check(&format!("v=spf1 {} -all", "mx:mx.test ".repeat(500)), 1 + 10 * 11).await;
}
