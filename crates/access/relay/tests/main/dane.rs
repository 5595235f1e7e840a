//! DANE: what TLSA records that DNSSEC vouches for ask of a host (RFC 7672).

use crate::certificates::{Shown, authority, self_signed};
use crate::world::{BYE, MX, World, ip, outgoing, run, verdicts};
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base::env::Tlsa;
use contract_transport::courier::TlsLevel;

const OFFER: &str = "S: 220 mx ESMTP\nC: EHLO out.rialto.test\nS: 250-mx\nS: 250 STARTTLS\n";
const ONE: &str =
    "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";
const RELAYED: &str = "relayed 250 2.0.0 ok";
const NO_MATCH: &str = "later 0 4.7.5 mx.example.org [192.0.2.1]: DANE: the certificate does not \
                        match any TLSA record";

fn encrypted() -> String {
    format!("{OFFER}C: STARTTLS\nS: 220 go\n! tls\nC: EHLO *\nS: 250 mx\n{ONE}{BYE}")
}

fn broken() -> String {
    format!("{OFFER}C: STARTTLS\nS: 220 go\n! broken tls")
}

fn clear() -> String {
    format!("S: 220 mx ESMTP\nC: EHLO *\nS: 250 mx\n{ONE}{BYE}")
}

fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
    let data = match matching {
        1 => digest(&SHA256, data).as_ref().to_vec(),
        2 => digest(&SHA512, data).as_ref().to_vec(),
        _ => data.to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

/// A signed domain with a signed host that has these records.
fn publish(world: &World, records: &[Tlsa]) {
    let dns = &world.sim.dns;
    dns.set_tlsa("_25._tcp.mx.example.org", records);
    for name in ["example.org", "mx.example.org", "_25._tcp.mx.example.org"] {
        dns.set_secure(name);
    }
}

/// Opens and sends a message; the outcome in a line.
async fn outcome(world: &mut World) -> String {
    match world.open("example.org").await {
        Ok(mut conversation) => {
            let transferred = conversation.transfer(&outgoing("a\r\n", 1)).await.unwrap();
            conversation.quit().await;
            verdicts(&transferred).remove(0)
        }
        unreachable => crate::world::outcome(unreachable).await,
    }
}

fn host() -> Shown {
    authority().chain("mx.example.org", |_| {})
}

/// What a host with these records comes to at a level.
fn check_at(level: TlsLevel, shown: &Shown, records: &[Tlsa], script: &str, expected: &str) {
    run(async |world| {
        world.tls = Some(shown.server.clone());
        world.manner.tls = level;
        publish(world, records);
        world.host(MX, &[script]).await;
        let outcome = outcome(world).await;
        assert!(outcome.starts_with(expected), "{records:?}: {outcome}");
    });
}

fn check(shown: &Shown, records: &[Tlsa], expected: &str) {
    let script = if expected == RELAYED { encrypted() } else { broken() };
    check_at(TlsLevel::Opportunistic, shown, records, &script, expected);
}

#[test]
fn a_certificate_is_what_a_record_says() {
    let shown = host();
    for matching in 0..=2 {
        check(&shown, &[record(3, 0, matching, &shown.certificate)], RELAYED);
        check(&shown, &[record(3, 1, matching, &shown.public_key)], RELAYED);
        check(&shown, &[record(2, 0, matching, &authority().der)], RELAYED);
    }
    let wrong = record(3, 1, 1, b"another key");
    check(&shown, std::slice::from_ref(&wrong), NO_MATCH);
    // One that fits is enough, whatever others say.
    check(&shown, &[wrong.clone(), record(3, 0, 1, &shown.certificate)], RELAYED);
    // The authority's record is not the certificate's, nor the other way about.
    check(&shown, &[record(3, 0, 1, &authority().der)], NO_MATCH);
    check(&shown, &[record(2, 0, 1, &shown.certificate)], NO_MATCH);
    // Of two digests of a thing the stronger counts alone (RFC 7671 §9).
    let weak = record(3, 1, 1, &shown.public_key);
    check(&shown, &[weak, record(3, 1, 2, b"another key")], NO_MATCH);
}

#[test]
fn names_and_dates_count_only_below_a_trust_anchor() {
    let old = |params: &mut rcgen::CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let other = authority().chain("other.test", old);
    check(&other, &[record(3, 0, 1, &other.certificate)], RELAYED);
    check(
        &other,
        &[record(2, 0, 1, &authority().der)],
        "later 0 4.7.5 mx.example.org [192.0.2.1]: DANE: invalid peer certificate: ",
    );
    let other = authority().chain("other.test", |_| {});
    let names = "later 0 4.7.5 mx.example.org [192.0.2.1]: DANE: the certificate is of the right";
    check(&other, &[record(2, 0, 1, &authority().der)], names);
    // The domain's own name does as well (RFC 7672 §3.2.2).
    let domain = authority().chain("example.org", |_| {});
    check(&domain, &[record(2, 0, 1, &authority().der)], RELAYED);
}

#[test]
fn records_that_cannot_be_used_ask_for_encryption_only() {
    let shown = host();
    for unusable in [
        record(0, 0, 1, &authority().der),
        record(1, 1, 1, &shown.public_key),
        record(3, 2, 1, b"x"),
        record(3, 1, 3, b"x"),
        record(255, 0, 0, b"x"),
        Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 31] },
        Tlsa { usage: 3, selector: 0, matching: 0, data: b"no certificate".to_vec() },
        Tlsa { usage: 3, selector: 1, matching: 0, data: Vec::new() },
    ] {
        let records = std::slice::from_ref(&unusable);
        check(&shown, records, RELAYED);
        let no_tls = "S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed";
        let expected = "later 0 4.7.4 mx.example.org [192.0.2.1]: DANE: encryption is required";
        check_at(TlsLevel::Opportunistic, &shown, records, no_tls, expected);
        // Beside one that can be used they are as if they were not there.
        check(&shown, &[unusable.clone(), record(3, 1, 1, b"other")], NO_MATCH);
    }
}

