//! `rialto domain` and `rialto doctor`.

use super::{ask, change};
use crate::cli::{
    DkimKey, DkimVerb, Doctor, DomainVerb, Reach, RemoteEntry, RemoteVerb, Reporting, ReportingVerb,
};
use crate::client::{Client, escape};
use crate::output::{self, Format, say};
use base::{Error, Result};
use hyper::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/domains";

pub(super) async fn run(verb: DomainVerb) -> Result<()> {
    match verb {
        DomainVerb::New { name, default, change: reach } => {
            let body = json!({ "name": name, "default": default });
            change(&reach, Method::POST, PATH, "", Some(&body)).await
        }
        DomainVerb::Get(reach) => ask(&reach, PATH).await,
        DomainVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &format!("{PATH}/{}", escape(&name)), "", None).await
        }
        DomainVerb::Dns { name, reach } => dns(&name, &reach).await,
        DomainVerb::Remote(verb) => remote(verb).await,
        DomainVerb::Dkim(verb) => dkim(verb).await,
        DomainVerb::Reports { name, days, reach } => {
            ask(&reach, &format!("{PATH}/{}/reports?days={days}", escape(&name))).await
        }
        DomainVerb::Reporting(verb) => reporting(verb).await,
    }
}

/// Shows what was found; what fails makes the command fail, so that scripts can go by it.
pub(super) async fn doctor(doctor: Doctor) -> Result<()> {
    let path = match &doctor.domain {
        Some(domain) => format!("/api/v1/doctor/{}", escape(domain)),
        None => "/api/v1/doctor".to_owned(),
    };
    let answer = Client::new(&doctor.reach.data).call(Method::GET, &path, None).await?;
    output::show(doctor.reach.output, &answer);
    let lines = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    match lines.iter().filter(|line| line["level"] == "FAIL").count() {
        0 => Ok(()),
        1 => Err(Error::invalid("one check has failed")),
        count => Err(Error::invalid(format!("{count} checks have failed"))),
    }
}

/// For people as the lines of a zone file, with what was found as comments.
async fn dns(name: &str, reach: &Reach) -> Result<()> {
    let path = format!("{PATH}/{}/dns", escape(name));
    let answer = Client::new(&reach.data).call(Method::GET, &path, None).await?;
    match &answer {
        Value::Array(rows) if reach.output == Format::Table => {
            rows.iter().flat_map(zone_lines).for_each(say);
        }
        _ => output::show(reach.output, &answer),
    }
    Ok(())
}

fn zone_lines(row: &Value) -> Vec<String> {
    let text = |key: &str| {
        let text = row[key].as_str().unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).collect::<String>()
    };
    let (status, kind, value) = (text("status"), text("type"), text("value"));
    let mut lines = vec![format!("; {status}: {}", text("advice"))];
    let found = row["found"].as_array().map(Vec::as_slice).unwrap_or_default();
    if status != "ok" {
        let shown = |one: &Value| one.as_str().unwrap_or_default().escape_debug().to_string();
        lines.extend(found.iter().map(|one| format!(";   found: {}", shown(one))));
    }
    let name = text("name");
    match kind.as_str() {
        // No record, but what a web server has to have.
        "POLICY" => {
            lines.push(format!("; {name}:"));
            let policy = row["value"].as_str().unwrap_or_default();
            lines.extend(policy.lines().map(|line| format!(";   {}", line.escape_debug())));
        }
        // An address is said by one record each.
        "A/AAAA" => lines.extend(value.split_whitespace().map(|address| {
            let kind = if address.contains(':') { "AAAA" } else { "A" };
            format!("{name}. IN {kind} {address}")
        })),
        _ if value.is_empty() => {}
        _ => lines.push(format!("{name}. IN {kind} {value}")),
    }
    lines
}

