//! Lines and what they mean, as tables.

use bytes::BytesMut;
use codec_smtp::{Command, Dialect};

/// `line` parses, and prints as `printed`.
fn check(line: &str, printed: &str) {
    for smtputf8 in [false, true] {
        let command = Command::parse(line.as_bytes(), Dialect { smtputf8 }).expect(line);
        let mut out = BytesMut::new();
        command.encode(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("{printed}\r\n"), "{line}");
    }
}

/// `line` is refused with this reply.
fn check_refused(line: &str, reply: &str) {
    let error = Command::parse(line.as_bytes(), Dialect::default()).expect_err(line);
    assert_eq!(error.reply().to_string(), reply, "{line}");
}

#[test]
fn greetings_and_simple_verbs() {
    check("EHLO client.example", "EHLO client.example");
    check("ehlo [192.0.2.1] ", "EHLO [192.0.2.1]");
    check("HELO my_host", "HELO my_host");
    check("EHLO [IPv6:fe80::1%eth0]", "EHLO [IPv6:fe80::1%eth0]");
    for verb in ["DATA", "RSET", "QUIT", "STARTTLS", "NOOP", "HELP"] {
        check(verb, verb);
        check(&format!("{}  ", verb.to_lowercase()), verb);
    }
    check("NOOP anything at all", "NOOP");
    check("HELP mail", "HELP");
    check("VRFY Some One", "VRFY Some One");
    check("EXPN staff", "EXPN staff");
    check("XCLIENT ADDR=1.2.3.4", "XCLIENT");
    check("GET / HTTP/1.1", "GET");
    check_refused("EHLO", "501 5.5.4 argument required");
    check_refused("EHLO a b", "501 5.5.4 invalid client name");
    check_refused("EHLO (comment)", "501 5.5.4 invalid client name");
    check_refused("DATA now", "501 5.5.4 no argument allowed");
    check_refused("STARTTLS x", "501 5.5.4 no argument allowed");
    check_refused("VRFY", "501 5.5.4 argument required");
    check_refused("VRFY müller", "553 5.6.7 non-ASCII address needs SMTPUTF8");
    check_refused("", "500 5.5.2 empty command");
    check_refused(" NOOP", "500 5.5.2 empty command");
}

#[test]
fn mail() {
    check("MAIL FROM:<>", "MAIL FROM:<>");
    check("mail from:<A@B.example>", "MAIL FROM:<A@b.example>");
    check("MAIL  FROM:  <a@b>  SIZE=10 ", "MAIL FROM:<a@b> SIZE=10");
    check("MAIL FROM:<a@b> size=99999999999999999999", "MAIL FROM:<a@b> SIZE=18446744073709551615");
    check("MAIL FROM:<a@b> body=8bitmime ret=hdrs", "MAIL FROM:<a@b> BODY=8BITMIME RET=HDRS");
    check("MAIL FROM:<> BODY=BINARYMIME", "MAIL FROM:<> BODY=BINARYMIME");
    check("MAIL FROM:<a@b> ENVID=QQ+2B314159", "MAIL FROM:<a@b> ENVID=QQ+2B314159");
    check("MAIL FROM:<a@b> AUTH=<>", "MAIL FROM:<a@b> AUTH=<>");
    check("MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com", "MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com");
    check_refused("MAIL", "501 5.5.2 expected MAIL FROM:<address>");
    check_refused("MAIL a@b", "501 5.5.2 expected MAIL FROM:<address>");
    check_refused("MAIL FROM:a@b", "501 5.1.3 address must stand in angle brackets");
    check_refused("MAIL FROM:", "501 5.1.3 address must stand in angle brackets");
    check_refused("MAIL FROM:<a@b>SIZE=1", "501 5.5.2 space required behind the address");
    check_refused("MAIL FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4 SIZE given twice");
    check_refused("MAIL FROM:<a@b> SIZE", "501 5.5.4 invalid value for SIZE");
    check_refused("MAIL FROM:<a@b> SIZE=", "501 5.5.4 invalid value for SIZE");
    check_refused("MAIL FROM:<a@b> SIZE=-1", "501 5.5.4 invalid value for SIZE");
    check_refused("MAIL FROM:<a@b> SIZE=100000000000000000000", "501 5.5.4 invalid value for SIZE");
    check("MAIL FROM:<a@b> requiretls", "MAIL FROM:<a@b> REQUIRETLS");
    check_refused("MAIL FROM:<a@b> REQUIRETLS REQUIRETLS", "501 5.5.4 REQUIRETLS given twice");
    check_refused("MAIL FROM:<a@b> REQUIRETLS=1", "501 5.5.4 invalid value for REQUIRETLS");
    check_refused("MAIL FROM:<a@b> BODY=9BIT", "501 5.5.4 invalid value for BODY");
    check_refused("MAIL FROM:<a@b> FOO=1", "555 5.5.4 parameter FOO not recognised");
    check_refused("MAIL FROM:<a@b> NOTIFY=NEVER", "555 5.5.4 parameter NOTIFY not recognised");
    check_refused("MAIL FROM:<a@b> SMTPUTF8", "555 5.5.4 parameter SMTPUTF8 not recognised");
}

