//! STARTTLS, implicit TLS, certificates, signing in.

use crate::certificates::{authority, self_signed};
use crate::world::{BYE, MX, World, outgoing, run, verdicts};
use contract_transport::courier::TlsLevel;
use std::sync::Arc;

const OFFER: &str = "S: 220 mx ESMTP\nC: EHLO out.rialto.test\nS: 250-mx\nS: 250 STARTTLS\n";
const INSIDE: &str = "C: EHLO out.rialto.test\nS: 250 mx\n";
const ONE: &str =
    "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";

fn upgraded() -> String {
    format!("{OFFER}C: STARTTLS\nS: 220 go\n! tls\n{INSIDE}{ONE}{BYE}")
}

/// Opens at a level and sends a message; the outcome in a line.
async fn outcome(world: &mut World, level: TlsLevel) -> String {
    world.manner.tls = level;
    world.config.extra_authorities = authority().pem.clone();
    match world.open("example.org").await {
        Ok(mut conversation) => {
            let transferred = conversation.transfer(&outgoing("a\r\n", 1)).await.unwrap();
            conversation.quit().await;
            verdicts(&transferred).remove(0)
        }
        unreachable => crate::world::outcome(unreachable).await,
    }
}

type Server = Arc<rustls::ServerConfig>;

fn check(server: Server, level: TlsLevel, domain: Option<&str>, scripts: &[&str], expected: &str) {
    run(async |world| {
        world.tls = Some(server);
        world.manner.tls_domain = domain.map(str::to_owned);
        world.host(MX, scripts).await;
        let outcome = outcome(world, level).await;
        assert!(outcome.starts_with(expected), "{level:?}: {outcome}");
    });
}

const RELAYED: &str = "relayed 250 2.0.0 ok";
const LEVELS: [TlsLevel; 4] =
    [TlsLevel::Opportunistic, TlsLevel::Encryption, TlsLevel::Certificate, TlsLevel::Domain];

#[test]
fn a_good_certificate_is_good_at_every_level() {
    let server = authority().server("mx.example.org");
    for level in LEVELS {
        check(server.clone(), level, None, &[&upgraded()], RELAYED);
    }
}

#[test]
fn what_each_level_asks_of_a_certificate() {
    // The client breaks the handshake off; the host sees an alert.
    let broken = format!("{OFFER}C: STARTTLS\nS: 220 go\n! broken tls");
    let no = "later 0 4.7.5";
    for level in &LEVELS[..2] {
        check(self_signed("x.test"), *level, None, &[&upgraded()], RELAYED);
    }
    for level in &LEVELS[2..] {
        check(self_signed("mx.example.org"), *level, None, &[&broken], no);
    }
    let other = authority().server("other.example.org");
    check(other.clone(), TlsLevel::Certificate, None, &[&upgraded()], RELAYED);
    check(other.clone(), TlsLevel::Domain, None, &[&broken], no);
    check(other.clone(), TlsLevel::Domain, Some("other.example.org"), &[&upgraded()], RELAYED);
    check(other, TlsLevel::Domain, Some("example.org"), &[&broken], no);
    let wildcard = authority().server("*.example.org");
    check(wildcard, TlsLevel::Domain, None, &[&upgraded()], RELAYED);
}

#[test]
fn only_opportunistic_encryption_does_without() {
    let server = authority().server("mx.example.org");
    let plain = format!("S: 220 mx\nC: EHLO *\nS: 250 mx\n{ONE}{BYE}");
    check(server.clone(), LEVELS[0], None, &[&plain], RELAYED);
    let refused = format!("{OFFER}C: STARTTLS\nS: 454 4.7.0 not now\n{ONE}{BYE}");
    check(server.clone(), LEVELS[0], None, &[&refused], RELAYED);
    // A handshake that fails: a new connection, in clear, although STARTTLS is offered again.
    let garbage = format!(
        "{OFFER}C: STARTTLS\nS: 220 go\n! bytes 5\nS~ \\x15\\x03\\x01\\x00\\x02\\x02\\x28\n! close"
    );
    let again = format!("{OFFER}{ONE}{BYE}");
    check(server.clone(), LEVELS[0], None, &[&garbage, &again], RELAYED);
    for level in &LEVELS[1..] {
        check(
            server.clone(),
            *level,
            None,
            &["S: 220 mx\nC: EHLO *\nS: 250 mx\n! closed"],
            "later 0 4.7.4",
        );
        let refused = format!("{OFFER}C: STARTTLS\nS: 454 4.7.0 not now\n! closed");
        check(server.clone(), *level, None, &[&refused], "later 0 4.7.4");
        check(server.clone(), *level, None, &[&garbage], "later 0 4.7.5");
    }
}

#[test]
fn attack_03_what_is_said_before_the_handshake_is_an_attack() {
    let server = authority().server("mx.example.org");
    for level in LEVELS {
        // One write with the 220, so it lies there when the handshake would begin.
        for injected in ["S: 250 injected", "S: 250-mx\nS: 250 AUTH PLAIN", "S~ x"] {
            let script = format!("{OFFER}C: STARTTLS\nS: 220 go\n{injected}\n! closed");
            check(server.clone(), level, None, &[&script], "later 0 4.5.0");
        }
    }
    // Behind EHLO already.
    let script = "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 STARTTLS\nS: 220 go\n! closed";
    check(server, LEVELS[0], None, &[script], "later 0 4.5.0");
}

