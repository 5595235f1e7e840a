//! `/api/v1/doctor`: whether the world will take our mail and bring us its own, as far as that can
//! be seen from here: the records of the domains, the name of the address that sends, the ports
//! that are listened on, the certificate.

use super::dns::{self, Record, Status, Wanted};
use super::{Admin, Answer, Asked};
use crate::control::{CertificateView, ListenerView};
use axum::Json;
use axum::extract::Path;
use base::env::{Dns, DnsError};
use contract_transport::signing::KeyState;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};

/// With how many days left a certificate should be seen to.
const DAYS_LEFT: i64 = 14;

/// The most addresses of the host that are looked at.
const ADDRESSES_MAX: usize = 16;

/// How much of a record is shown, in characters.
const FOUND_CHARS_MAX: usize = 60;

/// The ports that others look for, what for, and how bad it is where nobody listens.
const PORTS: [(u16, &str, Level); 5] = [
    (25, "mail from other servers", Level::Fail),
    (465, "mail programs sending, encrypted from the start", Level::Warn),
    (587, "mail programs sending", Level::Warn),
    (143, "mail programs reading, STARTTLS", Level::Warn),
    (993, "mail programs reading, encrypted from the start", Level::Warn),
];

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    level: Level,
    check: String,
    found: String,
    /// What to do; empty where all is well.
    advice: String,
}

impl Line {
    fn new(level: Level, check: impl Into<String>, found: impl Into<String>, advice: &str) -> Self {
        let advice = if level == Level::Ok { "" } else { advice };
        Self { level, check: check.into(), found: found.into(), advice: advice.to_owned() }
    }

    fn view(&self) -> Value {
        let level = match self.level {
            Level::Ok => "OK",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
        };
        let Self { check, found, advice, .. } = self;
        json!({ "level": level, "check": check, "found": found, "advice": advice })
    }
}

pub(super) async fn all(asked: Asked) -> Answer {
    let domains = asked.admin.directory.domains().await?;
    let names: Vec<_> = domains.iter().map(|domain| domain.name.clone()).collect();
    examine(&asked.admin, &names).await
}

pub(super) async fn one(asked: Asked, Path(domain): Path<String>) -> Answer {
    examine(&asked.admin, &[domain]).await
}

async fn examine(admin: &Admin, domains: &[String]) -> Answer {
    let about = admin.node.about();
    let host = about.host_name.trim_end_matches('.').to_lowercase();
    let mut lines = ports(&about.listeners);
    lines.push(certificate(admin.node.certificate().as_ref(), &host));
    let senders = senders(&*admin.names, &admin.own_addresses, &host).await;
    if let Err(error) = &senders {
        let advice = "publish the host's address, or set own_addresses of [outbound]";
        lines.push(Line::new(Level::Fail, format!("address of {host}"), error, advice));
    }
    let senders = senders.unwrap_or_default();
    for address in &senders {
        lines.push(name_of(&*admin.names, *address, &host).await);
    }
    for domain in domains {
        for (record, (status, found)) in dns::examine(admin, domain).await? {
            // What a record says of us counts, however it says that.
            let is_policy = matches!(record.wanted, Wanted::Spf(_)) && status != Status::Missing;
            if !is_policy || senders.is_empty() {
                lines.push(of_record(&record, status, &found));
                continue;
            }
            for address in &senders {
                let result = admin.policies.spf(*address, &host, domain).await;
                lines.push(policy(domain, *address, result));
            }
        }
    }
    lines.extend(reports(admin).await?);
    Ok(Json(Value::Array(lines.iter().map(Line::view).collect())))
}

/// Whether reports to other domains can be sent, where they are switched on.
async fn reports(admin: &Admin) -> Result<Option<Line>, base::Error> {
    let settings = admin.reports.report_settings().await?;
    let Some(contact) = settings.contact().filter(|_| settings.tls || settings.dmarc) else {
        return Ok(None);
    };
    let keys = admin.signing.signing_keys(&contact.domain).await?;
    let signs = keys.iter().any(|key| key.state == KeyState::Active);
    let (level, advice) = match signs {
        true => (Level::Ok, ""),
        false => {
            (Level::Fail, "activate a DKIM key of the contact's domain: reports must be signed")
        }
    };
    Ok(Some(Line::new(level, "reports to other domains", settings.contact.clone(), advice)))
}

/// The addresses that mail is sent from, as far as that is known.
async fn senders(dns: &dyn Dns, own: &[IpAddr], host: &str) -> Result<Vec<IpAddr>, String> {
    if !own.is_empty() {
        return Ok(own.to_vec());
    }
    let found = dns.addresses(host).await.map_err(|error| error.to_string())?;
    Ok(found.records.into_iter().take(ADDRESSES_MAX).collect())
}

