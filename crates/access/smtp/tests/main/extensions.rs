//! What extensions leave in the envelope.

use crate::world::{config, run};
use access_smtp::Role;
use base::Address;
use contract_transport::{Envelope, Notify};

/// The envelope that one dialogue leaves, and the message.
fn envelope_of(role: Role, mail: &str, recipients: &[&str]) -> (Envelope, String) {
    let mut text = format!("C: {mail}\nS: 250 *\n");
    for recipient in recipients {
        text.push_str(&format!("C: {recipient}\nS: 250 *\n"));
    }
    text.push_str("C: DATA\nS: 354 *\nC: Subject: grüße\nC:\nC: .\nS: 250 2.6.0 *");
    let found = std::sync::Mutex::new(None);
    run(config(role), async |world| {
        world.talk(role, &text).await.unwrap();
        let (taken, message) = world.only();
        *found.lock().unwrap() = Some((taken.submission.envelope, message));
    });
    found.into_inner().unwrap().unwrap()
}

#[test]
fn what_reports_are_asked_for_goes_into_the_queue() {
    for role in [Role::Server, Role::Submission] {
        let (envelope, _) = envelope_of(
            role,
            "MAIL FROM:<alice@rialto.test> RET=HDRS ENVID=a+2Bb",
            &[
                "RCPT TO:<bob@rialto.test> NOTIFY=NEVER",
                "RCPT TO:<alice@rialto.test> NOTIFY=SUCCESS ORCPT=rfc822;al+2Bice@x.example",
                "RCPT TO:<team@rialto.test> ORCPT=utf-8;j\\x{FC}rg@x.example",
                "RCPT TO:<postmaster@rialto.test>",
            ],
        );
        assert_eq!(
            (envelope.envelope_id.as_deref(), envelope.return_headers_only),
            (Some("a+b"), true)
        );
        let of = |success, failure, delay| Notify { success, failure, delay };
        let expect = [
            (of(false, false, false), None),
            (of(true, false, false), Some("rfc822;al+ice@x.example")),
            (Notify::default(), Some("utf-8;jürg@x.example")),
            (Notify::default(), None),
        ];
        let found = envelope.recipients.iter().map(|one| (one.notify, one.original.as_deref()));
        assert!(found.eq(expect), "{envelope:?}");
    }
    let (plain, _) =
        envelope_of(Role::Server, "MAIL FROM:<a@b.example>", &["RCPT TO:<bob@rialto.test>"]);
    assert_eq!((plain.envelope_id, plain.return_headers_only), (None, false));
}

#[test]
fn addresses_beyond_ascii_are_kept_and_their_domains_are_ascii() {
    let (envelope, message) = envelope_of(
        Role::Server,
        "MAIL FROM:<jürg@bücher.example> SMTPUTF8",
        &["RCPT TO:<bob@rialto.test>"],
    );
    assert_eq!(envelope.sender, Some(Address::new("jürg", "xn--bcher-kva.example")));
    assert_eq!(envelope.source.protocol, "UTF8SMTP");
    let unfolded = message.replace("\r\n ", " ");
    assert!(unfolded.contains(" with UTF8SMTP id "), "{message}");
    assert!(message.contains("Subject: grüße"), "{message}");
}
