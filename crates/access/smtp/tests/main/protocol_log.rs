//! What of a conversation stands in the protocol log, and what never does.

use crate::world::{PASSWORD, World, config, plain, run};
use access_smtp::{PROTOCOL_LOG, Role};
use base::logs::{ConversationLog, LogWriter, Query, read};

/// The rows of the log: event, data and context; sessions are served with it.
fn logged(mut world: World, connector: &'static str) -> (World, impl Fn() -> Vec<String>) {
    let writer = LogWriter::start(&world.env, "/logs".into());
    let log = ConversationLog::new(&PROTOCOL_LOG, writer.clone(), move |name| name == connector);
    world.service = world.service.with_protocol_log(log);
    let rows = move || {
        let all = Query { limit: 10_000, ..Query::default() };
        let rows = read(&writer, &PROTOCOL_LOG, &all).unwrap();
        rows.iter().map(|row| format!("{} {}|{}", row[6], row[7], row[8])).collect()
    };
    (world, rows)
}

#[test]
fn a_conversation_is_told_line_by_line() {
    run(config(Role::Server), async |world| {
        let (world, rows) = logged(world, "server");
        let text = "C: MAIL FROM:<a@b.example> SIZE=9\nS: 250 *\nC: RCPT TO:<bob@rialto.test>\nS: 250 *\n\
                    C: DATA\nS: 354 *\nC: Subject: merger\nC:\nC: secret plan\nC: .\nS: 250 2.6.0 *\n\
                    C: QUIT\nS: 221 *\n";
        world.talk(Role::Server, text).await.unwrap();
        let rows = rows();
        let has = |row: &str| rows.iter().any(|known| known.starts_with(row));
        assert_eq!(rows.first().unwrap(), "+ |");
        assert_eq!(rows.last().unwrap(), "- |");
        for row in [
            "> 220 mail.rialto.test",
            "< EHLO client.example|",
            "> 250-PIPELINING|",
            "< MAIL FROM:<a@b.example> SIZE=9|",
            "< RCPT TO:<bob@rialto.test>|",
            "< DATA|",
            "* a message has come|",
            "> 250 2.6.0 ",
            "< QUIT|",
        ] {
            assert!(has(row), "{row} in {rows:#?}");
        }
        let whole = rows.join("\n");
        assert!(!whole.contains("merger") && !whole.contains("secret"), "{whole}");
    });
}

/// Passwords come with AUTH, behind a challenge, or as lines of their own where AUTH was refused.
#[test]
fn attack_68_no_password_and_no_message_is_ever_logged() {
    let initial = plain("alice@rialto.test", PASSWORD);
    let wrong = plain("alice@rialto.test", "wrong-secret");
    let (user, password) = (
        codec_smtp::sasl::encode(b"alice@rialto.test"),
        codec_smtp::sasl::encode(PASSWORD.as_bytes()),
    );
    let hello = "S: 220 *\nC: EHLO c.example\nS? 250 *\n";
    let tls = "C: STARTTLS\nS: 220 *\n! tls\nC: EHLO c.example\nS? 250 *\n";
    let signed_in = format!(
        "{hello}C: AUTH PLAIN {initial}\nS: 538 *\n{tls}C: AUTH PLAIN {wrong}\nS: 535 *\n\
         C: AUTH LOGIN\nS: 334 *\nC: {user}\nS: 334 *\nC: {password}\nS: 235 *\n"
    );
    let refused = format!(
        "{hello}C: AUTH CRAM-MD5 {initial}\nS? 5*\nC: {password}\nS: 500 *\nC: AUTH  {password} x y\nS? 5*\n"
    );
    let content = format!(
        "{hello}C: DATA\nS: 503 *\nC: The {PASSWORD} is\nS: 500 *\nC: HELP {PASSWORD}\nS? 214 *\n"
    );
    run(config(Role::Submission), async move |world| {
        let (world, rows) = logged(world, "submission");
        for text in [signed_in, refused, content] {
            world.play(&text).await.unwrap();
        }
        let whole = rows().join("\n");
        for secret in [&initial, &wrong, &password, PASSWORD, "wrong-secret"] {
            assert!(!whole.contains(secret), "{secret} in {whole}");
        }
        assert!(whole.contains("< *****|AUTH PLAIN with a response"), "{whole}");
        assert!(whole.contains("< *****|authentication"), "{whole}");
        assert!(whole.contains("< *****|no command, "), "{whole}");
        assert!(whole.contains("* TLS|TLSv1.3 "), "{whole}");
    });
}

#[test]
fn other_connectors_are_not_logged() {
    run(config(Role::Server), async |world| {
        let (world, rows) = logged(world, "submission");
        world.talk(Role::Server, "C: QUIT\nS: 221 *\n").await.unwrap();
        assert!(rows().is_empty());
    });
}
