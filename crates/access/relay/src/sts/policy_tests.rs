#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

#[test]
fn records() {
    let check = |texts: &[&str], expected: Option<&str>| {
        let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        assert_eq!(id(&texts).as_deref(), expected, "{texts:?}");
    };
    check(&["v=STSv1; id=20160831085700Z;"], Some("20160831085700Z"));
    check(&["v=STSv1;id=1"], Some("1"));
    check(&["v=STSv1 ; x=y; id = 1 ;"], Some("1"));
    check(&["v=STSv1; id=1; id=2"], Some("1"));
    check(&["v=spf1 -all", "v=STSv1; id=1"], Some("1"));
    check(&["v=STSv1; id=1", "v=STSv1; id=1"], None);
    check(&["v=STSv1; id=1", "v=STSv1; id="], None);
    check(&[], None);
    check(&["v=STSv1"], None);
    check(&["v=STSv1;"], None);
    check(&["v=STSv2; id=1"], None);
    check(&["id=1; v=STSv1"], None);
    check(&["v=STSv1; id=a-b"], None);
    check(&["v=STSv1; id="], None);
    check(&[&format!("v=STSv1; id={}", "a".repeat(32))], Some(&"a".repeat(32)));
    check(&[&format!("v=STSv1; id={}", "a".repeat(33))], None);
    assert_eq!(id(&[b"v=STSv1; id=\xff".to_vec()]), None);
}

#[test]
fn policies() {
    let good = "version: STSv1\nmode: enforce\nmx: mx.example.org\nmx: *.example.net\n\
                max_age: 86400\n";
    let check = |text: &str, expected: Option<(StsMode, &[&str], u32)>| {
        let found = read(text.as_bytes());
        let expected = expected.map(|(mode, exchangers, max_age_s)| Read {
            mode,
            exchangers: exchangers.iter().map(|&one| one.to_owned()).collect(),
            max_age_s,
        });
        assert_eq!(found.as_ref().ok(), expected.as_ref(), "{text:?}: {found:?}");
    };
    let both = &["mx.example.org", "*.example.net"][..];
    let enforced = Some((StsMode::Enforce, both, 86_400));
    check(good, enforced);
    check(&good.replace('\n', "\r\n"), enforced);
    check(good.trim_end(), enforced);
    check(&good.replace(": ", ":  "), enforced);
    check(&format!("{good}\n\nunknown: x\nmode: none\nmax_age: 1\nversion: 2\n"), enforced);
    check(&good.replace("mx.example.org", "MX.Example.org."), enforced);
    check(&good.replace("enforce", "testing"), Some((StsMode::Testing, both, 86_400)));
    check("version: STSv1\nmode: none\nmax_age: 60", Some((StsMode::None, &[], 60)));
    // For a year at most.
    for age in ["31557600", "31557601", "9999999999"] {
        check(&good.replace("86400", age), Some((StsMode::Enforce, both, AGE_S_MAX)));
    }
    check(&good.replace("86400", "0"), Some((StsMode::Enforce, both, 0)));
    for (from, to) in [
        ("STSv1", "STSv2"),
        ("version", "vers"),
        ("enforce", "Enforce"),
        ("mode", "mod"),
        ("max_age", "age"),
        ("86400", "-1"),
        ("86400", "1.5"),
        ("86400", "99999999999"),
        ("86400", ""),
        ("mx.example.org", ""),
        ("mx.example.org", "*"),
        ("mx.example.org", "*.*.example.org"),
        ("mx.example.org", "a..b"),
        ("mx.example.org", "a b"),
        ("mx.example.org", "[192.0.2.1]"),
        ("mx: mx.example.org", "no field"),
    ] {
        check(&good.replace(from, to), None);
    }
    check("version: STSv1\nmode: enforce\nmax_age: 1", None);
    check("", None);
    check(&(good.to_owned() + &"mx: a.test\n".repeat(300)), None);
    assert!(read(b"version: STSv1\nmode: none\nmax_age: 1\n\xff").is_err());
}

#[test]
fn which_hosts_a_policy_names() {
    let check = |pattern: &str, host: &str, expected: bool| {
        assert_eq!(names(&[pattern.to_owned()], host), expected, "{pattern} {host}");
    };
    check("mx.example.org", "mx.example.org", true);
    check("mx.example.org", "mx2.example.org", false);
    check("*.example.org", "mx.example.org", true);
    check("*.example.org", "example.org", false);
    check("*.example.org", "a.mx.example.org", false);
    check("*.example.org", ".example.org", false);
    check("*.example.org", "mxexample.org", false);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
        let _ = id(&[bytes]);
    }

    #[test]
    fn what_is_read_keeps_its_bounds(
        lines in proptest::collection::vec("(version: STSv1|mode: (enforce|testing|none|x)|mx: [*.a-b]{0,6}|max_age: [0-9]{0,11}|[ -~]{0,8})\r?", 0..12)
    ) {
        if let Ok(policy) = read(lines.join("\n").as_bytes()) {
            prop_assert!(policy.max_age_s <= AGE_S_MAX);
            prop_assert!(policy.mode == StsMode::None || !policy.exchangers.is_empty());
            for one in &policy.exchangers {
                let host = one.replace('*', "x");
                prop_assert!(names(&policy.exchangers, &host));
                prop_assert!(!host.contains(['*', ' ', '/', ':']));
            }
        }
    }
}
