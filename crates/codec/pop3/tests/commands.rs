//! Commands: the RFCs' forms, what clients get away with, and what they do not.

use bytes::{Bytes, BytesMut};
use codec_pop3::{Command, CommandError, Secret};

fn check(line: &str, expect: Result<Command, CommandError>) {
    let parsed = Command::parse(line.as_bytes());
    assert_eq!(parsed, expect, "{line:?}");
    if let Ok(command) = parsed {
        let mut wire = BytesMut::new();
        command.encode(&mut wire);
        let again = wire.strip_suffix(b"\r\n").expect("a line");
        assert_eq!(Command::parse(again), Ok(command), "{line:?}");
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn signing_in() {
    let user = |name: &str| Ok(Command::User { name: name.to_owned() });
    check("USER mrose", user("mrose"));
    check("user  mrose@rialto.test ", user("mrose@rialto.test"));
    check("USER jürgen", user("jürgen"));
    check("USER", Err(CommandError::Arguments));
    check("USER  ", Err(CommandError::Arguments));
    let pass = |text: &str| Ok(Command::Pass { password: secret(text) });
    check("PASS secret", pass("secret"));
    check("pass  two  words ", pass(" two  words "));
    check("PASS", Err(CommandError::Arguments));
    check("PASS ", Err(CommandError::Arguments));
    check("APOP mrose c4c9334bac560ecc979e58001b3e22fb", Ok(Command::Apop));
    let auth = |mechanism: Option<&str>, initial: Option<&str>| {
        let mechanism = mechanism.map(str::to_owned);
        Ok(Command::Auth { mechanism, initial: initial.map(secret) })
    };
    check("AUTH", auth(None, None));
    check("auth plain", auth(Some("PLAIN"), None));
    check("AUTH PLAIN AGEAYg==", auth(Some("PLAIN"), Some("AGEAYg==")));
    check("AUTH LOGIN =", auth(Some("LOGIN"), Some("=")));
    check("AUTH PLAIN a b", Err(CommandError::Arguments));
    check("AUTH PL/AIN", Err(CommandError::Arguments));
    check("STLS", Ok(Command::Stls));
    check("STLS now", Err(CommandError::Arguments));
    check("CAPA", Ok(Command::Capa));
    check("UTF8", Ok(Command::Utf8));
    check("LANG", Ok(Command::Lang { tag: None }));
    check("LANG de-AT", Ok(Command::Lang { tag: Some("de-AT".into()) }));
    check("LANG *", Ok(Command::Lang { tag: Some("*".into()) }));
    check("LANG d!", Err(CommandError::Arguments));
    check("LANG en fr", Err(CommandError::Arguments));
}

#[test]
fn messages() {
    check("STAT", Ok(Command::Stat));
    check("STAT ", Ok(Command::Stat));
    check("STAT 1", Err(CommandError::Arguments));
    check("LIST", Ok(Command::List { number: None }));
    check("LIST 2", Ok(Command::List { number: Some(2) }));
    check("list  002 ", Ok(Command::List { number: Some(2) }));
    check("LIST 1 2", Err(CommandError::Arguments));
    check("LIST -1", Err(CommandError::Arguments));
    check("LIST +1", Err(CommandError::Arguments));
    check("UIDL", Ok(Command::Uidl { number: None }));
    check("UIDL 7", Ok(Command::Uidl { number: Some(7) }));
    check("RETR 1", Ok(Command::Retr { number: 1 }));
    check("RETR", Err(CommandError::Arguments));
    check("RETR 0", Ok(Command::Retr { number: 0 }));
    check("DELE 3", Ok(Command::Dele { number: 3 }));
    check("DELE three", Err(CommandError::Arguments));
    check("TOP 1 10", Ok(Command::Top { number: 1, lines: 10 }));
    check("TOP 1 0", Ok(Command::Top { number: 1, lines: 0 }));
    check("TOP 1", Err(CommandError::Arguments));
    check("TOP 1 2 3", Err(CommandError::Arguments));
    check("RSET", Ok(Command::Rset));
    check("NOOP", Ok(Command::Noop));
    check("QUIT", Ok(Command::Quit));
    for unknown in ["", " ", "XTND", "NOOPS", "LISTLISTLIST 1", "GET / HTTP/1.1", "LAST"] {
        check(unknown, Err(CommandError::Unknown));
    }
}

#[test]
fn attack_36_numbers_beyond_all_bounds() {
    check("TOP 1 2147483648", Ok(Command::Top { number: 1, lines: 1 << 31 }));
    check("TOP 99999999999 1", Ok(Command::Top { number: u32::MAX, lines: 1 }));
    let digits = "9".repeat(100);
    check(&format!("RETR {digits}"), Ok(Command::Retr { number: u32::MAX }));
    check(&format!("TOP 1 {digits}"), Ok(Command::Top { number: 1, lines: u64::MAX }));
}

#[test]
fn attack_14_lines_are_bounded_and_clean() {
    check(&format!("RETR {}", "1".repeat(248)), Ok(Command::Retr { number: u32::MAX }));
    check(&format!("RETR {}", "1".repeat(249)), Err(CommandError::TooLong));
    check(&format!("USER {}", "a".repeat(12_281)), Ok(Command::User { name: "a".repeat(12_281) }));
    check(&format!("PASS {}", "a".repeat(12_282)), Err(CommandError::TooLong));
    for line in ["NOOP\r", "USER a\0b", "PASS a\tb", "RETR 1\nDELE 1", "\u{7f}"] {
        check(line, Err(CommandError::Unprintable));
    }
    assert_eq!(Command::parse(b"USER \xff"), Err(CommandError::Unprintable));
    let password = Secret::new(Bytes::from_static(b"\xff"));
    assert_eq!(Command::parse(b"PASS \xff"), Ok(Command::Pass { password }));
    let evil = Command::User { name: "a\r\nDELE 1".into() };
    let mut wire = BytesMut::new();
    evil.encode(&mut wire);
    assert_eq!(&wire[..], b"USER aDELE 1\r\n");
}

#[test]
fn attack_14_secrets_do_not_print() {
    for line in ["PASS hunter2", "AUTH PLAIN hunter2"] {
        let command = Command::parse(line.as_bytes()).unwrap();
        assert!(!format!("{command:?}").contains("hunter2"));
    }
}

#[test]
fn errors_are_words_for_people() {
    for error in [
        CommandError::TooLong,
        CommandError::Unprintable,
        CommandError::Unknown,
        CommandError::Arguments,
    ] {
        assert!(error.to_string().len() > 10);
    }
}