#[test]
fn attack_with_records_nothing_goes_in_clear() {
    let shown = host();
    let records = [record(3, 1, 1, &shown.public_key)];
    let level = TlsLevel::Opportunistic;
    let expected = "later 0 4.7.4 mx.example.org [192.0.2.1]: DANE: encryption is required";
    let no_tls = "S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed";
    check_at(level, &shown, &records, no_tls, expected);
    let refused = format!("{OFFER}C: STARTTLS\nS: 454 4.7.0 not now\n! closed");
    check_at(level, &shown, &records, &refused, expected);
    let garbage = format!(
        "{OFFER}C: STARTTLS\nS: 220 go\n! bytes 5\nS~ \\x15\\x03\\x01\\x00\\x02\\x02\\x28\n! close"
    );
    check_at(level, &shown, &records, &garbage, "later 0 4.7.5");
}

#[test]
fn what_dnssec_does_not_vouch_for_counts_for_nothing() {
    let shown = host();
    let wrong = [record(3, 1, 1, b"another key")];
    for insecure in ["example.org", "mx.example.org", "_25._tcp.mx.example.org"] {
        run(async |world| {
            world.sim.dns.set_tlsa("_25._tcp.mx.example.org", &wrong);
            for name in ["example.org", "mx.example.org", "_25._tcp.mx.example.org"] {
                if name != insecure {
                    world.sim.dns.set_secure(name);
                }
            }
            world.host(MX, &[&clear()]).await;
            assert_eq!(outcome(world).await, RELAYED, "{insecure}");
        });
    }
    // Signed, without records.
    check_at(TlsLevel::Opportunistic, &shown, &[], &clear(), RELAYED);
}

#[test]
fn attack_answers_that_are_kept_back_do_not_lead_around() {
    // The better host cannot be asked about; the other one takes the mail.
    run(async |world| {
        let shown = host();
        world.tls = Some(shown.server.clone());
        publish(world, &[record(3, 1, 1, &shown.public_key)]);
        let dns = world.sim.dns.clone();
        dns.set_exchangers("example.org", &[(10, "mx1.example.org"), (20, "mx.example.org")]);
        dns.set("mx1.example.org", &[ip("192.0.2.9")]);
        dns.set_secure("mx1.example.org");
        dns.break_host("_25._tcp.mx1.example.org");
        world.host(MX, &[&encrypted()]).await;
        assert_eq!(outcome(world).await, RELAYED);
    });
    run(async |world| {
        publish(world, &[]);
        world.sim.dns.break_host("_25._tcp.mx.example.org");
        let expected = "later 0 4.4.3 mx.example.org: DANE: its TLSA records could not be found \
                        out: no name server answered";
        assert_eq!(outcome(world).await, expected);
    });
}

#[test]
fn an_alias_is_looked_up_under_both_names() {
    // The name in the end first, then the one that was asked for (RFC 7672 §2.2.2).
    for (at, is_target_secure) in
        [("real.test", true), ("mx.example.org", true), ("mx.example.org", false)]
    {
        run(async |world| {
            let shown = authority().chain("nobody.test", |_| {});
            world.tls = Some(shown.server.clone());
            let dns = world.sim.dns.clone();
            dns.set_alias("mx.example.org", "real.test");
            dns.set("real.test", &[ip(MX)]);
            let name = format!("_25._tcp.{at}");
            dns.set_tlsa(&name, &[record(3, 1, 1, &shown.public_key)]);
            for name in ["example.org", "mx.example.org", &name] {
                dns.set_secure(name);
            }
            if is_target_secure {
                dns.set_secure("real.test");
            }
            world.host(MX, &[&encrypted()]).await;
            assert_eq!(outcome(world).await, RELAYED, "{at} {is_target_secure}");
        });
    }
}

