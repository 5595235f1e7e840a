//! What is to be published, and what is made of what was.
#![allow(clippy::unwrap_used)]

use super::*;
use base::Timestamp;
use base::env::sim::SimDns;
use contract_transport::signing::KeyAlgorithm;

fn key(selector: &str, state: KeyState) -> ShownKey {
    ShownKey {
        domain: "rialto.test".into(),
        selector: selector.into(),
        algorithm: KeyAlgorithm::Ed25519,
        record: "v=DKIM1; k=ed25519; p=AAAA".into(),
        state,
        created: Timestamp { unix_ms: 0 },
    }
}

fn node() -> NodeAbout {
    let listener = |protocol: &str, tls: &str, port: u16| ListenerView {
        name: format!("{protocol}-{tls}"),
        address: format!("0.0.0.0:{port}"),
        protocol: protocol.to_owned(),
        tls: tls.to_owned(),
    };
    NodeAbout {
        name: "one".into(),
        host_name: "MX.rialto.test".into(),
        version: "0".into(),
        listeners: vec![
            listener("smtp", "starttls", 25),
            listener("imap", "implicit", 10_993),
            listener("imap", "implicit", 993),
            listener("submission", "starttls", 10_587),
        ],
    }
}

fn own() -> Vec<IpAddr> {
    vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]
}

/// Each record as a line of a zone file.
fn lines(own: &[IpAddr], keys: &[ShownKey]) -> Vec<String> {
    let line = |one: &Record| format!("{} {} {}", one.name, one.kind, one.value);
    records("rialto.test", &node(), own, keys, (Some("ab12"), None)).iter().map(line).collect()
}

#[test]
fn everything_that_is_to_be_published_is_told() {
    let keys = [key("old", KeyState::Retired), key("now", KeyState::Active)];
    let expect = [
        "rialto.test MX 10 mx.rialto.test.",
        "mx.rialto.test A/AAAA 192.0.2.1 2001:db8::1",
        "rialto.test TXT \"v=spf1 mx ip4:192.0.2.1 ip6:2001:db8::1 -all\"",
        "old._domainkey.rialto.test TXT \"v=DKIM1; k=ed25519; p=AAAA\"",
        "now._domainkey.rialto.test TXT \"v=DKIM1; k=ed25519; p=AAAA\"",
        "_dmarc.rialto.test TXT \"v=DMARC1; p=none; rua=mailto:postmaster@rialto.test\"",
        "_imaps._tcp.rialto.test SRV 0 1 993 mx.rialto.test.",
        "_submission._tcp.rialto.test SRV 0 1 10587 mx.rialto.test.",
        "_pop3s._tcp.rialto.test SRV 0 0 0 .",
        "_mta-sts.rialto.test TXT \"v=STSv1; id=ID\"",
        "_smtp._tls.rialto.test TXT \"v=TLSRPTv1; rua=mailto:postmaster@rialto.test\"",
        "https://mta-sts.rialto.test/.well-known/mta-sts.txt POLICY version: STSv1\nmode: testing\n\
         mx: mx.rialto.test\nmax_age: 604800\n",
        "_25._tcp.mx.rialto.test TLSA 3 1 1 ab12",
    ];
    let mut found = lines(&own(), &keys);
    let id = found[9].split("id=").nth(1).unwrap().trim_end_matches('"').to_owned();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    found[9] = found[9].replace(&id, "ID");
    assert_eq!(found, expect);
    let without = lines(&[], &[key("next", KeyState::Prepared)]);
    assert_eq!(without[2], "rialto.test TXT \"v=spf1 mx -all\"");
    assert_eq!(without[4], "rialto.test DKIM ", "nothing signs yet: {without:?}");
}

#[test]
fn pop3_is_told_where_it_is_spoken() {
    let mut node = node();
    let services = |node: &NodeAbout| -> Vec<String> {
        let all = super::services("rialto.test", "mx.rialto.test", &node.listeners);
        let pop3 = all.iter().filter(|one| one.name.starts_with("_pop3"));
        pop3.map(|one| format!("{} {}", one.name, one.value)).collect()
    };
    assert_eq!(services(&node), ["_pop3s._tcp.rialto.test 0 0 0 ."]);
    let listener = |tls: &str, port: u16| ListenerView {
        name: format!("pop3-{tls}"),
        address: format!("0.0.0.0:{port}"),
        protocol: "pop3".into(),
        tls: tls.into(),
    };
    node.listeners.push(listener("starttls", 110));
    let expect =
        ["_pop3._tcp.rialto.test 0 1 110 mx.rialto.test.", "_pop3s._tcp.rialto.test 0 0 0 ."];
    assert_eq!(services(&node), expect);
    node.listeners.push(listener("implicit", 10_995));
    let expect = [
        "_pop3s._tcp.rialto.test 0 1 10995 mx.rialto.test.",
        "_pop3._tcp.rialto.test 0 1 110 mx.rialto.test.",
    ];
    assert_eq!(services(&node), expect);
}

