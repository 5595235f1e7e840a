//! MAIL and RCPT: parameters, refusals, pipelining, what is left behind.

use crate::world::{BYE, HELLO, content, outgoing, run, verdicts};
use base::Address;
use contract_transport::Notify;

const TEXT: &str = "Subject: hi\r\n\r\nhello\r\n";

/// Plays what follows EHLO, with the extensions offered, and compares the verdicts.
fn check(offer: &[&str], script: &str, recipients: usize, expected: &[&str]) {
    let hello = hello(offer);
    run(async |world| {
        let verdicts = world.send(&format!("{hello}{script}"), &outgoing(TEXT, recipients)).await;
        assert_eq!(verdicts, expected);
    });
}

pub(crate) fn hello(offer: &[&str]) -> String {
    let mut lines = "S: 220 mx ESMTP\nC: EHLO out.rialto.test\n".to_owned();
    let mut words = vec!["mx.example.org"];
    words.extend(offer);
    for (n, word) in words.iter().enumerate() {
        lines += &format!("S: 250{}{word}\n", if n + 1 == words.len() { ' ' } else { '-' });
    }
    lines
}

#[test]
fn step_by_step_where_nothing_is_offered() {
    let script = "C: MAIL FROM:<alice@rialto.test>\nS: 250 ok\nC: RCPT TO:<u1@example.org>\n\
                  S: 250 2.1.5 ok\nC: RCPT TO:<u2@example.org>\nS: 550 5.1.1 nobody\n\
                  C: DATA\nS: 354 go\n! data\nS: 250 2.6.0 queued as 17";
    let expected = ["relayed 250 2.6.0 queued as 17", "failed 550 5.1.1 nobody"];
    check(&[], &format!("{script}{BYE}"), 2, &expected);
}

#[test]
fn everything_in_one_write_where_pipelining_is_offered() {
    let script = "C: MAIL FROM:<alice@rialto.test> SIZE=22\nC: RCPT TO:<u1@example.org>\n\
                  C: RCPT TO:<u2@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 451 4.7.1 later\n\
                  S: 354 go\n! data\nS: 250 ok";
    let expected = ["relayed 250 2.0.0 ok", "later 451 4.7.1 later"];
    check(&["PIPELINING", "SIZE"], &format!("{script}{BYE}"), 2, &expected);
}

#[test]
fn a_host_that_goes_ahead_for_nobody_gets_an_empty_message() {
    let script = "C: MAIL *\nC: RCPT *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 550 5.1.1 a\n\
                  S: 450 4.2.1 b\nS: 354 go\nC: .\nS: 554 no recipients";
    let expected = ["failed 550 5.1.1 a", "later 450 4.2.1 b"];
    check(&["PIPELINING"], &format!("{script}{BYE}"), 2, &expected);
}

#[test]
fn a_refused_sender_ends_it_for_everybody() {
    let script = "C: MAIL *\nS: 550 5.7.1 not you";
    let all = ["failed 550 5.7.1 not you"; 2];
    check(&[], &format!("{script}{BYE}"), 2, &all);
    let script = "C: MAIL *\nC: RCPT *\nC: RCPT *\nC: DATA\nS: 451 wait\nS: 503 first MAIL\n\
                  S: 503 first MAIL\nS: 503 first MAIL";
    check(&["PIPELINING"], &format!("{script}{BYE}"), 2, &["later 451 4.0.0 wait"; 2]);
}

#[test]
fn refusals_of_data_concern_those_who_were_taken() {
    let script = "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: RCPT *\nS: 550 5.1.1 no\n\
                  C: DATA\nS: 452 4.3.1 full";
    let expected = ["later 452 4.3.1 full", "failed 550 5.1.1 no"];
    check(&[], &format!("{script}{BYE}"), 2, &expected);
}

#[test]
fn too_many_recipients_is_for_later_whatever_the_code() {
    let script = "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 552 too many\nC: RCPT *\n\
                  S: 552 5.2.2 mailbox full";
    let expected = ["later 552 4.5.3 too many", "failed 552 5.2.2 mailbox full"];
    check(&[], &format!("{script}{BYE}"), 2, &expected);
}

