//! `/api/v1/domains/{name}/dns`: what is to be published in the DNS for a domain, and what of it is
//! found there now.
//!
//! Every record is asked for by itself and all at once, at the name servers that the node asks for
//! everything else. What they remember may be older than what was published a moment ago.

use super::dkim::strings;
use super::{Admin, Answer, Asked};
use crate::control::{ListenerView, NodeAbout};
use axum::Json;
use axum::extract::Path;
use base::Error;
use base::env::{Dns, DnsError};
use contract_transport::signing::{KeyState, ShownKey};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use tokio::task::JoinSet;

/// The preference of our exchanger.
const PREFERENCE: u16 = 10;

/// How long senders may go by a policy of MTA-STS, in seconds: a week while it is new.
const POLICY_AGE_S: u32 = 604_800;

/// The kind of what is published over HTTPS.
const POLICY: &str = "POLICY";

/// Services that mail programs look for (RFC 6186 §3, RFC 8314 §5.1): a listener's protocol and
/// encryption, the service, its usual port.
const SERVICES: [(&str, &str, &str, u16); 6] = [
    ("imap", "implicit", "_imaps", 993),
    ("imap", "starttls", "_imap", 143),
    ("pop3", "implicit", "_pop3s", 995),
    ("pop3", "starttls", "_pop3", 110),
    ("submission", "implicit", "_submissions", 465),
    ("submission", "starttls", "_submission", 587),
];

/// A record that should be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// As a zone file has it.
    pub(super) value: String,
    /// What counts as being there.
    pub(super) wanted: Wanted,
    pub(super) advice: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// This exchanger, whatever others there are.
    Exchanger(String),
    /// All of these addresses; any where there are none.
    Addresses(Vec<IpAddr>),
    /// This record and no second one.
    Spf(String),
    /// This key, which is so far.
    Key(String, KeyState),
    /// A policy, whatever it is.
    Dmarc,
    /// This port of this host.
    Service(u16, String),
    /// This public key's SHA-256 in hexadecimal, with DNSSEC.
    Tlsa(String),
    /// A pointer to a policy of MTA-STS, whatever it is.
    Sts,
    /// An address for reports about TLS, whatever it is.
    TlsReports,
    /// A host of this name, which has the policy.
    PolicyHost(String),
    /// Nothing that could be asked for.
    Nothing,
}

/// Whether a record is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Ok,
    Missing,
    Differs,
    Unknown,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) async fn show(asked: Asked, Path(domain): Path<String>) -> Answer {
    let examined = examine(&asked.admin, &domain).await?;
    Ok(Json(Value::Array(examined.iter().map(|(record, found)| view(record, found)).collect())))
}

/// What a domain should publish, and what of it is there.
///
/// # Errors
/// [`base::Kind::NotFound`] for none of ours; temporary ones of the store.
pub(super) async fn examine(
    admin: &Admin,
    domain: &str,
) -> Result<Vec<(Record, (Status, Vec<String>))>, Error> {
    let domain = domain.trim_end_matches('.').to_lowercase();
    let accepted = admin.directory.domains().await?;
    if !accepted.iter().any(|one| one.name == domain) {
        return Err(Error::not_found(format!("The accepted domain {domain}")));
    }
    let keys = admin.signing.signing_keys(&domain).await?;
    let key = admin.node.certificate().map(|certificate| certificate.public_key_sha256);
    let node = admin.node.about();
    let settings = admin.reports.report_settings().await?;
    let inbox = Some(settings.inbox.as_str()).filter(|inbox| !inbox.is_empty());
    let own = &admin.own_addresses;
    let records = records(&domain, &node, own, &keys, (key.as_deref(), inbox));
    let mut asking = JoinSet::new();
    for (place, record) in records.iter().enumerate() {
        let (dns, record) = (admin.names.clone(), record.clone());
        asking.spawn(async move { (place, look(&*dns, &record).await) });
    }
    let mut found = vec![(Status::Unknown, Vec::new()); records.len()];
    while let Some(answer) = asking.join_next().await {
        let (place, answer) = answer.map_err(Error::internal)?;
        found[place] = answer;
    }
    Ok(records.into_iter().zip(found).collect())
}

fn view(record: &Record, (status, found): &(Status, Vec<String>)) -> Value {
    json!({
        "status": status.word(),
        "type": record.kind,
        "name": record.name,
        "value": record.value,
        "found": found,
        "advice": record.advice,
    })
}