#[test]
fn attack_04_nothing_offered_in_clear_counts_inside() {
    let server = authority().server("mx.example.org");
    let script = format!(
        "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250-PIPELINING\nS: 250-SIZE 1\nS: 250-DSN\n\
         S: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n! tls\nC: EHLO *\nS: 250-mx\nS: 250 STARTTLS\n\
         C: MAIL FROM:<alice@rialto.test>\nS: 250 ok\nC: RCPT *\n! quiet\nS: 250 ok\nC: DATA\n\
         S: 354 go\n! data\nS: 250 ok{BYE}"
    );
    check(server, TlsLevel::Encryption, None, &[&script], RELAYED);
}

#[test]
fn tls_from_the_first_byte() {
    run(async |world| {
        world.tls = Some(authority().server("mx.example.org"));
        world.manner.implicit_tls = true;
        let script = format!("! tls\nS: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 STARTTLS\n{ONE}{BYE}");
        world.host(MX, &[&script]).await;
        assert_eq!(outcome(world, TlsLevel::Domain).await, RELAYED);
    });
}

#[test]
fn signing_in() {
    let login = ("relay".to_owned(), "s3cret".to_owned());
    let check = |offered: &str, dialogue: &str, expected: &str| {
        run(async |world| {
            world.tls = Some(authority().server("mx.example.org"));
            world.manner.credentials = Some(login.clone());
            let script = format!(
                "{OFFER}C: STARTTLS\nS: 220 go\n! tls\nC: EHLO *\nS: 250-mx\nS: 250 {offered}\n{dialogue}"
            );
            world.host(MX, &[&script]).await;
            let outcome = outcome(world, TlsLevel::Opportunistic).await;
            assert!(outcome.starts_with(expected), "{outcome}");
        });
    };
    let plain = format!("C: AUTH PLAIN AHJlbGF5AHMzY3JldA==\nS: 235 ok\n{ONE}{BYE}");
    check("AUTH LOGIN PLAIN", &plain, RELAYED);
    let by_parts = format!(
        "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: cmVsYXk=\nS: 334 UGFzc3dvcmQ6\nC: czNjcmV0\n\
         S: 235 ok\n{ONE}{BYE}"
    );
    check("AUTH LOGIN", &by_parts, RELAYED);
    check("AUTH PLAIN", "C: AUTH *\nS: 535 5.7.8 wrong\n! closed", "later 535 5.7.8 wrong");
    check("AUTH LOGIN", "C: AUTH *\nS: 504 5.5.4 no\n! closed", "later 504 5.5.4 no");
    check("AUTH GSSAPI", "! closed", "later 0 4.7.0");
    check("SIZE", "! closed", "later 0 4.7.0");
}

#[test]
fn attack_14_no_password_in_clear() {
    run(async |world| {
        world.manner.credentials = Some(("relay".to_owned(), "s3cret".to_owned()));
        world.host(MX, &["S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 AUTH PLAIN\n! closed"]).await;
        let outcome = outcome(world, TlsLevel::Opportunistic).await;
        assert!(outcome.starts_with("later 0 4.7.4"), "{outcome}");
    });
    // Nor behind a handshake that was made to fail.
    run(async |world| {
        world.manner.credentials = Some(("relay".to_owned(), "s3cret".to_owned()));
        let script = format!("{OFFER}C: STARTTLS\nS: 220 go\n! close");
        world.host(MX, &[&script]).await;
        let outcome = outcome(world, TlsLevel::Opportunistic).await;
        assert!(outcome.starts_with("later 0 4.7.5"), "{outcome}");
    });
}

#[derive(Clone, Default)]
struct Log(Arc<parking_lot::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_protocol_is_logged_without_passwords_and_messages() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("protocol=debug,access_relay=trace")
        .with_writer(move || writer.clone())
        .finish();
    // Whether a place logs is remembered for the whole process at its first passing. With one
    // subscriber in all, tracing asks only that of the passing thread: a neighbouring test, which
    // has none, would silence the place for us. A second subscriber has it ask all of them.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::subscriber::set_default(subscriber);
    // The first round passes every place, the question is asked anew, the others are looked at.
    for offered in ["AUTH PLAIN", "AUTH LOGIN", "AUTH PLAIN", "AUTH LOGIN"] {
        tracing::callsite::rebuild_interest_cache();
        let dialogue = match offered {
            "AUTH PLAIN" => "C: AUTH PLAIN *\nS: 235 ok\n",
            _ => "C: AUTH LOGIN\nS: 334 a\nC: *\nS: 334 b\nC: *\nS: 235 ok\n",
        };
        run(async |world| {
            world.tls = Some(authority().server("mx.example.org"));
            world.manner.credentials = Some(("relay".to_owned(), "s3cret".to_owned()));
            let script = format!(
                "{OFFER}C: STARTTLS\nS: 220 go\n! tls\nC: EHLO *\nS: 250-mx\nS: 250 {offered}\n\
                 {dialogue}{ONE}{BYE}"
            );
            world.host(MX, &[&script]).await;
            let mut conversation = world.open("example.org").await.unwrap();
            let message = outgoing("Subject: private words\r\n\r\nprivate\r\n", 1);
            let transferred = conversation.transfer(&message).await.unwrap();
            assert_eq!(verdicts(&transferred), [RELAYED]);
            conversation.quit().await;
        });
    }
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(log.contains("> MAIL FROM:<alice@rialto.test>") && log.contains("< 235 ok"), "{log}");
    for secret in ["s3cret", "czNjcmV0", "AHJlbGF5", "cmVsYXk", "private"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
