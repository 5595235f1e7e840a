//! MTA-STS: what a policy that a domain publishes asks of its hosts (RFC 8461).

use crate::certificates::{authority, self_signed};
use crate::world::{BYE, MX, World, ip, outgoing, run, verdicts};
use base::env::Tlsa;
use contract_transport::sts::{StsMode, StsPolicy};
use std::time::Duration;

pub(crate) const OFFER: &str =
    "S: 220 mx ESMTP\nC: EHLO out.rialto.test\nS: 250-mx\nS: 250 STARTTLS\n";
pub(crate) const ONE: &str =
    "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";
pub(crate) const RELAYED: &str = "relayed 250 2.0.0 ok";
pub(crate) const WEB: &str = "192.0.2.80";
/// A tenth of the time for which the policy counts.
const TENTH: Duration = Duration::from_secs(360);
pub(crate) const ENFORCE: &str =
    r"version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 3600\n";
const ASKED: &str = "! tls\nC: GET /.well-known/mta-sts.txt HTTP/1.1\nC: host: mta-sts.example.org\n\
                     C* 3 *\n";

pub(crate) fn encrypted() -> String {
    format!("{OFFER}C: STARTTLS\nS: 220 go\n! tls\nC: EHLO *\nS: 250 mx\n{ONE}{BYE}")
}

pub(crate) fn broken() -> String {
    format!("{OFFER}C: STARTTLS\nS: 220 go\n! broken tls")
}

pub(crate) fn clear() -> String {
    format!("S: 220 mx ESMTP\nC: EHLO *\nS: 250 mx\n{ONE}{BYE}")
}

/// A web server's answer to one request.
pub(crate) fn web(policy: &str) -> String {
    format!(
        "{ASKED}S: HTTP/1.1 200 OK\nS: Content-Type: text/plain; charset=utf-8\n\
         S: Connection: close\nS:\nS~ {policy}\n"
    )
}

/// A domain with this id of a policy, and a web server with these answers.
pub(crate) async fn publish(world: &mut World, id: &str, answers: &[&str]) {
    name(world, id);
    world.sim.dns.set("mta-sts.example.org", &[ip(WEB)]);
    world.tls = Some(authority().server("*.example.org"));
    world.config.extra_authorities = authority().pem.clone();
    if !answers.is_empty() {
        world.host_at(format!("{WEB}:443").parse().unwrap(), answers).await;
    }
}

fn name(world: &World, id: &str) {
    world.sim.dns.set_texts("_mta-sts.example.org", &[&format!("v=STSv1; id={id};")]);
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

pub(crate) async fn check(world: &mut World, expected: &str) {
    let outcome = outcome(world).await;
    assert!(outcome.starts_with(expected), "{expected}: {outcome}");
}

#[test]
fn an_enforced_policy_wants_a_certificate_and_a_name() {
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
    });
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.tls = Some(self_signed("mx.example.org"));
        world.host(MX, &[&broken()]).await;
        check(world, "later 0 4.7.5 mx.example.org [192.0.2.1]: MTA-STS: invalid peer").await;
    });
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.host(MX, &["S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed"]).await;
        let expected = "later 0 4.7.4 mx.example.org [192.0.2.1]: MTA-STS: encryption is required";
        check(world, expected).await;
    });
    // A host that the policy does not name is left out, the next one takes the mail.
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        let hosts = [(10, "other.example.org"), (20, "mx.example.org")];
        world.sim.dns.set_exchangers("example.org", &hosts);
        world.sim.dns.set("other.example.org", &[ip("192.0.2.7")]);
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
    });
    run(async |world| {
        publish(world, "1", &[&web(&ENFORCE.replace("mx.example.org", "mx.example.net"))]).await;
        let expected = "later 0 4.7.5 mx.example.org: MTA-STS: the policy of example.org does not";
        check(world, expected).await;
    });
}

#[test]
fn a_policy_that_is_tested_or_withdrawn_changes_nothing() {
    for policy in [
        ENFORCE.replace("enforce", "testing"),
        ENFORCE.replace("enforce", "testing").replace("mx.example.org", "x.example.org"),
        ENFORCE.replace("enforce", "none"),
    ] {
        run(async |world| {
            publish(world, "1", &[&web(&policy)]).await;
            world.host(MX, &[&clear()]).await;
            check(world, RELAYED).await;
        });
    }
}