/// The status of the record at a place of the list above, with one key.
async fn check(dns: &SimDns, place: usize, expect: Status) {
    let keys = [key("s1", KeyState::Active)];
    let records = records("rialto.test", &node(), &own(), &keys, (Some("ab12"), None));
    let (status, found) = look(dns, &records[place]).await;
    assert_eq!(status, expect, "{:?}: {found:?}", records[place]);
}

#[tokio::test]
async fn what_is_there_is_told_from_what_is_not() {
    let dns = SimDns::default();
    for place in 0..12 {
        check(&dns, place, Status::Missing).await;
    }
    let name = "rialto.test";
    dns.set_exchangers(name, &[(5, "other.test")]);
    check(&dns, 0, Status::Differs).await;
    dns.set_exchangers(name, &[(5, "other.test"), (20, "mx.Rialto.test.")]);
    check(&dns, 0, Status::Ok).await;
    dns.set("mx.rialto.test", &own()[..1]);
    check(&dns, 1, Status::Differs).await;
    dns.set("mx.rialto.test", &own());
    check(&dns, 1, Status::Ok).await;
    let spf = "v=spf1 mx ip4:192.0.2.1 ip6:2001:db8::1 -all";
    for (texts, expect) in [
        (&["something else"][..], Status::Missing),
        (&["v=spf1 -all"], Status::Differs),
        (&[spf, "v=spf1 -all"], Status::Differs),
        (&["x", spf], Status::Ok),
    ] {
        dns.set_texts(name, texts);
        check(&dns, 2, expect).await;
    }
    for (text, expect) in [
        ("v=DKIM1; k=ed25519; p=BBBB", Status::Differs),
        ("v=DKIM1;k=ed25519;p=AA AA;", Status::Ok),
    ] {
        dns.set_texts("s1._domainkey.rialto.test", &[text]);
        check(&dns, 3, expect).await;
    }
    dns.set_texts("_dmarc.rialto.test", &["v=DMARC1; p=reject"]);
    check(&dns, 4, Status::Ok).await;
    dns.set_services("_imaps._tcp.rialto.test", &[(993, "other.test")]);
    check(&dns, 5, Status::Differs).await;
    dns.set_services("_imaps._tcp.rialto.test", &[(993, "mx.rialto.test")]);
    check(&dns, 5, Status::Ok).await;
    dns.set_services("_pop3s._tcp.rialto.test", &[(0, ".")]);
    check(&dns, 7, Status::Ok).await;
    for (texts, expect) in [
        (&["v=STSv1"][..], Status::Missing),
        (&["v=STSv1; id=1;"], Status::Ok),
        (&["v=STSv1; id=1;", "v=STSv1; id=2;"], Status::Differs),
    ] {
        dns.set_texts("_mta-sts.rialto.test", texts);
        check(&dns, 8, expect).await;
    }
    dns.set_texts("_smtp._tls.rialto.test", &["v=TLSRPTv1; rua=https://reports.test/"]);
    check(&dns, 9, Status::Ok).await;
    dns.set("mta-sts.rialto.test", &own());
    check(&dns, 10, Status::Ok).await;
    let tlsa = |usage, data: &[u8]| base::env::Tlsa {
        usage,
        selector: 1,
        matching: 1,
        data: data.to_vec(),
    };
    let at = "_25._tcp.mx.rialto.test";
    let both = [tlsa(3, &[1]), tlsa(3, &[0xab, 0x12])];
    dns.set_tlsa(at, &both);
    check(&dns, 11, Status::Differs).await;
    dns.set_secure(at);
    check(&dns, 11, Status::Ok).await;
    dns.set_tlsa(at, &[tlsa(2, &[0xab, 0x12])]);
    check(&dns, 11, Status::Differs).await;
    dns.break_host(name);
    check(&dns, 0, Status::Unknown).await;
    check(&dns, 2, Status::Unknown).await;
}

#[test]
fn reports_go_to_the_address_that_is_set() {
    let check = |inbox: &str, expect: &[&str]| {
        let keys = [key("now", KeyState::Active)];
        let all = records("rialto.test", &node(), &[], &keys, (None, Some(inbox)));
        let about = |one: &&Record| one.value.contains("rua=") || one.name.contains("_report");
        let found: Vec<_> = all.iter().filter(about).map(|one| one.name.as_str()).collect();
        assert_eq!(found, expect, "{inbox}");
        let rua = format!("rua=mailto:{inbox}");
        let named = all.iter().filter(|one| one.value.contains(&rua)).count();
        assert_eq!(named, 2, "{inbox}");
    };
    let own = ["_dmarc.rialto.test", "_smtp._tls.rialto.test"];
    check("r@rialto.test", &own);
    check("r@sub.rialto.test", &own);
    let other =
        ["_dmarc.rialto.test", "rialto.test._report._dmarc.other.test", "_smtp._tls.rialto.test"];
    check("r@other.test", &other);
}
