//! Whole messages, from the envelope to what is written down and what follows.

use crate::dkim::{ED25519, RFC_8463, RFC_8463_KEYS, sign, split};
use async_trait::async_trait;
use base::env::sim::SimDns;
use base::env::{Dns, DnsError, Env, Found, MailExchanger};
use base::{Address, Deadline};
use bytes::Bytes;
use contract_transport::authentication::{Checked, Client, SenderAuthentication, SenderPolicies};
use service_sender_auth::{Action, Authentication, Config};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const HOST: &str = "mx.rialto.test";

pub(crate) fn config() -> Config {
    Config::new(HOST)
}

pub(crate) fn ip() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

/// A domain that does everything right, from one host.
pub(crate) fn zone() -> SimDns {
    let dns = SimDns::default();
    dns.set("out.rialto.test", &[ip()]);
    dns.set_names(ip(), &["out.rialto.test"]);
    dns.set_texts("rialto.test", &["v=spf1 a:out.rialto.test -all exp=why.rialto.test"]);
    dns.set_texts("why.rialto.test", &["%{i} is not ours"]);
    dns.set_texts("out.rialto.test", &["v=spf1 a -all"]);
    dns.set_texts("s1._domainkey.rialto.test", &[&ED25519.record().unwrap()]);
    dns.set_texts("_dmarc.rialto.test", &["v=DMARC1; p=reject"]);
    dns
}

async fn check_from(
    config: Config,
    dns: impl Dns,
    client: Client,
    message: &str,
) -> (String, Checked) {
    let env = Env { dns: Arc::new(dns), ..Env::real() };
    let mut check = Authentication::new(config, env).begin(client);
    let (header, body) = split(message);
    let stored = check.header(Bytes::from(header.to_owned()));
    body.as_bytes().chunks(1000).for_each(|piece| check.body(piece));
    (String::from_utf8(stored.to_vec()).unwrap(), check.finish().await)
}

pub(crate) fn client(ip: IpAddr, sender: &str) -> Client {
    let sender = sender.split_once('@').map(|(local, domain)| Address::new(local, domain));
    Client { ip, helo: "out.rialto.test".into(), sender, is_trusted: false }
}

async fn check(config: Config, dns: &SimDns, ip: IpAddr, message: &str) -> Checked {
    check_from(config, dns.clone(), client(ip, "a@rialto.test"), message).await.1
}

fn fields(checked: &Checked) -> String {
    String::from_utf8(checked.fields.to_vec()).unwrap()
}

fn is_junk(checked: &Checked) -> bool {
    let segments = vec![contract_blob::Segment::Inline(checked.fields.clone())];
    contract_transport::authentication::is_junk(&contract_blob::Content { segments })
}

pub(crate) const PLAIN: &str =
    "From: A <a@rialto.test>\r\nTo: b@x.test\r\nSubject: hi\r\n\r\nhello\r\n";

/// An address that the domain does not send from.
pub(crate) fn elsewhere() -> IpAddr {
    "198.51.100.9".parse().unwrap()
}

#[tokio::test]
async fn what_is_right_is_written_down() {
    let signed = sign(PLAIN, &ED25519, "s1");
    let checked = check(config(), &zone(), ip(), &signed).await;
    let text = fields(&checked);
    let tag = text.split("header.b=").nth(1).unwrap().split(';').next().unwrap();
    let expected = format!(
        "Authentication-Results: mx.rialto.test;\r\n\
         \tspf=pass smtp.mailfrom=a@rialto.test;\r\n\
         \tspf=pass smtp.helo=out.rialto.test;\r\n\
         \tdkim=pass\r\n\
         \theader.d=rialto.test header.s=s1 header.a=ed25519-sha256 header.b={tag};\r\n\
         \tdmarc=pass header.from=rialto.test;\r\n\
         \tiprev=pass policy.iprev=192.0.2.7 (out.rialto.test)\r\n"
    );
    let expected =
        expected.replace("\theader.d=rialto.test header.s", "\theader.d=rialto.test\r\n\theader.s");
    assert_eq!(text, expected);
    assert_eq!(checked.refusal, None);
}

#[tokio::test]
async fn the_examples_of_rfc_8463_pass_dmarc_by_their_signatures() {
    let dns = SimDns::default();
    for (name, record) in RFC_8463_KEYS {
        dns.set_texts(name, &[record]);
    }
    dns.set_texts("_dmarc.example.com", &["v=DMARC1; p=reject"]);
    let client = client(elsewhere(), "bounces@elsewhere.test");
    let (_, checked) = check_from(config(), dns, client, RFC_8463).await;
    let text = fields(&checked);
    assert_eq!(text.matches("dkim=pass").count(), 2, "{text}");
    assert!(text.contains("dmarc=pass header.from=football.example.com"), "{text}");
    assert!(text.contains("spf=none smtp.mailfrom=bounces@elsewhere.test"), "{text}");
    assert!(text.contains("iprev=permerror"), "{text}");
}