#[test]
fn attack_a_policy_outlives_restarts_and_answers_that_are_kept_back() {
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE)]).await;
        world.host(MX, &[&encrypted(), &broken(), &broken(), &clear()]).await;
        check(world, RELAYED).await;
        // The host is somebody else's now; nobody says that there is a policy, or says another one
        // that cannot be had.
        world.sim.dns.break_host("_mta-sts.example.org");
        let refused = "later 0 4.7.5 mx.example.org [192.0.2.1]: MTA-STS: ";
        world.config.extra_authorities.clear();
        for another in [false, true] {
            world.restart();
            if another {
                world.sim.dns.mend_host("_mta-sts.example.org");
                name(world, "2");
            }
            check(world, refused).await;
        }
        // It counts for as long as it says.
        world.env.clock.sleep(TENTH * 10).await;
        check(world, RELAYED).await;
    });
}

#[test]
fn another_id_is_another_policy() {
    run(async |world| {
        let none = ENFORCE.replace("enforce", "none");
        publish(world, "1", &[&web(ENFORCE), &web(&none)]).await;
        world.host(MX, &[&encrypted(), &encrypted(), &clear()]).await;
        check(world, RELAYED).await;
        check(world, RELAYED).await;
        name(world, "2");
        check(world, RELAYED).await;
        let kept = world.policies.0.lock().get("example.org").cloned().unwrap();
        assert_eq!((kept.id.as_str(), kept.mode), ("2", StsMode::None));
    });
}

#[test]
fn what_is_no_policy_is_as_none() {
    let head = |status: &str, kind: &str| {
        format!("{ASKED}S: HTTP/1.1 {status}\nS: Content-Type: {kind}\nS: Connection: close\n")
    };
    for answer in [
        format!("{}S: Content-Length: 0\nS:", head("404 Not Found", "text/plain")),
        format!(
            "{}S: Location: https://mta-sts.example.org/\nS:\nS~ {ENFORCE}",
            head("301 Moved", "text/plain")
        ),
        format!("{}S:\nS~ {ENFORCE}", head("200 OK", "text/html")),
        format!("{}S:\nS* 5000 x: 0123456789\nS~ {ENFORCE}", head("200 OK", "text/plain")),
        format!("{}S* 2000 x: 0123456789\nS:\nS~ {ENFORCE}", head("200 OK", "text/plain")),
        format!("{}S:\nS~ version: STSv1", head("200 OK", "text/plain")),
        format!("{ASKED}S: hello"),
        format!("{ASKED}! close"),
        format!("{ASKED}! silence"),
        "! close".to_owned(),
    ] {
        run(async |world| {
            publish(world, "1", &[&answer]).await;
            world.host(MX, &[&clear(), &clear()]).await;
            check(world, RELAYED).await;
            // The server is left alone for a while.
            check(world, RELAYED).await;
            assert!(world.policies.0.lock().is_empty(), "{answer}");
        });
    }
    // Nor is one of somebody else's server.
    for server in [self_signed("mta-sts.example.org"), authority().server("mx.example.org")] {
        run(async |world| {
            publish(world, "1", &[]).await;
            world.tls = Some(server.clone());
            world.host_at(format!("{WEB}:443").parse().unwrap(), &["! broken tls"]).await;
            world.host(MX, &[&clear()]).await;
            check(world, RELAYED).await;
        });
    }
}

#[test]
fn mail_does_not_wait_long_for_a_policy() {
    run(async |world| {
        publish(world, "1", &[&format!("{ASKED}! silence")]).await;
        world.host(MX, &[&clear()]).await;
        let start = world.env.clock.monotonic();
        check(world, RELAYED).await;
        let took = world.env.clock.monotonic() - start;
        assert!(took < Duration::from_secs(30), "{took:?}");
    });
}

#[test]
fn attack_19_policies_are_not_fetched_from_our_own_network() {
    run(async |world| {
        publish(world, "1", &[]).await;
        world.sim.dns.set("mta-sts.example.org", &[ip("10.0.0.80"), ip("127.0.0.1")]);
        world.host(MX, &[&clear()]).await;
        check(world, RELAYED).await;
    });
}