async fn dkim(verb: DkimVerb) -> Result<()> {
    match verb {
        DkimVerb::List { domain, reach } => ask(&reach, &keys(&domain)).await,
        DkimVerb::New { domain, algorithm, selector, change: reach } => {
            let body = json!({ "algorithm": algorithm, "selector": selector });
            change(&reach, Method::POST, &keys(&domain), "", Some(&body)).await
        }
        DkimVerb::Activate(key) => steer(key, Method::POST, "/activate").await,
        DkimVerb::Retire(key) => steer(key, Method::POST, "/retire").await,
        DkimVerb::Remove(key) => steer(key, Method::DELETE, "").await,
    }
}

async fn remote(verb: RemoteVerb) -> Result<()> {
    const REMOTE: &str = "/api/v1/remote-domains";
    let body = |entry: &RemoteEntry| {
        let RemoteEntry { forwards, failures, reports, .. } = entry;
        json!({ "forwards": forwards, "failures": failures, "reports": reports })
    };
    match verb {
        RemoteVerb::Get(reach) => ask(&reach, REMOTE).await,
        RemoteVerb::New(entry) => {
            let mut body = body(&entry);
            body["pattern"] = json!(entry.pattern);
            change(&entry.change, Method::POST, REMOTE, "", Some(&body)).await
        }
        RemoteVerb::Set(entry) => {
            let path = format!("{REMOTE}/{}", escape(&entry.pattern));
            change(&entry.change, Method::PATCH, &path, "", Some(&body(&entry))).await
        }
        RemoteVerb::Remove { pattern, change: reach } => {
            let path = format!("{REMOTE}/{}", escape(&pattern));
            change(&reach, Method::DELETE, &path, "", None).await
        }
    }
}

async fn reporting(verb: ReportingVerb) -> Result<()> {
    const REPORTING: &str = "/api/v1/reporting";
    match verb {
        ReportingVerb::Get(reach) => ask(&reach, REPORTING).await,
        ReportingVerb::Set(reporting) => {
            let Reporting { organization, contact, tls, dmarc, inbox, change: reach } = reporting;
            let body = json!({
                "organization": organization,
                "contact": contact,
                "tls": tls,
                "dmarc": dmarc,
                "inbox": inbox,
            });
            change(&reach, Method::PATCH, REPORTING, "", Some(&body)).await
        }
    }
}

async fn steer(key: DkimKey, method: Method, verb: &str) -> Result<()> {
    let path = format!("{}/{}{verb}", keys(&key.domain), escape(&key.selector));
    change(&key.change, method, &path, "", None).await
}

fn keys(domain: &str) -> String {
    format!("{PATH}/{}/dkim", escape(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_shown_as_a_zone_file_has_them() {
        let row = |status: &str, kind: &str, value: &str, found: &[&str]| {
            json!({ "status": status, "type": kind, "name": "a.test", "value": value,
                "found": found, "advice": "do it" })
        };
        let check = |row: Value, expect: &[&str]| assert_eq!(zone_lines(&row), expect);
        let mx = row("ok", "MX", "10 mx.a.test.", &["10 mx.a.test."]);
        check(mx, &["; ok: do it", "a.test. IN MX 10 mx.a.test."]);
        let spf = row("differs", "TXT", "\"v=spf1 mx -all\"", &["v=spf1\n-all"]);
        let expect =
            ["; differs: do it", ";   found: v=spf1\\n-all", "a.test. IN TXT \"v=spf1 mx -all\""];
        check(spf, &expect);
        let both = row("missing", "A/AAAA", "192.0.2.1 2001:db8::1", &[]);
        let expect = ["; missing: do it", "a.test. IN A 192.0.2.1", "a.test. IN AAAA 2001:db8::1"];
        check(both, &expect);
        check(row("missing", "DKIM", "", &[]), &["; missing: do it"]);
        let policy = row("missing", "POLICY", "version: STSv1\nmode: testing\n", &[]);
        let expect = ["; missing: do it", "; a.test:", ";   version: STSv1", ";   mode: testing"];
        check(policy, &expect);
    }
}