#[tokio::test]
async fn what_the_domain_asks_for_is_done_as_configured() {
    let dns = zone();
    let set = |dmarc, spf| Config { dmarc, spf, ..config() };
    let report = Action::Report;
    let checked = check(config(), &dns, elsewhere(), PLAIN).await;
    let reason = checked.refusal.clone().unwrap();
    assert!(reason.contains("rialto.test") && reason.contains("DMARC"), "{reason}");
    let checked = check(set(Action::Quarantine, report), &dns, elsewhere(), PLAIN).await;
    assert!(checked.refusal.is_none() && is_junk(&checked), "{}", fields(&checked));
    assert!(fields(&checked).contains("dmarc=fail (p=reject applied=reject)"));
    let checked = check(set(report, report), &dns, elsewhere(), PLAIN).await;
    assert!(checked.refusal.is_none() && !is_junk(&checked));
    let checked = check(set(report, Action::Enforce), &dns, elsewhere(), PLAIN).await;
    let reason = checked.refusal.unwrap();
    assert!(reason.contains("198.51.100.9 is not ours"), "{reason}");
    let checked = check(set(report, Action::Quarantine), &dns, elsewhere(), PLAIN).await;
    assert!(checked.refusal.is_none() && is_junk(&checked));
    // A signature makes good what forwarding has broken.
    let signed = sign(PLAIN, &ED25519, "s1");
    let checked = check(set(Action::Enforce, Action::Enforce), &dns, elsewhere(), &signed).await;
    assert_eq!(checked.refusal, None, "{}", fields(&checked));
    let checked = check(config(), &dns, elsewhere(), &signed.replace("hello", "bye")).await;
    assert!(checked.refusal.is_some());
    dns.set_texts("_dmarc.rialto.test", &["v=DMARC1; p=quarantine"]);
    let checked = check(config(), &dns, elsewhere(), PLAIN).await;
    assert!(checked.refusal.is_none() && is_junk(&checked));
    dns.set_texts("_dmarc.rialto.test", &["v=DMARC1; p=none"]);
    let checked = check(config(), &dns, elsewhere(), PLAIN).await;
    assert!(checked.refusal.is_none() && !is_junk(&checked));
    assert!(fields(&checked).contains("dmarc=fail (p=none applied=none)"));
    dns.set_texts("_dmarc.rialto.test", &["v=DMARC1; p=reject; pct=0"]);
    let checked = check(config(), &dns, elsewhere(), PLAIN).await;
    assert!(checked.refusal.is_none() && is_junk(&checked));
}

#[tokio::test]
async fn attack_20_authors_who_are_several_or_unclear_gain_nothing() {
    let dns = zone();
    let second = PLAIN.replace("To:", "From: b@other.test\r\nTo:");
    let reason = check(config(), &dns, ip(), &second).await.refusal.unwrap();
    assert!(reason.contains("From"), "{reason}");
    // Two authors are as good as the worse of them.
    let both = PLAIN.replace("A <a@rialto.test>", "x@evil.test, a@rialto.test");
    assert!(check(config(), &dns, elsewhere(), &both).await.refusal.is_some());
    for unclear in ["a@rialto.test b@evil.test", "undisclosed:;", "<@evil.test:a@rialto.test>"] {
        let message = PLAIN.replace("A <a@rialto.test>", unclear);
        let checked = check(config(), &dns, elsewhere(), &message).await;
        assert!(is_junk(&checked), "{unclear}: {}", fields(&checked));
        assert!(fields(&checked).contains("dmarc=permerror"));
    }
    let nobody = PLAIN.replace("From: A <a@rialto.test>\r\n", "");
    let checked = check(config(), &dns, elsewhere(), &nobody).await;
    assert!(checked.refusal.is_none() && !is_junk(&checked));
    // Capitals and a dot at the end are the same domain.
    for same in ["a@RIALTO.test", "a@rialto.test."] {
        let message = PLAIN.replace("a@rialto.test", same);
        let checked = check(config(), &dns, elsewhere(), &message).await;
        assert!(checked.refusal.is_some() || is_junk(&checked), "{same}: {}", fields(&checked));
    }
}

#[tokio::test]
async fn attack_20_forged_results_are_removed_and_true_ones_put_in_front() {
    let forged = "Authentication-Results: MX.rialto.test; dmarc=pass\r\nX-Rialto-Spam: none\r\n";
    let others = "Authentication-Results: mx.other.test; dmarc=pass\r\n";
    let message = format!("{forged}{others}{PLAIN}");
    for ip in [elsewhere(), "127.0.0.1".parse().unwrap()] {
        let (stored, _) = check_from(config(), zone(), client(ip, ""), &message).await;
        assert_eq!(stored, format!("{others}{}", split(PLAIN).0));
    }
}

#[tokio::test]
async fn mail_from_the_machine_itself_is_taken_as_it_is() {
    let local = client("::ffff:127.0.0.1".parse().unwrap(), "a@rialto.test");
    let (_, checked) = check_from(config(), Silent, local.clone(), PLAIN).await;
    assert_eq!(checked, Checked::default());
    let strict = Config { trusts_loopback: false, ..config() };
    let (_, checked) = check_from(strict, zone(), local, PLAIN).await;
    assert!(checked.refusal.is_some());
}