#[test]
fn service_closing_in_the_middle() {
    let script = "C: MAIL *\nC: RCPT *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 250 ok\n\
                  S: 421 4.3.2 going down\n! closed";
    check(&["PIPELINING"], script, 2, &["later 421 4.3.2 going down"; 2]);
}

#[test]
fn many_recipients_go_in_batches() {
    let script = "C: MAIL *\nC* 99 RCPT *\n! quiet\nS* 100 250 ok\nC* 51 RCPT *\nC: DATA\n\
                  S* 51 250 ok\nS: 354 go\n! data\nS: 250 done";
    let expected = vec!["relayed 250 2.0.0 done"; 150];
    check(&["PIPELINING"], &format!("{script}{BYE}"), 150, &expected);
}

#[test]
fn dsn_parameters_where_they_are_understood() {
    let mut message = outgoing(TEXT, 4);
    message.envelope_id = Some("a+b=c d".to_owned());
    message.return_headers_only = true;
    message.recipients[0].notify = Notify { success: true, failure: true, delay: false };
    message.recipients[1].notify = Notify { success: false, failure: false, delay: false };
    message.recipients[1].original = Some("rfc822;Bob+x@example.com".to_owned());
    message.recipients[2].original = Some("rfc822;a\r\nRSET".to_owned());
    message.recipients[3].original = Some("utf-8;jürg@example.com".to_owned());
    let tail = "C: DATA\nS: 354 go\n! data\nS: 250 ok";
    let with = format!(
        "{}C: MAIL FROM:<alice@rialto.test> RET=HDRS ENVID=a+2Bb+3Dc+20d\nS: 250 ok\n\
         C: RCPT TO:<u1@example.org> NOTIFY=SUCCESS,FAILURE\nS: 250 ok\n\
         C: RCPT TO:<u2@example.org> NOTIFY=NEVER ORCPT=rfc822;Bob+2Bx@example.com\nS: 250 ok\n\
         C: RCPT TO:<u3@example.org>\nS: 250 ok\n\
         C: RCPT TO:<u4@example.org> ORCPT=utf-8;j\\x{{FC}}rg@example.com\nS: 250 ok\n\
         {tail}{BYE}",
        hello(&["DSN"])
    );
    let without = format!(
        "{HELLO}C: MAIL FROM:<alice@rialto.test>\nS: 250 ok\nC: RCPT TO:<u1@example.org>\n\
         S: 250 ok\nC: RCPT TO:<u2@example.org>\nS: 250 ok\nC: RCPT TO:<u3@example.org>\n\
         S: 250 ok\nC: RCPT TO:<u4@example.org>\nS: 250 ok\n{tail}{BYE}"
    );
    for (script, expected) in
        [(with, "relayed with DSN 250 2.0.0 ok"), (without, "relayed 250 2.0.0 ok")]
    {
        run(async |world| assert_eq!(world.send(&script, &message).await, [expected; 4]));
    }
}

#[test]
fn what_a_host_cannot_take_is_settled_without_a_word() {
    let check = |offer: &[&str], text: &str, utf8: bool, expected: &str| {
        let script = format!("{}{}", hello(offer), BYE.trim_start());
        let mut message = outgoing(text, 1);
        message.needs_smtputf8 = utf8;
        run(async |world| {
            let verdicts = world.send(&script, &message).await;
            assert!(verdicts[0].starts_with(expected), "{verdicts:?}");
        });
    };
    check(&["SIZE 21"], TEXT, false, "failed 552 5.3.4 the message has 22 bytes");
    let addressed = "To: jürg@example.org\r\n\r\nx\r\n";
    check(&["8BITMIME"], addressed, true, "failed 553 5.6.7 the host takes no international");
    check(&[], addressed, true, "failed 553 5.6.7 the host takes 7-bit mail only, and an address");
    let partial = "Content-Type: message/partial; id=a\r\n\r\ngrün\r\n";
    check(&["SMTPUTF8"], partial, false, "failed 554 5.6.3 the host takes 7-bit mail only, and a");
}