#[test]
fn a_domain_without_exchangers_is_its_own_host() {
    run(async |world| {
        let shown = host();
        world.tls = Some(shown.server.clone());
        let dns = world.sim.dns.clone();
        dns.set_exchangers("example.org", &[]);
        dns.set("example.org", &[ip(MX)]);
        dns.set_tlsa("_25._tcp.example.org", &[record(3, 1, 1, b"another key")]);
        dns.set_secure("example.org");
        dns.set_secure("_25._tcp.example.org");
        world.host(MX, &[&broken()]).await;
        let expected = "later 0 4.7.5 example.org [192.0.2.1]: DANE: the certificate does not";
        let outcome = outcome(world).await;
        assert!(outcome.starts_with(expected), "{outcome}");
    });
}

#[test]
fn levels_above_and_below() {
    let shown = host();
    let good = [record(3, 1, 1, &shown.public_key)];
    let wrong = [record(3, 1, 1, b"another key")];
    for level in [TlsLevel::Opportunistic, TlsLevel::Encryption, TlsLevel::Dane] {
        check_at(level, &shown, &good, &encrypted(), RELAYED);
        check_at(level, &shown, &wrong, &broken(), NO_MATCH);
    }
    // An authority without a name says less than a record.
    check_at(TlsLevel::Certificate, &shown, &good, &encrypted(), RELAYED);
    check_at(TlsLevel::Certificate, &shown, &wrong, &broken(), NO_MATCH);
    // Where nothing is published, or nothing that can be used, it is asked for as ever.
    for records in [&[][..], &[record(1, 1, 1, &shown.public_key)]] {
        check_at(TlsLevel::Certificate, &shown, records, &broken(), "later 0 4.7.5");
    }
    // Whoever asks for an authority and a name goes by them alone.
    run(async |world| {
        world.tls = Some(shown.server.clone());
        world.config.extra_authorities = authority().pem.clone();
        world.manner.tls = TlsLevel::Domain;
        publish(world, &wrong);
        world.host(MX, &[&encrypted()]).await;
        assert_eq!(outcome(world).await, RELAYED);
    });
    // Who insists on DANE gets no mail out without.
    for records in [&[][..], &[record(1, 1, 1, &shown.public_key)]] {
        run(async |world| {
            world.manner.tls = TlsLevel::Dane;
            publish(world, records);
            let outcome = outcome(world).await;
            assert!(outcome.starts_with("later 0 4.7.5 mx.example.org: DANE: "), "{outcome}");
        });
    }
    run(async |world| {
        world.manner.tls = TlsLevel::Dane;
        world.sim.dns.set_tlsa("_25._tcp.mx.example.org", &good);
        let outcome = outcome(world).await;
        let expected = "later 0 4.7.5 mx.example.org: DANE: it has no TLSA records that DNSSEC";
        assert!(outcome.starts_with(expected), "{outcome}");
    });
}

#[test]
fn a_smart_host_may_publish_as_well() {
    for (key, script, expected) in [
        (None, encrypted(), "ready mx.example.org [192.0.2.1]"),
        (Some(b"other"), broken(), "later 0 4.7.5 mx.example.org [192.0.2.1]: DANE: "),
    ] {
        run(async |world| {
            let shown = host();
            world.tls = Some(shown.server.clone());
            let key = key.map_or(shown.public_key.clone(), |key: &[u8; 5]| key.to_vec());
            world.sim.dns.set_tlsa("_587._tcp.mx.example.org", &[record(3, 1, 1, &key)]);
            world.sim.dns.set_secure("mx.example.org");
            world.sim.dns.set_secure("_587._tcp.mx.example.org");
            let script = script.replace(ONE, "").replace("250 mx\n\n", "250 mx\n");
            world.host_at(format!("{MX}:587").parse().unwrap(), &[&script]).await;
            let opened = world.open_hosts(&[("mx.example.org", 587)]).await;
            let outcome = crate::world::outcome(opened).await;
            assert!(outcome.starts_with(expected), "{outcome}");
        });
    }
}

#[test]
fn a_session_without_dane_is_as_before() {
    run(async |world| {
        world.tls = Some(self_signed("x.test"));
        world.host(MX, &[&encrypted()]).await;
        assert_eq!(outcome(world).await, RELAYED);
    });
}