/// What a domain should publish.
fn records(
    domain: &str,
    node: &NodeAbout,
    own: &[IpAddr],
    keys: &[ShownKey],
    (tls_key, inbox): (Option<&str>, Option<&str>),
) -> Vec<Record> {
    let reports_to = inbox.map_or(format!("postmaster@{domain}"), str::to_owned);
    let host = node.host_name.trim_end_matches('.').to_lowercase();
    let text = |name: String, text: &str, wanted: Wanted, advice: String| Record {
        kind: "TXT",
        name,
        value: strings(text),
        wanted,
        advice,
    };
    let mut records = vec![Record {
        kind: "MX",
        name: domain.to_owned(),
        value: format!("{PREFERENCE} {host}."),
        wanted: Wanted::Exchanger(host.clone()),
        advice: "where mail for the domain goes; every node's name that takes mail".to_owned(),
    }];
    let addresses: Vec<_> = own.iter().map(ToString::to_string).collect();
    records.push(Record {
        kind: "A/AAAA",
        name: host.clone(),
        value: addresses.join(" "),
        wanted: Wanted::Addresses(own.to_vec()),
        advice: "where the host is; its address should have this name, too (PTR)".to_owned(),
    });
    let spf = spf(own);
    let advice = "one record that names all hosts that send mail of the domain; ~all while unsure";
    records.push(text(domain.to_owned(), &spf, Wanted::Spf(spf.clone()), advice.to_owned()));
    records.extend(keys.iter().map(|key| {
        text(key.name(), &key.record, Wanted::Key(key.record.clone(), key.state), key_advice(key))
    }));
    if !keys.iter().any(|key| key.state == KeyState::Active) {
        records.push(Record {
            kind: "DKIM",
            name: domain.to_owned(),
            value: String::new(),
            wanted: Wanted::Nothing,
            advice: format!(
                "no key signs its mail: rialto domain dkim new {domain}, publish, activate"
            ),
        });
    }
    let dmarc = format!("v=DMARC1; p=none; rua=mailto:{reports_to}");
    let advice =
        "begin with none; once reports show no mail of ours that fails, quarantine, reject";
    records.push(text(format!("_dmarc.{domain}"), &dmarc, Wanted::Dmarc, advice.to_owned()));
    records.extend(services(domain, &host, &node.listeners));
    records.extend(consent(domain, &reports_to));
    records.extend(tls_policies(domain, &host, &reports_to));
    records.extend(tls_key.map(|key| tlsa(&host, key)));
    records
}

/// That whoever gets a domain's reports has agreed to it, where that is another domain (RFC 9990 §4).
fn consent(domain: &str, reports_to: &str) -> Option<Record> {
    let (_, there) = reports_to.rsplit_once('@')?;
    let is_own = there == domain || there.ends_with(&format!(".{domain}"));
    (!is_own).then(|| Record {
        kind: "TXT",
        name: format!("{domain}._report._dmarc.{there}"),
        value: strings("v=DMARC1;"),
        wanted: Wanted::Dmarc,
        advice: format!("says that reports about {domain} may go to {there}"),
    })
}

/// That mail to us comes encrypted only, and who is told where it does not (RFC 8461 §3, RFC 8460
/// §3).
fn tls_policies(domain: &str, host: &str, reports_to: &str) -> [Record; 3] {
    let policy = format!("version: STSv1\nmode: testing\nmx: {host}\nmax_age: {POLICY_AGE_S}\n");
    // Another policy has another id, and the same one the same on every node (FNV-1a).
    let id = policy.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let text = |name: String, text: String, wanted: Wanted, advice: &str| Record {
        kind: "TXT",
        name,
        value: strings(&text),
        wanted,
        advice: advice.to_owned(),
    };
    [
        text(
            format!("_mta-sts.{domain}"),
            format!("v=STSv1; id={id:016x}"),
            Wanted::Sts,
            "says that there is a policy of MTA-STS; another id with every change of it",
        ),
        text(
            format!("_smtp._tls.{domain}"),
            format!("v=TLSRPTv1; rua=mailto:{reports_to}"),
            Wanted::TlsReports,
            "who is told, once a day, of mail to us that could not come safely",
        ),
        Record {
            kind: POLICY,
            name: format!("https://mta-sts.{domain}/.well-known/mta-sts.txt"),
            value: policy,
            wanted: Wanted::PolicyHost(format!("mta-sts.{domain}")),
            advice: "on a web server with a certificate for that name; enforce once reports show \
                     no mail that fails"
                .to_owned(),
        },
    ]
}

/// What our certificate is (RFC 7672 §3.1.1).
fn tlsa(host: &str, key: &str) -> Record {
    Record {
        kind: "TLSA",
        name: format!("_25._tcp.{host}"),
        value: format!("3 1 1 {key}"),
        wanted: Wanted::Tlsa(key.to_owned()),
        advice: "only in a zone with DNSSEC; a new key's record before the key itself".to_owned(),
    }
}

/// The hosts that take the domain's mail send it, too.
fn spf(own: &[IpAddr]) -> String {
    let mut terms = vec!["v=spf1".to_owned(), "mx".to_owned()];
    terms.extend(own.iter().map(|address| match address {
        IpAddr::V4(address) => format!("ip4:{address}"),
        IpAddr::V6(address) => format!("ip6:{address}"),
    }));
    terms.push("-all".to_owned());
    terms.join(" ")
}

fn key_advice(key: &ShownKey) -> String {
    let ShownKey { domain, selector, state, .. } = key;
    match state {
        KeyState::Prepared => {
            format!("publish it, then: rialto domain dkim activate {domain} --selector {selector}")
        }
        KeyState::Active => "it signs: without the record receivers distrust our mail".to_owned(),
        KeyState::Retired => format!(
            "keep it some days, then: rialto domain dkim remove {domain} --selector {selector}"
        ),
    }
}