#[test]
fn eight_bits_and_utf8_where_they_are_offered() {
    let script = format!(
        "{}C: MAIL FROM:<alice@rialto.test> SIZE=9 BODY=8BITMIME SMTPUTF8\nS: 250 ok\n\
         C: RCPT TO:<jürgen@example.org>\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok{BYE}",
        hello(&["SIZE 0", "8BITMIME", "SMTPUTF8"])
    );
    let mut message = outgoing("\r\ngrün\r\n", 1);
    message.needs_smtputf8 = true;
    message.recipients[0].address = Address::new("jürgen", "example.org");
    run(async |world| {
        assert_eq!(world.send(&script, &message).await, ["relayed 250 2.0.0 ok"]);
        assert_eq!(world.messages.lock()[0], "\r\ngrün\r\n".as_bytes());
    });
}

#[test]
fn attack_11_what_is_no_address_never_gets_into_a_command() {
    let mut message = outgoing(TEXT, 4);
    message.recipients[0].address.local = "a>\r\nRCPT TO:<b".to_owned();
    message.recipients[1].address.local = "jürgen".to_owned();
    message.recipients[2].address.domain = "example.org> NOTIFY=NEVER".to_owned();
    let script = format!(
        "{HELLO}C: MAIL *\nS: 250 ok\nC: RCPT TO:<u4@example.org>\nS: 250 ok\nC: DATA\n\
         S: 354 go\n! data\nS: 250 ok{BYE}"
    );
    run(async |world| {
        let verdicts = world.send(&script, &message).await;
        assert!(verdicts[0].starts_with("failed 553 5.1.3"), "{verdicts:?}");
        assert!(verdicts[1].starts_with("failed 553 5.6.7"), "{verdicts:?}");
        assert!(verdicts[2].starts_with("failed 553 5.1.3"), "{verdicts:?}");
        assert_eq!(verdicts[3], "relayed 250 2.0.0 ok");
    });
    let mut message = outgoing(TEXT, 1);
    message.sender.as_mut().unwrap().local = "a\nb".to_owned();
    run(async |world| {
        let verdicts = world.send(&format!("{HELLO}{BYE}"), &message).await;
        assert!(verdicts[0].starts_with("failed 553 5.1.7"), "{verdicts:?}");
    });
}

#[test]
fn the_null_sender_and_quoted_names() {
    let mut message = outgoing(TEXT, 1);
    message.sender = None;
    message.recipients[0].address.local = "a b\"c".to_owned();
    let script = format!(
        "{HELLO}C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<\"a b\\\"c\"@example.org>\nS: 250 ok\n\
         C: DATA\nS: 354 go\n! data\nS: 250 ok{BYE}"
    );
    run(async |world| {
        assert_eq!(world.send(&script, &message).await, ["relayed 250 2.0.0 ok"]);
    });
}

#[test]
fn what_is_left_of_a_failure_is_reset_before_the_next_message() {
    let script = format!(
        "{}C: MAIL *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 550 5.1.1 no\nS: 503 no recipients\n\
         C: RSET\nC: MAIL *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n\
         ! data\nS: 250 a\n\
         C: MAIL *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n! data\nS: 554 5.6.0 b\n\
         C: RSET\nC: MAIL *\nC: RCPT *\nC: DATA\nS: 550 no\n! closed",
        hello(&["PIPELINING"])
    );
    run(async |world| {
        world.host(crate::world::MX, &[&script]).await;
        let mut conversation = world.open("example.org").await.unwrap();
        let mut message = outgoing(TEXT, 1);
        for (expected, goes_on) in [
            ("failed 550 5.1.1 no", true),
            ("relayed 250 2.0.0 a", true),
            ("failed 554 5.6.0 b", true),
            ("later 0 4.5.0 *unexpected answer (550)", false),
        ] {
            message.content = content(TEXT.as_bytes());
            let transferred = conversation.transfer(&message).await.unwrap();
            let verdicts = verdicts(&transferred);
            let (head, tail) = expected.split_once('*').unwrap_or((expected, ""));
            assert!(verdicts[0].starts_with(head) && verdicts[0].ends_with(tail), "{verdicts:?}");
            assert_eq!(transferred.may_go_on, goes_on);
        }
    });
}
