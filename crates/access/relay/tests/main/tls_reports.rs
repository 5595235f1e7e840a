//! What is told of sessions for reports on TLS (RFC 8460).

use crate::certificates::{authority, self_signed};
use crate::sts::{ENFORCE, broken, check, clear, encrypted, publish, web};
use crate::world::{MX, World, run};
use base::env::Tlsa;
use contract_transport::courier::TlsLevel;

const RELAYED: &str = "relayed";
const LATER: &str = "later";

fn told(world: &World, expected: &[&str]) {
    assert_eq!(world.told.lines(), expected);
}

#[test]
fn sessions_without_any_policy() {
    run(async |world| {
        world.tls = Some(self_signed("else.test"));
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org no-policy-found ok"]);
    });
    run(async |world| {
        world.host(MX, &[&clear()]).await;
        check(world, RELAYED).await;
        told(
            world,
            &["example.org no-policy-found starttls-not-supported mx.example.org 192.0.2.1"],
        );
    });
    // The second attempt, in clear, is the same session for whoever counts.
    run(async |world| {
        let failing = "S: 220 mx ESMTP\nC: EHLO *\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\n\
                       S: 220 go\n! close";
        world.host(MX, &[failing, &clear()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org no-policy-found validation-failure mx.example.org 192.0.2.1"]);
    });
    // Whoever does not answer has nothing to do with it.
    run(async |world| {
        world.host(MX, &["S: 421 no\nC: QUIT\n! closed"]).await;
        check(world, LATER).await;
        told(world, &[]);
    });
}

#[test]
fn sessions_under_a_policy_that_is_enforced() {
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        let policy = world.told.policy();
        let strings = ["version: STSv1", "mode: enforce", "mx: mx.example.org", "max_age: 3600"];
        assert_eq!(
            (policy.strings, policy.exchangers),
            (strings.map(str::to_owned).to_vec(), vec!["mx.example.org".to_owned()],)
        );
        told(world, &["example.org sts ok"]);
    });
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.tls = Some(self_signed("mx.example.org"));
        world.host(MX, &[&broken()]).await;
        check(world, LATER).await;
        told(world, &["example.org sts certificate-not-trusted mx.example.org 192.0.2.1"]);
    });
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.tls = Some(authority().server("other.test"));
        world.host(MX, &[&broken()]).await;
        check(world, LATER).await;
        told(world, &["example.org sts certificate-host-mismatch mx.example.org 192.0.2.1"]);
    });
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.host(MX, &["S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed"]).await;
        check(world, LATER).await;
        told(world, &["example.org sts starttls-not-supported mx.example.org 192.0.2.1"]);
    });
    run(async |world| {
        publish(world, "1", &[&web(&ENFORCE.replace("mx.example.org", "mx.example.net"))]).await;
        check(world, LATER).await;
        told(world, &["example.org sts validation-failure mx.example.org"]);
    });
}

#[test]
fn a_policy_under_test_refuses_nothing_and_tells_everything() {
    let testing = ENFORCE.replace("enforce", "testing");
    for (server, expected) in [
        (authority().server("mx.example.org"), "ok"),
        (self_signed("mx.example.org"), "certificate-not-trusted mx.example.org 192.0.2.1"),
        (authority().server("x.test"), "certificate-host-mismatch mx.example.org 192.0.2.1"),
    ] {
        run(async |world| {
            publish(world, "1", &[&web(&testing)]).await;
            world.tls = Some(server.clone());
            world.host(MX, &[&encrypted()]).await;
            check(world, RELAYED).await;
            told(world, &[&format!("example.org sts {expected}")]);
        });
    }
    run(async |world| {
        publish(world, "1", &[&web(&testing.replace("mx.example.org", "x.example.org"))]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org sts validation-failure mx.example.org 192.0.2.1"]);
    });
    run(async |world| {
        publish(world, "1", &[&web(&testing)]).await;
        world.host(MX, &[&clear()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org sts starttls-not-supported mx.example.org 192.0.2.1"]);
    });
}

#[test]
fn policies_that_cannot_be_had() {
    let none = "example.org no-policy-found ok";
    run(async |world| {
        publish(world, "1", &[&web("nonsense")]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org sts sts-policy-invalid ", none]);
    });
    run(async |world| {
        publish(world, "1", &["! close"]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org sts sts-policy-fetch-error ", none]);
    });
    run(async |world| {
        publish(world, "1", &[]).await;
        world.tls = Some(self_signed("mta-sts.example.org"));
        world.host_at("192.0.2.80:443".parse().unwrap(), &["! broken tls"]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org sts sts-webpki-invalid ", none]);
    });
}

/// A signed domain with a signed host that has this record.
fn publish_tlsa(world: &World, record: Tlsa) {
    let dns = &world.sim.dns;
    dns.set_tlsa("_25._tcp.mx.example.org", &[record]);
    for name in ["example.org", "mx.example.org", "_25._tcp.mx.example.org"] {
        dns.set_secure(name);
    }
}

#[test]
fn sessions_under_dane() {
    let shown = authority().chain("mx.example.org", |_| {});
    let record = Tlsa { usage: 3, selector: 1, matching: 0, data: shown.public_key.clone() };
    run(async |world| {
        publish_tlsa(world, record.clone());
        world.tls = Some(shown.server.clone());
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        let policy = world.told.policy();
        assert!(policy.strings[0].starts_with("3 1 0 3"), "{policy:?}");
        told(world, &["example.org tlsa ok"]);
    });
    run(async |world| {
        publish_tlsa(world, Tlsa { data: vec![1; 32], matching: 1, ..record.clone() });
        world.tls = Some(shown.server.clone());
        world.host(MX, &[&broken()]).await;
        check(world, LATER).await;
        told(world, &["example.org tlsa validation-failure mx.example.org 192.0.2.1"]);
    });
    // Records that nobody can use ask for encryption, and somebody should hear of it.
    run(async |world| {
        publish_tlsa(world, Tlsa { usage: 1, ..record.clone() });
        world.tls = Some(shown.server.clone());
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &["example.org tlsa tlsa-invalid mx.example.org 192.0.2.1"]);
    });
    run(async |world| {
        publish_tlsa(world, record.clone());
        world.sim.dns.break_host("_25._tcp.mx.example.org");
        check(world, LATER).await;
        told(world, &["example.org tlsa dnssec-invalid mx.example.org"]);
    });
    run(async |world| {
        world.manner.tls = TlsLevel::Dane;
        check(world, LATER).await;
        told(world, &["example.org no-policy-found dane-required mx.example.org"]);
    });
}

/// A report on failures gets through despite them (RFC 8460 §3).
#[test]
fn what_tells_of_failures_goes_despite_policies() {
    run(async |world| {
        publish(world, "1", &[]).await;
        world.ignores_policies = true;
        world.host(MX, &[&clear()]).await;
        check(world, RELAYED).await;
        told(world, &[]);
    });
    let record = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![1; 32] };
    run(async |world| {
        publish_tlsa(world, record);
        world.ignores_policies = true;
        world.tls = Some(self_signed("else.test"));
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        told(world, &[]);
    });
    // What our operator demands stands.
    run(async |world| {
        world.ignores_policies = true;
        world.manner.tls = TlsLevel::Domain;
        world.tls = Some(self_signed("mx.example.org"));
        world.host(MX, &[&broken()]).await;
        check(world, LATER).await;
        told(world, &[]);
    });
}