#[tokio::test]
async fn attack_18_only_the_first_signatures_are_looked_at() {
    let signed = sign(PLAIN, &ED25519, "s1");
    let one = signed.strip_suffix(PLAIN).unwrap();
    let junk = one.replace("d=rialto.test", "d=evil.test").repeat(999);
    let checked = check(config(), &zone(), elsewhere(), &format!("{one}{junk}{PLAIN}")).await;
    let text = fields(&checked);
    assert_eq!(text.matches("dkim=").count(), 10, "{text}");
    assert_eq!(checked.refusal, None, "the first one passes");
    let checked = check(config(), &zone(), elsewhere(), &format!("{junk}{one}{PLAIN}")).await;
    assert!(checked.refusal.is_some());
}

#[tokio::test]
async fn attack_18_a_body_that_is_signed_in_part_counts_for_nothing() {
    // `l=` is not ours to write, so a signature that has it is made over its own field.
    let signed = sign(PLAIN, &ED25519, "s1");
    let partly = signed.replace(" c=relaxed/relaxed;", " c=relaxed/relaxed; l=5;");
    let checked = check(config(), &zone(), elsewhere(), &partly).await;
    let text = fields(&checked);
    assert!(!text.contains("dkim=pass") && checked.refusal.is_some(), "{text}");
    // Only so many ways of hashing one body are followed.
    let many: String = (0..9)
        .map(|n| {
            let one = signed.strip_suffix(PLAIN).unwrap();
            one.replace(" c=relaxed/relaxed;", &format!(" c=relaxed/relaxed; l={n};"))
        })
        .collect();
    let checked = check(config(), &zone(), elsewhere(), &format!("{many}{PLAIN}")).await;
    let text = fields(&checked);
    assert_eq!(text.matches("too many ways").count(), 5, "{text}");
}

#[tokio::test]
async fn what_nobody_knows_is_refused_only_where_it_could_not_have_helped() {
    let signed = sign(PLAIN, &ED25519, "s1");
    for name in ["s1._domainkey.rialto.test", "_dmarc.rialto.test"] {
        let dns = zone();
        dns.break_host(name);
        let checked = check(config(), &dns, elsewhere(), &signed).await;
        let text = fields(&checked);
        assert!(text.contains("dmarc=temperror") && checked.refusal.is_none(), "{name}: {text}");
    }
    // A domain of the attacker's that does not answer is no excuse.
    let dns = zone();
    dns.break_host("s1._domainkey.evil.test");
    let evil = signed.replace("d=rialto.test", "d=evil.test");
    let checked = check(config(), &dns, elsewhere(), &evil).await;
    assert!(checked.refusal.is_some(), "{}", fields(&checked));
}

/// A name server that never answers.
struct Silent;

#[async_trait]
impl Dns for Silent {
    async fn addresses(&self, _: &str) -> Result<Found<IpAddr>, DnsError> {
        std::future::pending().await
    }

    async fn exchangers(&self, _: &str) -> Result<Found<MailExchanger>, DnsError> {
        std::future::pending().await
    }

    async fn texts(&self, _: &str) -> Result<Found<Vec<u8>>, DnsError> {
        std::future::pending().await
    }

    async fn names(&self, _: IpAddr) -> Result<Found<String>, DnsError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_hangs_holds_nobody_for_long() {
    let signed = sign(PLAIN, &ED25519, "s1");
    let allowed = Deadline::after(Duration::from_secs(11));
    let sender = client(elsewhere(), "a@rialto.test");
    let (_, checked) = check_from(config(), Silent, sender, &signed).await;
    assert!(allowed.remaining() > Duration::ZERO);
    let text = fields(&checked);
    for part in [
        "spf=temperror smtp.mailfrom",
        "spf=temperror smtp.helo",
        "dkim=temperror",
        "dmarc=temperror",
        "iprev=temperror",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(checked.refusal, None);
    // Whoever goes away meanwhile leaves nothing behind.
    let env = Env { dns: Arc::new(Silent), ..Env::real() };
    let authentication = Authentication::new(config(), env);
    drop(authentication.begin(client(elsewhere(), "a@rialto.test")));
}

#[tokio::test]
async fn a_host_can_be_asked_about_by_itself() {
    let dns = zone();
    let check = async |ip: IpAddr, domain: &str, expect: &str| {
        let env = Env { dns: Arc::new(dns.clone()), ..Env::real() };
        let checks = Authentication::new(config(), env);
        assert_eq!(checks.spf(ip, "out.rialto.test", domain).await, expect, "{ip} {domain}");
    };
    check(ip(), "Rialto.test", "pass").await;
    check(elsewhere(), "rialto.test", "fail").await;
    check(ip(), "nobody.test", "none").await;
    dns.break_host("rialto.test");
    check(ip(), "rialto.test", "temperror").await;
}
