//! Hosts that mean harm: replies without end, out of turn, or made to be misread. Each must end
//! with a verdict, in bounded time and memory, and never with a yes.

use crate::envelope::hello;
use crate::world::{MX, outgoing, run};

const DATA: &str = "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\n";

/// What opening comes to.
fn open(script: &str, expected: &str) {
    run(async |world| {
        world.host(MX, &[script]).await;
        let opened = world.opened("example.org").await;
        assert!(opened.starts_with(expected), "{script}: {opened}");
    });
}

/// What a message to two recipients comes to.
fn send(offer: &[&str], script: &str, expected: &[&str]) {
    let script = format!("{}{script}", hello(offer));
    run(async |world| {
        let verdicts = world.send(&script, &outgoing("a\r\n", expected.len())).await;
        for (verdict, expected) in verdicts.iter().zip(expected) {
            assert!(verdict.starts_with(expected), "{script}: {verdict}");
        }
    });
}

#[test]
fn attack_07_replies_without_end() {
    let garbled = "later 0 4.5.0";
    open("S* 5000 220-mx\n! closed", garbled);
    open("S* 30000 220 \n! closed", garbled);
    open(&format!("S~ 220 {}\n! closed", "x".repeat(100_000)), garbled);
    open("S: 220 mx\nC: EHLO *\nS* 200 250-X\nS: 250 X\n! closed", garbled);
    // A byte now and then does not buy time.
    let drip = "S~ 2\n! wait 200\n".repeat(2);
    open(&format!("{drip}! silence"), "later 0 4.4.1");
}

#[test]
fn what_is_no_reply() {
    for line in [
        "S~ 220 mx\\n",
        "S~ 220 m\\x00x\\r\\n",
        "S~ 220 a\\r250 b\\r\\n",
        "S~ 22\\r\\n",
        "S~ 999 mx\\r\\n",
        "S~ 220-a\\r\\n250 b\\r\\n",
        "S~ \\xff\\xfe\\x00\\r\\n",
        "S~ SSH-2.0-OpenSSH_9.9\\r\\n",
    ] {
        open(&format!("{line}\n! closed"), "later 0 4.5.0");
    }
    // A greeting that is none.
    open("S: 250 mx\n! closed", "later 0 4.5.0 mx.example.org [192.0.2.1]: the host gave an");
    open("S: 354 mx\n! closed", "later 0 4.5.0");
    // A line that never ends.
    open("S~ 220 mx\n! silence", "later 0 4.4.1");
    open("S~ 220 mx\n! close", "later 0 4.4.2");
}

#[test]
fn answers_before_their_questions() {
    let out_of_step = "later 0 4.5.0 mx.example.org [192.0.2.1]: the host said more";
    open("S: 220 mx\nS: 250 mx\n! closed", out_of_step);
    // Behind EHLO: MAIL is not even said.
    send(&[], "S: 250 sender ok\n! closed", &[out_of_step]);
    send(&[], "C: MAIL *\nS: 250 ok\nS: 250 ok\n! closed", &[out_of_step]);
    // A yes to a message that was not sent.
    send(&[], &format!("{DATA}S: 354 go\nS: 250 ok\n! closed"), &[out_of_step]);
    send(&[], &format!("{DATA}S: 250 ok\n! closed"), &["later 0 4.5.0"]);
    let early = "C: MAIL *\nC: RCPT *\nC: DATA\nS* 2 250 ok\nS: 354 go\nS: 250 ok\n! closed";
    send(&["PIPELINING"], early, &[out_of_step]);
    let chunked = "C: MAIL *\nC: RCPT *\nS* 3 250 ok\n! closed";
    send(&["PIPELINING", "CHUNKING"], chunked, &[out_of_step]);
    // A no that came early is a no, and ends the session.
    send(&[], &format!("{DATA}S: 354 go\nS: 554 5.7.1 no\n! closed"), &["failed 554 5.7.1 no"]);
}

#[test]
fn fewer_answers_than_questions() {
    // Two yeses for three questions, then nothing.
    let script = "C: MAIL *\nC: RCPT *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 250 ok\n! silence";
    send(&["PIPELINING"], script, &["later 0 4.4.1", "later 0 4.4.1"]);
    let script = "C: MAIL *\nC: RCPT *\nC: RCPT *\nC: DATA\nS: 250 ok\nS: 550 5.1.1 no\n! close";
    send(&["PIPELINING"], script, &["failed 550 5.1.1 no", "later 0 4.4.2"]);
}

#[test]
fn silence_at_every_step() {
    let no_answer = "later 0 4.4.1";
    open("! silence", no_answer);
    open("S: 220 mx\nC: EHLO *\n! silence", no_answer);
    for script in [
        "C: MAIL *\n! silence".to_owned(),
        "C: MAIL *\nS: 250 ok\nC: RCPT *\n! silence".to_owned(),
        format!("{DATA}! silence"),
        format!("{DATA}S: 354 go\n! silence"),
        format!("{DATA}S: 354 go\n! data\n! silence"),
    ] {
        send(&[], &script, &[no_answer]);
    }
}

#[test]
fn a_host_that_reads_nothing_ends_with_a_verdict() {
    let script = format!("{}{DATA}S: 354 go\n! wait 400\n! close", hello(&[]));
    run(async |world| {
        // More than the network holds for anybody.
        let text = "0123456789abcdef\r\n".repeat(40_000);
        let begun = world.env.clock.monotonic();
        let verdicts = world.send(&script, &outgoing(&text, 1)).await;
        assert!(verdicts[0].starts_with("later 0 4.4.1"), "{verdicts:?}");
        assert!((world.env.clock.monotonic() - begun).as_secs() <= 200);
    });
}

#[test]
fn texts_of_answers_are_bounded_and_harmless() {
    let script = format!(
        "{}C: MAIL *\nS~ 550-5.7.1 \\x1b[2J\\xc3\\xa9 a\\r\\n\nS* 90 550-{}\nS: 550 end\n\
         C: QUIT\nS: 221 bye\n! closed",
        hello(&[]),
        "y".repeat(300)
    );
    run(async |world| {
        let verdicts = world.send(&script, &outgoing("a\r\n", 1)).await;
        assert!(verdicts[0].starts_with("failed 550 5.7.1  [2J?"), "{verdicts:?}");
        assert!(verdicts[0].len() < 450);
    });
}
