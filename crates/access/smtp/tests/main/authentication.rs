//! Who a message is from, checked while it comes in: what is stored, refused, and left alone.

use crate::world::{World, config, run};
use access_smtp::Role;
use base::env::Env;
use base::env::sim::SimDns;
use contract_transport::authentication::is_junk;
use service_sender_auth::{Authentication, Config};
use std::net::IpAddr;
use std::sync::Arc;

/// `b.example` sends from where the tests' client is; `strict.example` from nowhere.
fn checks(world: &World) {
    let dns = SimDns::default();
    let ip: IpAddr = world.peer.ip();
    dns.set("b.example", &[ip]);
    dns.set_names(ip, &["b.example"]);
    dns.set_texts("b.example", &["v=spf1 a -all"]);
    dns.set_texts("_dmarc.b.example", &["v=DMARC1; p=reject"]);
    dns.set_texts("_dmarc.strict.example", &["v=DMARC1; p=reject"]);
    dns.set_texts("_dmarc.wary.example", &["v=DMARC1; p=quarantine"]);
    let env = Env { dns: Arc::new(dns), ..world.env.clone() };
    let checks = Authentication::new(Config::new("mail.rialto.test"), env);
    drop(world.service.clone().with_authentication(Arc::new(checks)));
}

fn dialogue(message: &str, reply: &str) -> String {
    let lines: String = message.lines().map(|line| format!("C: {line}\n")).collect();
    format!(
        "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<alice@rialto.test>\nS* 2 250 *\n\
         C: DATA\nS: 354 *\n{lines}C: .\nS: {reply}"
    )
}

#[test]
fn results_stand_in_front_and_forged_ones_are_gone() {
    run(config(Role::Server), async |world| {
        checks(&world);
        let forged = "Authentication-Results: mail.rialto.test; dkim=pass\nX-Rialto-Spam: none\n";
        let rest = "From: a@b.example\nSubject: hi\n\nbody\n";
        let message = format!("{forged}{rest}");
        world.talk(Role::Server, &dialogue(&message, "250 2.6.0 *")).await.unwrap();
        let (taken, text) = world.only();
        let results = "Authentication-Results: mail.rialto.test;\r\n\
             \tspf=pass smtp.mailfrom=a@b.example;\r\n\
             \tspf=none smtp.helo=client.example;\r\n\
             \tdkim=none;\r\n\
             \tdmarc=pass header.from=b.example;\r\n\
             \tiprev=pass policy.iprev=192.0.2.7 (b.example)\r\nReceived: ";
        assert!(text.starts_with(results), "{text}");
        assert!(text.ends_with(&format!("\r\n{}", rest.replace('\n', "\r\n"))), "{text}");
        assert_eq!(text.matches("Authentication-Results").count(), 1, "{text}");
        assert!(!text.contains("X-Rialto"), "{text}");
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
        assert!(!is_junk(&taken.submission.content));
    });
}

#[test]
fn what_the_authors_domain_forbids_is_refused_or_junk() {
    run(config(Role::Server), async |world| {
        checks(&world);
        let from = |domain: &str| format!("From: a@{domain}\nSubject: hi\n\nbody\n");
        let refusal = "550 5.7.1 Mail from strict.example is refused: it fails DMARC, *";
        world.talk(Role::Server, &dialogue(&from("strict.example"), refusal)).await.unwrap();
        assert!(world.taken().is_empty());
        let both = "From: a@b.example\nFrom: a@strict.example\n\nbody\n";
        let refusal = "550 5.7.1 Message has more than one From field";
        world.talk(Role::Server, &dialogue(both, refusal)).await.unwrap();
        assert!(world.taken().is_empty());
        world.talk(Role::Server, &dialogue(&from("wary.example"), "250 *")).await.unwrap();
        let (taken, text) = world.only();
        assert!(text.contains("dmarc=fail (p=quarantine applied=quarantine)"), "{text}");
        assert!(is_junk(&taken.submission.content), "{text}");
        assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes));
    });
}

#[test]
fn odd_headers_are_stored_as_they_came() {
    run(config(Role::Server), async |world| {
        checks(&world);
        for (number, message) in
            ["", "\n\nbody\n", "Subject: no body\n", " begins blank\nFrom: x\n\nbody\n"]
                .into_iter()
                .enumerate()
        {
            world.talk(Role::Server, &dialogue(message, "250 2.6.0 *")).await.unwrap();
            let taken = world.taken();
            let taken = &taken[number];
            let text = String::from_utf8(taken.bytes.to_vec()).unwrap();
            assert!(text.starts_with("Authentication-Results: "), "{text}");
            assert!(text.ends_with(&message.replace('\n', "\r\n")), "{text}");
            assert_eq!(*taken.submission.parsed, codec_mime::parse(&taken.bytes), "{text}");
        }
    });
}

#[test]
fn people_who_sign_in_are_not_checked() {
    run(config(Role::Submission), async |world| {
        checks(&world);
        let forged = "Authentication-Results: mail.rialto.test; dkim=pass";
        let dialogue = format!(
            "C: MAIL FROM:<alice@rialto.test>\nC: RCPT TO:<bob@rialto.test>\nS* 2 250 *\n\
             C: DATA\nS: 354 *\nC: From: alice@rialto.test\nC: {forged}\nC:\nC: hi\nC: .\nS: 250 *"
        );
        world.talk(Role::Submission, &dialogue).await.unwrap();
        let (_, text) = world.only();
        assert!(!text.contains("spf="), "{text}");
    });
}