/// Where mail programs find their servers.
fn services(domain: &str, host: &str, listeners: &[ListenerView]) -> Vec<Record> {
    let port = |listener: &ListenerView| {
        listener.address.parse::<SocketAddr>().ok().map(|address| address.port())
    };
    let mut records = Vec::new();
    for (protocol, tls, service, usual) in SERVICES {
        let fits = |one: &&ListenerView| one.protocol == protocol && one.tls == tls;
        let ports: Vec<u16> = listeners.iter().filter(fits).filter_map(port).collect();
        let Some(first) = ports.first() else { continue };
        let port = if ports.contains(&usual) { usual } else { *first };
        records.push(Record {
            kind: "SRV",
            name: format!("{service}._tcp.{domain}"),
            value: format!("0 1 {port} {host}."),
            wanted: Wanted::Service(port, host.to_owned()),
            advice: "mail programs set themselves up by it; the port as the world sees it"
                .to_owned(),
        });
    }
    if !listeners.iter().any(|one| one.protocol == "pop3" && one.tls == "implicit") {
        records.push(Record {
            kind: "SRV",
            name: format!("_pop3s._tcp.{domain}"),
            value: "0 0 0 .".to_owned(),
            wanted: Wanted::Service(0, String::new()),
            advice: "tells mail programs that there is no POP3 over TLS here".to_owned(),
        });
    }
    records
}

/// Asks whether a record is there, and what is there instead.
async fn look(dns: &dyn Dns, record: &Record) -> (Status, Vec<String>) {
    let name = &record.name;
    let found = match &record.wanted {
        Wanted::Nothing => return (Status::Missing, Vec::new()),
        Wanted::Exchanger(host) => dns.exchangers(name).await.map(|found| {
            let is_there = found.records.iter().any(|one| one.host == *host);
            let one = |one: &base::env::MailExchanger| format!("{} {}.", one.preference, one.host);
            (is_there, found.records.iter().map(one).collect())
        }),
        Wanted::Addresses(own) => dns.addresses(name).await.map(|found| {
            let is_there = own.iter().all(|address| found.records.contains(address));
            (is_there, found.records.iter().map(ToString::to_string).collect())
        }),
        Wanted::Service(port, host) => dns.services(name).await.map(|found| {
            let is_it = |one: &base::env::ServiceHost| one.port == *port && one.host == *host;
            let one = |one: &base::env::ServiceHost| {
                format!("{} {} {} {}.", one.priority, one.weight, one.port, one.host)
            };
            (found.records.iter().any(is_it), found.records.iter().map(one).collect())
        }),
        Wanted::Spf(wanted) => texts(dns, name, "v=spf1")
            .await
            .map(|found| (matches!(&found[..], [one] if squeezed(one) == squeezed(wanted)), found)),
        Wanted::Key(wanted, _) => texts(dns, name, "")
            .await
            .map(|found| (found.iter().any(|one| squeezed(one) == squeezed(wanted)), found)),
        Wanted::Dmarc => texts(dns, name, "v=DMARC1").await.map(|found| (found.len() == 1, found)),
        Wanted::Sts => texts(dns, name, "v=STSv1;").await.map(|found| (found.len() == 1, found)),
        Wanted::TlsReports => {
            texts(dns, name, "v=TLSRPTv1;").await.map(|found| (found.len() == 1, found))
        }
        Wanted::PolicyHost(host) => dns
            .addresses(host)
            .await
            .map(|found| (true, found.records.iter().map(ToString::to_string).collect())),
        Wanted::Tlsa(key) => dns.tlsa(name).await.map(|found| {
            let shown: Vec<String> = found.records.iter().map(tlsa_text).collect();
            let is_there = shown.iter().any(|one| *one == format!("3 1 1 {key}"));
            match found.is_secure {
                true => (is_there, shown),
                false => (false, shown.iter().map(|one| format!("{one} (no DNSSEC)")).collect()),
            }
        }),
    };
    match found {
        Ok((true, found)) => (Status::Ok, found),
        Ok((false, found)) => (Status::Differs, found),
        Err(DnsError::NoDomain | DnsError::NoRecords) => (Status::Missing, Vec::new()),
        Err(DnsError::NoAnswer(why)) => (Status::Unknown, vec![why]),
    }
}

fn tlsa_text(one: &base::env::Tlsa) -> String {
    let data: String = one.data.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {} {} {data}", one.usage, one.selector, one.matching)
}

/// The texts of a name that begin so; that there is none is no answer.
async fn texts(dns: &dyn Dns, name: &str, begin: &str) -> Result<Vec<String>, DnsError> {
    let found = dns.texts(name).await?.records;
    let texts: Vec<_> = found
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .filter(|text| {
            text.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin))
        })
        .collect();
    if texts.is_empty() { Err(DnsError::NoRecords) } else { Ok(texts) }
}

/// A text without what means nothing in a record.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().trim_end_matches(';').to_owned()
}

#[cfg(test)]
#[path = "dns/tests.rs"]
mod tests;
