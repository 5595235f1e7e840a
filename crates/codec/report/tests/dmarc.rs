//! Aggregate reports (RFC 9990 §3.1).

use codec_report::dmarc::{Feedback, Metadata, Policy, Record, Sender, Signature};

fn report() -> Feedback {
    Feedback {
        metadata: Metadata {
            organization: "Receiver & Sons <Ltd>".into(),
            email: "dmarc@receiver.example".into(),
            id: "1700000000.dmarc.0123".into(),
            begin_s: 1_700_006_400,
            end_s: 1_700_092_799,
            errors: vec!["7 messages are not told apart".into()],
        },
        policy: Policy {
            domain: "example.com".into(),
            dkim_alignment: "r".into(),
            spf_alignment: "s".into(),
            policy: "reject".into(),
            subdomain_policy: "none".into(),
            testing: false,
        },
        records: vec![
            Record {
                source: "192.0.2.123".parse().unwrap(),
                count: 123,
                disposition: "pass".into(),
                dkim: true,
                spf: false,
                reasons: Vec::new(),
                header_from: "example.com".into(),
                envelope_from: Some("bounces.example.com".into()),
                signatures: vec![Signature {
                    domain: "example.com".into(),
                    selector: "abc123".into(),
                    result: "pass".into(),
                }],
                sender: Some(Sender {
                    domain: "bounces.example.com".into(),
                    scope: "mfrom".into(),
                    result: "fail".into(),
                }),
            },
            Record {
                source: "2001:db8::7".parse().unwrap(),
                count: 1,
                disposition: "none".into(),
                dkim: false,
                spf: false,
                reasons: vec![("local_policy".into(), String::new())],
                header_from: "sub.example.com".into(),
                envelope_from: None,
                signatures: Vec::new(),
                sender: None,
            },
        ],
    }
}

const GOLDEN: &str = include_str!("golden/aggregate.xml");

#[test]
fn a_report_is_written_in_the_order_of_the_schema() {
    assert_eq!(String::from_utf8(report().write()).unwrap(), GOLDEN);
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(Feedback::read(GOLDEN.as_bytes()).unwrap(), report());
}

/// As most write it still (RFC 7489 appendix C): other elements, another order, no namespace.
#[test]
fn what_others_write_is_read() {
    let old = "\u{feff}<?xml version='1.0'?><!-- x --><x:feedback xmlns:x='y'>\n\
        <x:record><x:row><x:count> 7 </x:count><x:source_ip>192.0.2.1</x:source_ip>\
        <x:policy_evaluated><x:dkim>pass</x:dkim><x:unknown/></x:policy_evaluated></x:row>\
        <x:identifiers><x:header_from><![CDATA[a.test]]></x:header_from></x:identifiers>\
        </x:record><x:record><x:row/></x:record>\
        <x:report_metadata><x:org_name>A&#38;B &lt;C&gt;&quot;&apos;</x:org_name>\
        <x:date_range><x:begin>12</x:begin><x:end>x</x:end></x:date_range></x:report_metadata>\
        <x:policy_published><x:domain>a.test</x:domain><x:pct>100</x:pct></x:policy_published>\
        </x:feedback>";
    let read = Feedback::read(old.trim_start_matches('\u{feff}').as_bytes()).unwrap();
    assert_eq!(read.metadata.organization, "A&B <C>\"'");
    assert_eq!((read.metadata.begin_s, read.metadata.end_s), (12, 0));
    assert_eq!(read.policy.domain, "a.test");
    let [record] = &read.records[..] else { panic!("{read:?}") };
    assert_eq!((record.count, record.dkim, record.spf), (7, true, false));
    assert_eq!((record.header_from.as_str(), &record.sender), ("a.test", &None));
}

#[test]
fn attack_38_entities_do_not_expand() {
    let mut bomb = String::from("<?xml version=\"1.0\"?><!DOCTYPE feedback [<!ENTITY a0 \"ha\">");
    for level in 1..20 {
        let before = format!("&a{};", level - 1).repeat(10);
        bomb.push_str(&format!("<!ENTITY a{level} \"{before}\">"));
    }
    let body = "<feedback><report_metadata><org_name>&a19;</org_name></report_metadata></feedback>";
    assert!(Feedback::read(format!("{bomb}]>{body}").as_bytes()).is_err());
    assert!(Feedback::read(body.as_bytes()).is_err());
    let file = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><feedback>&f;</feedback>";
    assert!(Feedback::read(file.as_bytes()).is_err());
}

#[test]
fn attack_what_is_read_is_bounded() {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert!(Feedback::read(deep.as_bytes()).is_err());
    for (bytes, is_read) in [(64, true), (65, false)] {
        let named = format!("<feedback><{0}/></feedback>", "a".repeat(bytes));
        assert_eq!(Feedback::read(named.as_bytes()).is_ok(), is_read, "{bytes}");
    }
    let record = "<record><row><source_ip>::1</source_ip></row></record>";
    let many = format!("<feedback>{}</feedback>", record.repeat(20_000));
    assert_eq!(Feedback::read(many.as_bytes()).unwrap().records.len(), 10_000);
    let long = format!(
        "<feedback><report_metadata><org_name>{}</org_name></report_metadata></feedback>",
        "\u{fc}".repeat(100_000)
    );
    assert_eq!(Feedback::read(long.as_bytes()).unwrap().metadata.organization.len(), 1_024);
    for broken in ["", "x", "<feedback>", "<feedback></other>", "<other></other>", "<feedback>&x;"]
    {
        assert!(Feedback::read(broken.as_bytes()).is_err(), "{broken}");
    }
    assert!(Feedback::read(&[0xff, 0xfe, b'<', 0, b'a', 0]).is_err());
}

#[test]
fn nothing_of_strangers_ends_an_element() {
    let mut report = report();
    report.records[0].header_from = "a</header_from><x>&]]>\u{1}\u{ffff}\"'".into();
    let text = String::from_utf8(report.write()).unwrap();
    let expected = "<header_from>a&lt;/header_from&gt;&lt;x&gt;&amp;]]&gt;\"'</header_from>";
    assert!(text.contains(expected), "{text}");
}