#[test]
fn rcpt() {
    check("RCPT TO:<a@b>", "RCPT TO:<a@b>");
    check("rcpt to: <postMASTER>", "RCPT TO:<postmaster>");
    check("RCPT TO:<@x,@y:a@b>", "RCPT TO:<a@b>");
    check("RCPT TO:<a@b> NOTIFY=never", "RCPT TO:<a@b> NOTIFY=NEVER");
    check("RCPT TO:<a@b> NOTIFY=DELAY,SUCCESS", "RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY");
    check("RCPT TO:<a@b> ORCPT=RFC822;x+2By@z", "RCPT TO:<a@b> ORCPT=rfc822;x+2By@z");
    let international = "RCPT TO:<a@b> ORCPT=utf-8;j\\x{FC}rg@z";
    check(international, international);
    check("RCPT TO:<a@b> ORCPT=UTF-8;jürg@z", international);
    check_refused("RCPT TO:<>", "501 5.1.3 malformed local part");
    check_refused("RCPT FROM:<a@b>", "501 5.5.2 expected RCPT TO:<address>");
    check_refused("RCPT TO:<a@b> NOTIFY=NEVER,DELAY", "501 5.5.4 invalid value for NOTIFY");
    check_refused("RCPT TO:<a@b> NOTIFY=", "501 5.5.4 invalid value for NOTIFY");
    check_refused("RCPT TO:<a@b> ORCPT=x@y", "501 5.5.4 invalid value for ORCPT");
    check_refused("RCPT TO:<a@b> ORCPT=rfc822;", "501 5.5.4 invalid value for ORCPT");
    check_refused("RCPT TO:<a@b> SIZE=1", "555 5.5.4 parameter SIZE not recognised");
}

#[test]
fn smtputf8_must_be_asked_for() {
    let offered = Dialect { smtputf8: true };
    let mail = |line: &str, dialect| {
        Command::parse(line.as_bytes(), dialect).map_err(|error| error.reply().code())
    };
    assert!(mail("MAIL FROM:<jörg@x> SMTPUTF8", offered).is_ok());
    assert_eq!(mail("MAIL FROM:<jörg@x>", offered), Err(553));
    assert_eq!(mail("MAIL FROM:<jörg@x> SMTPUTF8", Dialect::default()), Err(553));
    assert_eq!(mail("MAIL FROM:<a@b> SMTPUTF8=1", offered), Err(555));
    assert_eq!(mail("MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8", offered), Err(501));
    assert!(mail("RCPT TO:<jörg@x>", offered).is_ok());
    assert_eq!(mail("RCPT TO:<jörg@x>", Dialect::default()), Err(553));
    let latin1 = Command::parse(b"RCPT TO:<j\xf6rg@x>", offered).unwrap_err();
    assert_eq!(latin1.reply().to_string(), "500 5.5.2 line is not UTF-8");
}

#[test]
fn bdat() {
    check("BDAT 0 LAST", "BDAT 0 LAST");
    check("bdat 1000 last", "BDAT 1000 LAST");
    check("BDAT 9223372036854775808", "BDAT 9223372036854775808");
    for line in ["BDAT", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 1 FIRST", "BDAT 1 LAST LAST"] {
        let error = Command::parse(line.as_bytes(), Dialect::default()).expect_err(line);
        assert!(error.is_fatal(), "{line}: the chunk would be read as commands");
    }
}

#[test]
fn auth() {
    check("AUTH LOGIN", "AUTH LOGIN");
    check("auth plain =", "AUTH PLAIN =");
    check("AUTH PLAIN AGEAYg==", "AUTH PLAIN AGEAYg==");
    check_refused("AUTH", "501 5.5.4 argument required");
    check_refused("AUTH PL/AIN", "501 5.5.4 invalid mechanism name");
    check_refused("AUTH PLAIN !", "501 5.5.2 initial response is not base64");
    check_refused("AUTH PLAIN AGEAYg== x", "501 5.5.4 no argument allowed");
    let command = Command::parse(b"AUTH PLAIN AGEAYg==", Dialect::default()).unwrap();
    assert!(format!("{command:?}").contains("[redacted]"));
}
