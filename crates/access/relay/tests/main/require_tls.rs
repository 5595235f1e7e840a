//! REQUIRETLS: messages that go only where TLS is sure, and those that would rather arrive (RFC 8689).

use crate::certificates::{authority, self_signed};
use crate::world::{BYE, MX, World, outgoing, run, verdicts};
use base::env::Tlsa;
use contract_transport::courier::{Outgoing, TlsLevel};

const OFFER: &str = "S: 220 mx ESMTP\nC: EHLO *\nS: 250-mx\nS: 250 STARTTLS\n";
/// The connection for other messages, which the host ends.
const BEFORE: &str = "S: 220 mx ESMTP\nC: EHLO *\nS: 250 mx\n! close";
const REST: &str = "C: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";
const MAIL: &str = "C: MAIL FROM:<alice@rialto.test> REQUIRETLS\nS: 250 ok\n";
const RELAYED: &str = "relayed 250 2.0.0 ok";

fn upgraded(inside: &str) -> String {
    format!("{OFFER}C: STARTTLS\nS: 220 go\n! tls\nC: EHLO *\nS: 250-mx\nS: 250 {inside}\n")
}

fn message() -> Outgoing {
    Outgoing { require_tls: true, ..outgoing("a\r\n", 1) }
}

/// Names that DNSSEC vouches for, and a host whose certificate is good.
fn secure(world: &mut World) {
    for name in ["example.org", "mx.example.org"] {
        world.sim.dns.set_secure(name);
    }
    world.tls = Some(authority().server("mx.example.org"));
    world.config.extra_authorities = authority().pem.clone();
}

async fn check(world: &mut World, messages: usize, expected: &str) {
    let mut conversation = world.open("example.org").await.unwrap();
    for _ in 0..messages {
        let transferred = conversation.transfer(&message()).await.unwrap();
        let outcome = verdicts(&transferred).remove(0);
        assert!(outcome.starts_with(expected), "{expected}: {outcome}");
        assert!(transferred.may_go_on);
    }
    conversation.quit().await;
}

#[test]
fn a_host_that_is_who_it_says_and_promises_as_much_gets_them() {
    run(async |world| {
        secure(world);
        let script = format!("{}{MAIL}{REST}\n{MAIL}{REST}{BYE}", upgraded("REQUIRETLS"));
        world.host(MX, &[BEFORE, &script]).await;
        check(world, 2, RELAYED).await;
    });
    // By its TLSA records.
    run(async |world| {
        secure(world);
        let shown = authority().chain("other.example.org", |_| {});
        let data = shown.certificate.to_vec();
        let record = Tlsa { usage: 3, selector: 0, matching: 0, data };
        world.sim.dns.set_tlsa("_25._tcp.mx.example.org", &[record]);
        world.sim.dns.set_secure("_25._tcp.mx.example.org");
        world.tls = Some(shown.server);
        let before = format!("{}! close", upgraded("SIZE"));
        let script = format!("{}{MAIL}{REST}{BYE}", upgraded("REQUIRETLS"));
        world.host(MX, &[&before, &script]).await;
        check(world, 1, RELAYED).await;
    });
}

#[test]
fn all_others_do_not() {
    let no = "failed 550 5.7.30 REQUIRETLS: ";
    run(async |world| {
        secure(world);
        let script = format!("{}C: QUIT\n! closed", upgraded("SIZE"));
        world.host(MX, &[BEFORE, &script]).await;
        check(world, 1, &format!("{no}mx.example.org [192.0.2.1] does not offer REQUIRETLS")).await;
    });
    run(async |world| {
        secure(world);
        world.tls = Some(self_signed("mx.example.org"));
        let script = format!("{OFFER}C: STARTTLS\nS: 220 go\n! broken tls");
        world.host(MX, &[BEFORE, &script]).await;
        check(world, 1, no).await;
    });
    run(async |world| {
        secure(world);
        world.tls = Some(authority().server("other.example.org"));
        let script = format!("{OFFER}C: STARTTLS\nS: 220 go\n! broken tls");
        world.host(MX, &[BEFORE, &script]).await;
        check(world, 1, no).await;
    });
    run(async |world| {
        secure(world);
        let clear = "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 REQUIRETLS\n! closed";
        world.host(MX, &[BEFORE, clear]).await;
        check(world, 1, no).await;
    });
    // Anybody could be the exchanger of a name that nobody vouches for: it is not even asked.
    run(async |world| {
        world.tls = Some(authority().server("mx.example.org"));
        world.config.extra_authorities = authority().pem.clone();
        world.host(MX, &[BEFORE]).await;
        check(world, 1, &format!("{no}neither DNSSEC nor a policy of MTA-STS vouches")).await;
    });
    // A host that is away now may be back.
    run(async |world| {
        secure(world);
        world.host(MX, &[BEFORE, "S: 421 4.3.2 going down\nC: QUIT"]).await;
        check(world, 1, "later 421 4.3.2").await;
    });
    // So may its TLS.
    run(async |world| {
        secure(world);
        let script = format!("{OFFER}C: STARTTLS\nS: 454 4.7.0 not now\n! closed");
        world.host(MX, &[BEFORE, &script]).await;
        check(world, 1, "later 0 4.7.4").await;
    });
}

#[test]
fn the_next_host_is_tried() {
    run(async |world| {
        secure(world);
        let hosts = [(10, "mx.example.org"), (20, "second.example.org")];
        world.sim.dns.set_exchangers("example.org", &hosts);
        world.sim.dns.set("second.example.org", &["192.0.2.2".parse().unwrap()]);
        world.sim.dns.set_secure("second.example.org");
        world.tls = Some(authority().server("*.example.org"));
        let script = format!("{}C: QUIT\n! closed", upgraded("SIZE"));
        world.host(MX, &[BEFORE, &script]).await;
        let script = format!("{}{MAIL}{REST}{BYE}", upgraded("REQUIRETLS"));
        world.host("192.0.2.2", &[&script]).await;
        check(world, 1, RELAYED).await;
    });
}

#[test]
fn who_would_rather_arrive_is_not_held_up_by_policies() {
    let plain = format!("S: 220 mx\nC: EHLO *\nS: 250 mx\nC: MAIL *\nS: 250 ok\n{REST}{BYE}");
    let publish = |world: &mut World| {
        secure(world);
        let record = Tlsa { usage: 3, selector: 0, matching: 0, data: authority().der.to_vec() };
        world.sim.dns.set_tlsa("_25._tcp.mx.example.org", &[record]);
        world.sim.dns.set_secure("_25._tcp.mx.example.org");
    };
    run(async |world| {
        publish(world);
        world.host(MX, &["S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed"]).await;
        assert!(world.opened("example.org").await.starts_with("later 0 4.7.4"));
    });
    run(async |world| {
        publish(world);
        world.ignores_policies = true;
        world.host(MX, &[&plain]).await;
        let mut conversation = world.open("example.org").await.unwrap();
        let transferred = conversation.transfer(&outgoing("a\r\n", 1)).await.unwrap();
        assert_eq!(verdicts(&transferred), [RELAYED]);
        conversation.quit().await;
    });
    // What our operator asks for stays.
    run(async |world| {
        publish(world);
        world.ignores_policies = true;
        world.manner.tls = TlsLevel::Encryption;
        world.host(MX, &["S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed"]).await;
        assert!(world.opened("example.org").await.starts_with("later 0 4.7.4"));
    });
}
