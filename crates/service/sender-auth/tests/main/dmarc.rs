//! DMARC: which record speaks for a domain, and whose name belongs to whose.

use base::env::sim::SimDns;
use service_sender_auth::dmarc::{self, Policy, Proven, Record, Walk};

fn zone(records: &[(&str, &str)]) -> SimDns {
    let dns = SimDns::default();
    for (name, record) in records {
        dns.set_texts(&format!("_dmarc.{name}"), &[record]);
    }
    dns
}

#[tokio::test]
async fn the_record_that_speaks_for_a_domain_is_found() {
    let dns = zone(&[
        ("a.test", "v=DMARC1; p=reject; sp=quarantine"),
        ("own.a.test", "v=DMARC1; p=none"),
        ("suffix", "v=DMARC1; p=reject; psd=y"),
        ("apart.b.test", "v=DMARC1; p=reject; psd=n"),
        ("b.test", "v=DMARC1; p=quarantine"),
        ("broken.test", "v=DMARC1; p=bogus"),
    ]);
    let check = async |domain: &str, policy: Option<Policy>, organisation: &str| {
        let walk = Walk::from(&dns, domain).await.unwrap();
        assert_eq!(walk.policy().map(|(_, policy)| policy), policy, "{domain}");
        assert_eq!(walk.organisation(), organisation, "{domain}");
    };
    check("a.test", Some(Policy::Reject), "a.test").await;
    check("x.y.a.test", Some(Policy::Quarantine), "a.test").await;
    check("own.a.test", Some(Policy::None), "a.test").await;
    check("nothing.test", None, "nothing.test").await;
    check("x.y.company.suffix", Some(Policy::Reject), "company.suffix").await;
    check("company.suffix", Some(Policy::Reject), "company.suffix").await;
    check("x.apart.b.test", Some(Policy::Reject), "apart.b.test").await;
    check("x.b.test", Some(Policy::Quarantine), "b.test").await;
    check("broken.test", Some(Policy::None), "broken.test").await;
    // Of very long names the middle is skipped: the first, and then seven labels at most.
    let long = format!("{}a.test", "x.".repeat(50));
    check(&long, Some(Policy::Quarantine), "a.test").await;
    dns.set_texts("_dmarc.two.test", &["v=DMARC1; p=reject", "v=DMARC1; p=reject"]);
    check("two.test", None, "two.test").await;
    dns.set_texts("_dmarc.mixed.test", &["other", "v=DMARC1;p=reject;"]);
    check("mixed.test", Some(Policy::Reject), "mixed.test").await;
    dns.break_host("_dmarc.b.test");
    assert!(Walk::from(&dns, "x.b.test").await.is_err());
}

#[tokio::test]
async fn domains_align_as_their_owner_says() {
    let dns = zone(&[
        ("loose.test", "v=DMARC1; p=reject"),
        ("strict.test", "v=DMARC1; p=reject; adkim=s"),
        ("hosted.loose.test", "v=DMARC1; p=reject; psd=n"),
    ]);
    let check = async |author: &str, domain: &str, by_spf: bool, expected: bool| {
        let author = Walk::from(&dns, author).await.unwrap();
        let other = Walk::from(&dns, domain).await.unwrap();
        let proven = Proven { domain: domain.to_owned(), by_spf };
        let aligned = dmarc::is_aligned(&author, &proven, other.organisation());
        assert_eq!(aligned, expected, "{} and {domain}", author.domain());
        assert!(!aligned || dmarc::may_align(&author, &proven));
    };
    check("loose.test", "loose.test", false, true).await;
    check("loose.test", "mail.loose.test", false, true).await;
    check("news.loose.test", "mail.loose.test", true, true).await;
    check("news.loose.test", "loose.test", false, true).await;
    check("loose.test", "evilloose.test", false, false).await;
    check("loose.test", "evil.test", true, false).await;
    // What another owner has below our name is not ours.
    check("loose.test", "x.hosted.loose.test", false, false).await;
    check("strict.test", "mail.strict.test", false, false).await;
    check("strict.test", "mail.strict.test", true, true).await;
    check("strict.test", "strict.test", false, true).await;
}

#[test]
fn some_of_a_hundred_get_the_milder_treatment() {
    let check = |text: &str, draw: u8, expected: Policy| {
        let record = Record::parse(text.as_bytes()).unwrap();
        assert_eq!(dmarc::disposition(&record, Policy::Reject, draw), expected, "{text} {draw}");
    };
    check("v=DMARC1; p=reject", 99, Policy::Reject);
    check("v=DMARC1; p=reject; pct=30", 29, Policy::Reject);
    check("v=DMARC1; p=reject; pct=30", 30, Policy::Quarantine);
    check("v=DMARC1; p=reject; pct=0", 0, Policy::Quarantine);
    check("v=DMARC1; p=reject; pct=900", 99, Policy::Reject);
    check("v=DMARC1; p=reject; t=y", 0, Policy::Quarantine);
    assert!(Record::parse(b"p=reject; v=DMARC1").is_none());
    assert!(Record::parse(b"v=DMARC2; p=reject").is_none());
}