/// Whether an address has the name that is said in HELO, and the name the address (RFC 8601 §3):
/// without, many servers take no mail.
async fn name_of(dns: &dyn Dns, address: IpAddr, host: &str) -> Line {
    let check = format!("PTR of {address}");
    let unknown = "no name server answers: look at dns_servers of [outbound]";
    let set = "have whoever gave you the address set its name (PTR) to the host's";
    let names = match dns.names(address).await {
        Ok(found) => found.records,
        Err(DnsError::NoAnswer(why)) => return Line::new(Level::Warn, check, why, unknown),
        Err(error) => return Line::new(Level::Fail, check, error.to_string(), set),
    };
    let shown = names.join(" ");
    if !names.iter().any(|name| name == host) {
        return Line::new(Level::Warn, check, shown, set);
    }
    match dns.addresses(host).await {
        Ok(found) if found.records.contains(&address) => Line::new(Level::Ok, check, shown, ""),
        Ok(_) | Err(DnsError::NoDomain | DnsError::NoRecords) => {
            let advice = "publish the address (A or AAAA) under the host's name";
            let shown = format!("{shown}, which does not have the address");
            Line::new(Level::Fail, check, shown, advice)
        }
        Err(DnsError::NoAnswer(why)) => Line::new(Level::Warn, check, why, unknown),
    }
}

/// Which of the usual ports are listened on. Whether a firewall lets the world through cannot be
/// seen from here.
fn ports(listeners: &[ListenerView]) -> Vec<Line> {
    let at = |port: u16| {
        let is_it = |one: &&ListenerView| {
            one.address.parse::<SocketAddr>().is_ok_and(|address| address.port() == port)
        };
        listeners.iter().find(is_it)
    };
    let line = |(port, what, level): &(u16, &str, Level)| {
        let check = format!("port {port}: {what}");
        match at(*port) {
            Some(one) => Line::new(Level::Ok, check, format!("{} {}", one.name, one.address), ""),
            None => {
                let advice = "add a listener, or forward the port to one";
                Line::new(*level, check, "nobody listens", advice)
            }
        }
    };
    PORTS.iter().map(line).collect()
}

fn certificate(certificate: Option<&CertificateView>, host: &str) -> Line {
    let Some(CertificateView { names, not_after, days_left, .. }) = certificate else {
        let advice = "set [tls]: without, nobody can sign in or encrypt";
        return Line::new(Level::Fail, "certificate", "there is none", advice);
    };
    let found = format!("{} until {not_after}", names.join(" "));
    let fits = |name: &String| {
        let name = name.to_lowercase();
        let under = name.strip_prefix("*.").zip(host.split_once('.'));
        name == host || under.is_some_and(|(suffix, (_, parent))| suffix == parent)
    };
    let (level, advice) = if *days_left < 0 {
        (Level::Fail, "it has run out: renew it, then rialto certificate reload")
    } else if !names.iter().any(fits) {
        (Level::Fail, "it does not name the host: mail programs and strict servers refuse it")
    } else if *days_left < DAYS_LEFT {
        (Level::Warn, "it runs out soon: renew it, then rialto certificate reload")
    } else {
        (Level::Ok, "")
    };
    Line::new(level, "certificate", found, advice)
}

/// What a domain's SPF record says of an address that sends.
fn policy(domain: &str, address: IpAddr, result: &str) -> Line {
    let (level, advice) = match result {
        "pass" => (Level::Ok, ""),
        "fail" => (Level::Fail, "the record forbids us to send: name the address in it"),
        "permerror" => (Level::Fail, "the record has an error, or there are several"),
        "temperror" => (Level::Warn, "no name server answers for something that it names"),
        _ => (Level::Warn, "the record does not name the address"),
    };
    Line::new(level, format!("SPF of {domain} for {address}"), result, advice)
}

/// A text that fits a line with others: of a key nobody reads more.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// How bad it is that a record is not as it should be.
fn of_record(record: &Record, status: Status, found: &[String]) -> Line {
    let level = match (status, &record.wanted) {
        (Status::Ok, _) => Level::Ok,
        (Status::Missing, Wanted::Exchanger(_) | Wanted::Addresses(_) | Wanted::Spf(_))
        | (Status::Missing | Status::Differs, Wanted::Key(_, KeyState::Active))
        // Whoever checks DANE sends us nothing.
        | (Status::Differs, Wanted::Tlsa(_))
        // Of several policies none counts.
        | (Status::Differs, Wanted::Dmarc) => Level::Fail,
        _ => Level::Warn,
    };
    let found = match status {
        Status::Missing => "missing".to_owned(),
        Status::Ok | Status::Differs | Status::Unknown => beginning(&found.join(" | ")),
    };
    Line::new(level, format!("{} {}", record.kind, record.name), found, &record.advice)
}

#[cfg(test)]
#[path = "doctor/tests.rs"]
mod tests;