#[test]
fn dane_is_asked_before_any_policy() {
    run(async |world| {
        let shown = authority().chain("mx.example.org", |_| {});
        // The policy is not even looked at.
        publish(world, "1", &[]).await;
        world.tls = Some(shown.server.clone());
        let dns = &world.sim.dns;
        let record = Tlsa { usage: 3, selector: 1, matching: 0, data: shown.public_key.clone() };
        dns.set_tlsa("_25._tcp.mx.example.org", &[record]);
        for name in ["example.org", "mx.example.org", "_25._tcp.mx.example.org"] {
            dns.set_secure(name);
        }
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        assert!(world.policies.0.lock().is_empty());
    });
    // Records that nobody can use leave the word to the policy.
    run(async |world| {
        publish(world, "1", &[&web(&ENFORCE.replace("mx.example.org", "mx.example.net"))]).await;
        let dns = &world.sim.dns;
        let record = Tlsa { usage: 1, selector: 1, matching: 0, data: vec![1] };
        dns.set_tlsa("_25._tcp.mx.example.org", &[record]);
        for name in ["example.org", "mx.example.org", "_25._tcp.mx.example.org"] {
            dns.set_secure(name);
        }
        check(world, "later 0 4.7.5 mx.example.org: MTA-STS: ").await;
    });
}

#[test]
fn a_policy_is_fetched_again_before_it_runs_out() {
    run(async |world| {
        publish(world, "1", &[&web(ENFORCE), &web(ENFORCE), &web(ENFORCE)]).await;
        world.host(MX, &[&encrypted(), &encrypted(), &encrypted()]).await;
        let fetched = |world: &World| world.policies.0.lock()["example.org"].fetched;
        check(world, RELAYED).await;
        let first = fetched(world);
        world.env.clock.sleep(TENTH * 4).await;
        check(world, RELAYED).await;
        assert_eq!(fetched(world), first);
        world.env.clock.sleep(TENTH * 2).await;
        check(world, RELAYED).await;
        world.env.clock.sleep(Duration::from_secs(1)).await;
        let second = fetched(world);
        assert!(second > first, "while mail goes on");
        // And for domains to which none goes; what has run out is forgotten.
        let old = StsPolicy {
            id: "0".to_owned(),
            mode: StsMode::Enforce,
            exchangers: Vec::new(),
            fetched: first,
            max_age_s: 60,
        };
        world.policies.0.lock().insert("old.test".to_owned(), old);
        world.env.clock.sleep(TENTH * 6).await;
        world.relay().refresh_policies().await.unwrap();
        assert!(fetched(world) > second);
        assert_eq!(world.policies.0.lock().len(), 1);
        // Nothing is due: nobody is asked.
        world.relay().refresh_policies().await.unwrap();
    });
}

#[test]
fn a_policy_that_nobody_asks_for_is_fetched_no_more() {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    run(async |world| {
        let long = ENFORCE.replace("3600", "345600");
        publish(world, "1", &[&web(&long)]).await;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
        let first = world.policies.0.lock()["example.org"].fetched;
        // Nobody has asked for it for longer than a month, but it counts still.
        let kept = world.policies.0.lock()["example.org"].clone();
        world.sim.clock.step_ms(40 * DAY_MS);
        let fetched = world.env.clock.now().plus_ms(-3 * DAY_MS);
        let kept = StsPolicy { fetched, ..kept };
        world.policies.0.lock().insert("example.org".to_owned(), kept);
        // The script of the web server has one answer.
        world.relay().refresh_policies().await.unwrap();
        assert_eq!(world.policies.0.lock()["example.org"].fetched, fetched);
        world.sim.clock.step_ms(2 * DAY_MS);
        world.relay().refresh_policies().await.unwrap();
        assert!(world.policies.0.lock().is_empty() && fetched > first);
    });
}

#[test]
fn a_certificate_of_any_name_is_raised_by_a_policy() {
    run(async |world| {
        publish(world, "1", &[]).await;
        world.tls = Some(authority().server("other.test"));
        world.manner.tls = contract_transport::courier::TlsLevel::Certificate;
        let fetched = world.env.clock.now();
        let exchangers = vec!["mx.example.org".to_owned()];
        let (id, mode) = ("1".to_owned(), StsMode::Enforce);
        let policy = StsPolicy { id, mode, exchangers, fetched, max_age_s: 3600 };
        world.policies.0.lock().insert("example.org".to_owned(), policy);
        world.host(MX, &[&broken()]).await;
        check(world, "later 0 4.7.5 mx.example.org [192.0.2.1]: MTA-STS: invalid peer").await;
    });
}

#[test]
fn levels_of_our_operator_stand() {
    // Whoever asks for a certificate has more to say than a policy.
    run(async |world| {
        publish(world, "1", &[]).await;
        world.manner.tls = contract_transport::courier::TlsLevel::Domain;
        world.host(MX, &[&encrypted()]).await;
        check(world, RELAYED).await;
    });
}
