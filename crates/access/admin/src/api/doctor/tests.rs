//! What is well, what is not, and how bad.
#![allow(clippy::unwrap_used)]

use super::*;
use base::env::sim::SimDns;

#[test]
fn ports_that_nobody_listens_on_are_told() {
    let at = |port: u16| ListenerView {
        name: "one".into(),
        address: format!("[::]:{port}"),
        protocol: "smtp".into(),
        tls: "starttls".into(),
    };
    let levels = |listeners: &[ListenerView]| {
        ports(listeners).iter().map(|one| one.level).collect::<Vec<_>>()
    };
    use Level::{Fail, Ok, Warn};
    assert_eq!(levels(&[]), [Fail, Warn, Warn, Warn, Warn]);
    assert_eq!(levels(&[at(25), at(993)]), [Ok, Warn, Warn, Warn, Ok]);
}

#[test]
fn a_certificate_must_be_good_and_name_the_host() {
    let check = |names: &[&str], days_left: i64, expect: Level| {
        let view = CertificateView {
            file: "cert.pem".into(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            not_before: "then".into(),
            not_after: "later".into(),
            days_left,
            public_key_sha256: "ab".into(),
        };
        let line = certificate(Some(&view), "mx.rialto.test");
        assert_eq!(line.level, expect, "{line:?}");
        assert_eq!(line.advice.is_empty(), expect == Level::Ok, "{line:?}");
    };
    check(&["other.test", "MX.rialto.test"], 90, Level::Ok);
    check(&["*.rialto.test"], 90, Level::Ok);
    check(&["*.test"], 90, Level::Fail);
    check(&["rialto.test"], 90, Level::Fail);
    check(&["mx.rialto.test"], 13, Level::Warn);
    check(&["mx.rialto.test"], -1, Level::Fail);
    assert_eq!(certificate(None, "mx.rialto.test").level, Level::Fail);
}

#[tokio::test]
async fn the_sending_address_needs_the_name_that_is_said() {
    let (dns, host) = (SimDns::default(), "mx.rialto.test");
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let check = async |expect: Level| {
        let line = name_of(&dns, address, host).await;
        assert_eq!(line.level, expect, "{line:?}");
    };
    check(Level::Fail).await;
    dns.set_names(address, &["pool-7.isp.test"]);
    check(Level::Warn).await;
    dns.set_names(address, &["pool-7.isp.test", host]);
    check(Level::Fail).await;
    dns.set(host, &["192.0.2.2".parse().unwrap()]);
    check(Level::Fail).await;
    dns.set(host, &[address]);
    check(Level::Ok).await;
    dns.break_host(host);
    check(Level::Warn).await;
    assert_eq!(senders(&dns, &[address], "no.test").await, Ok(vec![address]));
    assert!(senders(&dns, &[], "no.test").await.is_err());
}

#[test]
fn a_record_is_as_bad_as_what_follows_from_it() {
    let check = |wanted: Wanted, status: Status, expect: Level| {
        let record = Record {
            kind: "TXT",
            name: "rialto.test".into(),
            value: String::new(),
            wanted: wanted.clone(),
            advice: "do it".into(),
        };
        let line = of_record(&record, status, &["x".into()]);
        assert_eq!(line.level, expect, "{wanted:?} {status:?}");
        assert_eq!(line.advice.is_empty(), expect == Level::Ok);
    };
    let key = |state: KeyState| Wanted::Key("k".into(), state);
    check(Wanted::Exchanger("mx".into()), Status::Missing, Level::Fail);
    check(Wanted::Exchanger("mx".into()), Status::Differs, Level::Warn);
    check(Wanted::Spf("s".into()), Status::Missing, Level::Fail);
    check(Wanted::Spf("s".into()), Status::Ok, Level::Ok);
    check(key(KeyState::Active), Status::Differs, Level::Fail);
    check(key(KeyState::Active), Status::Unknown, Level::Warn);
    check(key(KeyState::Prepared), Status::Missing, Level::Warn);
    check(key(KeyState::Retired), Status::Missing, Level::Warn);
    check(Wanted::Dmarc, Status::Missing, Level::Warn);
    check(Wanted::Dmarc, Status::Differs, Level::Fail);
    check(Wanted::Service(993, "mx".into()), Status::Missing, Level::Warn);
    check(Wanted::Nothing, Status::Missing, Level::Warn);
    check(Wanted::Tlsa("ab".into()), Status::Missing, Level::Warn);
    check(Wanted::Tlsa("ab".into()), Status::Differs, Level::Fail);
    check(Wanted::Sts, Status::Missing, Level::Warn);
}

#[test]
fn what_spf_says_of_us_is_judged() {
    let check = |result: &str, expect: Level| {
        let line = policy("rialto.test", "192.0.2.1".parse().unwrap(), result);
        assert_eq!((line.level, line.found.as_str()), (expect, result));
        assert_eq!(line.advice.is_empty(), expect == Level::Ok, "{line:?}");
    };
    check("pass", Level::Ok);
    check("fail", Level::Fail);
    check("permerror", Level::Fail);
    check("softfail", Level::Warn);
    check("neutral", Level::Warn);
    check("temperror", Level::Warn);
}

#[test]
fn long_records_are_shown_in_part() {
    assert_eq!(beginning("short"), "short");
    assert_eq!(beginning(&"x".repeat(60)), "x".repeat(60));
    assert_eq!(beginning(&"\u{fc}".repeat(61)), "\u{fc}".repeat(60) + "…");
}
