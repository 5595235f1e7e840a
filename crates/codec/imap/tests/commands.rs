//! Commands: the grammar by example, and what is refused.

use crate::{parse, raw};
use bytes::BytesMut;
use codec_imap::command::{
    Authenticate, Charset, CommandBody, FetchItem, Partial, SaslReply, Search, SearchKey, Section,
    SectionText, StoreMode, is_idle_done, sasl_reply,
};
use codec_imap::{Command, Flag, LiteralForm, ParseErrorKind};

/// The command, printed, is `canonical`, and that parses to the same.
fn check(text: &str, canonical: &str) {
    let command = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut out = BytesMut::new();
    command.encode(&mut out, LiteralForm::NonSync);
    let printed = String::from_utf8_lossy(&out).into_owned();
    assert_eq!(printed, format!("{canonical}\r\n"), "{text}");
    assert_eq!(Command::parse(&raw(&out)), Ok(command), "{text}");
}

fn same(text: &str) {
    check(text, text);
}

#[test]
fn without_arguments() {
    for name in [
        "CAPABILITY",
        "NOOP",
        "LOGOUT",
        "STARTTLS",
        "NAMESPACE",
        "IDLE",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "UNAUTHENTICATE",
        "EXPUNGE",
    ] {
        same(&format!("a1 {name}"));
        check(&format!("a1 {} ", name.to_lowercase()), &format!("a1 {name}"));
    }
}

#[test]
fn logging_in() {
    same("a LOGIN joe \"pass word\"");
    check("a login \"joe\" {4}\r\nword", "a LOGIN joe \"word\"");
    check("a LOGIN \"j\\\"o\\\\e\" NIL", "a LOGIN \"j\\\"o\\\\e\" \"NIL\"");
    check("a LOGIN \"J\u{f6}\" x", "a LOGIN {3+}\r\nJ\u{f6} \"x\"");
    same("a AUTHENTICATE PLAIN");
    same("a AUTHENTICATE PLAIN =");
    same("a AUTHENTICATE PLAIN AGpvZQB3b3Jk");
    check("a authenticate xoauth2", "a AUTHENTICATE XOAUTH2");
    let text = format!("{:?}", parse("a LOGIN joe secret").expect("a command"));
    assert!(text.contains("joe") && !text.contains("secret"), "{text}");
    match parse("a AUTHENTICATE PLAIN AGpvZQB3b3Jk").expect("a command").body {
        CommandBody::Authenticate(Authenticate { initial: Some(initial), .. }) => {
            assert_eq!(&initial.expose()[..], b"\0joe\0word");
            assert!(!format!("{initial:?}").contains("joe"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(sasl_reply(b"*"), SaslReply::Cancelled);
    assert_eq!(sasl_reply(b"?"), SaslReply::Malformed);
    assert!(matches!(sasl_reply(b""), SaslReply::Response(s) if s.expose().is_empty()));
    assert!(is_idle_done(b"done") && !is_idle_done(b"DONE "));
}

#[test]
fn id_and_enable() {
    same("a ID NIL");
    check("a ID ()", "a ID NIL");
    same("a ID (\"name\" \"rialto\" \"os\" NIL)");
    check("a enable condstore AUTH=x", "a ENABLE CONDSTORE AUTH=X");
}

#[test]
fn mailboxes() {
    for name in ["SELECT", "EXAMINE", "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE"] {
        same(&format!("a {name} Sent"));
        check(&format!("a {name} iNBoX"), &format!("a {name} INBOX"));
        check(&format!("a {name} \"Sent Items\""), &format!("a {name} \"Sent Items\""));
        check(&format!("a {name} {{10}}\r\nEntw&APw-r"), &format!("a {name} Entw&APw-r"));
    }
    same("a SELECT INBOX (CONDSTORE)");
    same("a EXAMINE INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))");
    same("a SELECT x (QRESYNC (67890007 90060115194045000 41:211,214:541))");
    same("a SELECT x (QRESYNC (67890007 90060115205545359))");
    same("a SELECT x (CONDSTORE QRESYNC (1 2 1:9 (3,5 4,9)))");
    check(
        "a select x (qresync (1 2 (3:4 4,9)) condstore)",
        "a SELECT x (CONDSTORE QRESYNC (1 2 (3:4 4,9)))",
    );
    same("a RENAME a/b \"c d\"");
    same("a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)");
    check("a STATUS x (unseen Unseen messages)", "a STATUS x (UNSEEN MESSAGES)");
    same("a STATUS x (DELETED SIZE HIGHESTMODSEQ APPENDLIMIT)");
}

#[test]
fn lists() {
    same("a LIST \"\" *");
    check("a LIST \"\" \"\"", "a LIST \"\" \"\"");
    check("a LIST a/ %b]", "a LIST \"a/\" \"%b]\"");
    same("a LIST (SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE) \"\" *");
    same("a LIST \"\" % RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)");
    check("a list () \"\" (\"INBOX\" \"Sent/%\") return ()", "a LIST \"\" (\"INBOX\" \"Sent/%\")");
    same("a LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN))");
    check(
        "a LIST \"\" % RETURN (STATUS (size) CHILDREN)",
        "a LIST \"\" % RETURN (CHILDREN STATUS (SIZE))",
    );
    same("a LSUB \"#news.\" \"comp.mail.*\"");
}

#[test]
fn appends() {
    same("a APPEND INBOX {5+}\r\nhello");
    check(
        "a append x (\\seen $Work) \" 1-Feb-2026 01:02:03 -0130\" {5}\r\nhe\r\nl",
        "a APPEND x (\\Seen $Work) \"01-Feb-2026 01:02:03 -0130\" {5+}\r\nhe\r\nl",
    );
    same("a APPEND x ~{3+}\r\na\0b");
    check("a APPEND x () {0}\r\n", "a APPEND x {0+}\r\n");
    // Several messages, and such with UTF-8 in their headers.
    same("a APPEND x {1+}\r\na (\\Seen) \"01-Feb-2026 01:02:03 -0130\" {2+}\r\nbc {1+}\r\nd");
    check("a append x utf8 (~{2}\r\nbc)", "a APPEND x UTF8 (~{2+}\r\nbc)");
}

#[test]
fn copies_and_expunges() {
    same("a COPY 1:3,7 Trash");
    same("a UID COPY 1:* Trash");
    same("a MOVE 4 \"A B\"");
    same("a UID MOVE 4,9 x");
    same("a UID EXPUNGE 3:5,9:*");
    same("a UID EXPUNGE $");
    same("a COPY $ x");
}

#[test]
fn stores() {
    same("a STORE 1 FLAGS (\\Seen)");
    same("a STORE 1:* +FLAGS.SILENT (\\Deleted $x)");
    same("a UID STORE 2 -FLAGS ()");
    same(
        "a UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)"
            .replace("6,4,8", "4,6,8")
            .as_str(),
    );
    same("a STORE $ (UNCHANGEDSINCE 0) FLAGS ()");
    check("a store 2 -flags.silent \\answered foo", "a STORE 2 -FLAGS.SILENT (\\Answered foo)");
    match parse("a STORE 1 +FLAGS \\Draft").expect("a command").body {
        CommandBody::Store(store) => {
            assert_eq!((store.mode, store.silent), (StoreMode::Add, false));
            assert_eq!(store.flags, [Flag::Draft]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn fetches() {
    let fast = "FLAGS INTERNALDATE RFC822.SIZE";
    check("a FETCH 1 FAST", &format!("a FETCH 1 ({fast})"));
    check("a FETCH 1 all", &format!("a FETCH 1 ({fast} ENVELOPE)"));
    check("a FETCH 1 FULL", &format!("a FETCH 1 ({fast} ENVELOPE BODY)"));
    same("a UID FETCH 1:* (UID RFC822 RFC822.HEADER RFC822.TEXT BODYSTRUCTURE BODY)");
    same("a FETCH 1 (BODY[] BODY.PEEK[HEADER] BODY[TEXT]<0.1024> BODY[1.2.3] BODY[4.MIME])");
    check(
        "a fetch 1 body.peek[header.fields (To \"From\")]",
        "a FETCH 1 (BODY.PEEK[HEADER.FIELDS (To From)])",
    );
    same("a FETCH 2 (BODY[1.HEADER.FIELDS.NOT (Received)]<5.10>)");
    match parse("a FETCH 1 BODY.PEEK[2.TEXT]<7.9>").expect("a command").body {
        CommandBody::Fetch(fetch) => match &fetch.items[..] {
            [item @ FetchItem::Section(body)] => {
                let section = Section { parts: vec![2], text: Some(SectionText::Text) };
                assert_eq!((body.peek, &body.section), (true, &section));
                assert_eq!(body.partial, Some(Partial { offset_bytes: 7, len_bytes: 9 }));
                assert!(!item.sets_seen());
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    same("a FETCH 1 (BINARY[1]<0.5> BINARY.PEEK[] BINARY.SIZE[1.2])");
    same("a FETCH 1 (MODSEQ) (CHANGEDSINCE 12345)");
    same("a UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)");
    check(
        "a UID FETCH 1:* FLAGS (PARTIAL -60:-31 CHANGEDSINCE 9)",
        "a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 9 PARTIAL -31:-60)",
    );
    let far = Partial { offset_bytes: 10, len_bytes: u64::MAX };
    assert_eq!((far.clamp(15), far.clamp(3)), (10..15, 3..3));
}

#[test]
fn searches() {
    for text in [
        "ALL",
        "ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN",
        "UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN",
        "KEYWORD $x UNKEYWORD y",
        "BCC \"a\" BODY \"b\" CC \"c\" FROM \"d\" SUBJECT \"e\" TEXT \"f\" TO \"\"",
        "HEADER \"X-Spam\" \"\"",
        "LARGER 100 SMALLER 5000000000",
        "BEFORE 01-Jan-2026 ON 02-Feb-2026 SINCE 03-Mar-2026",
        "SENTBEFORE 01-Jan-2026 SENTON 02-Feb-2026 SENTSINCE 29-Feb-2024",
        "1:3,5:* UID 7",
        "NOT SEEN",
        "OLDER 1234 YOUNGER 5",
        "MODSEQ 620162338 LARGER 50000",
        "$ NOT UID $",
        "OR (SEEN DRAFT) NOT (OLD 1)",
    ] {
        same(&format!("a SEARCH {text}"));
        same(&format!("a UID SEARCH CHARSET UTF-8 {text}"));
        same(&format!("a SEARCH RETURN (MIN COUNT) CHARSET UTF-8 {text}"));
    }
    check("a SEARCH since \"1-feb-2026\"", "a SEARCH SINCE 01-Feb-2026");
    check("a SEARCH return () ALL", "a SEARCH RETURN () ALL");
    same("a UID SEARCH RETURN (MIN MAX ALL COUNT SAVE) SEEN");
    same("a SEARCH RETURN (SAVE PARTIAL 1:500) SEEN");
    check("a SEARCH RETURN (PARTIAL -100:-1) 1", "a SEARCH RETURN (PARTIAL -1:-100) 1");
    check("a SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "a SEARCH MODSEQ 620162338");
    check("a SEARCH ((SEEN)) (OLD)", "a SEARCH SEEN OLD");
    check("a SEARCH (SEEN OLD)", "a SEARCH SEEN OLD");
    check("a SEARCH charset koi8-r ALL", "a SEARCH CHARSET koi8-r ALL");
    check(
        "a SEARCH SUBJECT {4}\r\n\u{43a}\u{43e} SEEN",
        "a SEARCH SUBJECT {4+}\r\n\u{43a}\u{43e} SEEN",
    );
    match parse("a SEARCH CHARSET us-ascii TEXT x").expect("a command").body {
        CommandBody::Search(Search {
            uid: false,
            returns: None,
            charset,
            key: SearchKey::Text(text),
        }) => {
            assert_eq!((charset, &text[..]), (Some(Charset::UsAscii), &b"x"[..]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn malformed_commands_say_what_and_where() {
    use ParseErrorKind::{BadTag, Empty, Syntax, UnknownCommand};
    for (text, tag, kind, offset_bytes) in [
        ("", false, Empty, 0),
        ("   ", false, Empty, 0),
        (" NOOP", false, BadTag, 0),
        ("+ NOOP", false, BadTag, 0),
        ("a+ NOOP", false, BadTag, 0),
        ("* OK x", false, BadTag, 0),
        ("a", true, Syntax, 1),
        ("a  NOOP", true, UnknownCommand, 2),
        ("a NOOPS", true, UnknownCommand, 2),
        ("a NOOP x", true, Syntax, 6),
        ("a UID NOOP", true, UnknownCommand, 6),
        ("a SELECT", true, Syntax, 8),
        ("a SELECT a b", true, Syntax, 11),
        ("a SELECT \"a", true, Syntax, 11),
        ("a SELECT \"a\\b\"", true, Syntax, 12),
        ("a SELECT \"\"", true, Syntax, 9),
        ("a SELECT a&b", true, Syntax, 9),
        ("a LOGIN joe", true, Syntax, 11),
        ("a LOGIN {3}\r\njoe x y", true, Syntax, 13),
        ("a AUTHENTICATE PLAIN ?", true, Syntax, 21),
        ("a AUTHENTICATE PLAIN AA=A", true, Syntax, 21),
        ("a ENABLE", true, Syntax, 8),
        ("a ID (\"a\")", true, Syntax, 9),
        ("a STATUS x ()", true, Syntax, 12),
        ("a STATUS x (SIZES)", true, Syntax, 12),
        ("a LIST (RECURSIVEMATCH) \"\" *", true, Syntax, 23),
        ("a LIST (OTHER) \"\" *", true, Syntax, 8),
        ("a LIST \"\" ()", true, Syntax, 11),
        ("a LIST \"\" * RETURN", true, Syntax, 18),
        ("a APPEND x \"y\"", true, Syntax, 12),
        ("a APPEND x (\\Recent) {1}\r\nx", true, Syntax, 12),
        ("a APPEND x \"31-Feb-2026 00:00:00 +0000\" {1}\r\nx", true, Syntax, 11),
        ("a APPEND x \"01-Feb-2026 24:00:00 +0000\" {1}\r\nx", true, Syntax, 11),
        ("a FETCH 1 ()", true, Syntax, 11),
        ("a FETCH 1 (ALL)", true, Syntax, 11),
        ("a FETCH 1 BODY[1.]", true, Syntax, 17),
        ("a FETCH 1 BODY[MIME]", true, Syntax, 15),
        ("a FETCH 1 BODY[0]", true, Syntax, 15),
        ("a FETCH 1 BODY[1]<0.0>", true, Syntax, 20),
        ("a FETCH 1 BODY[HEADER.FIELDS ()]", true, Syntax, 30),
        ("a FETCH 1 BODY[HEADER.FIELDS (\"a:\")]", true, Syntax, 30),
        ("a FETCH 1 BODY.PEEK", true, Syntax, 19),
        ("a STORE 1 FLAG \\Seen", true, Syntax, 10),
        ("a STORE 1 FLAGS (\\Seen", true, Syntax, 22),
        ("a STORE 1 FLAGS", true, Syntax, 15),
        ("a SEARCH", true, Syntax, 8),
        ("a SEARCH ()", true, Syntax, 10),
        ("a SEARCH FROM", true, Syntax, 13),
        ("a SEARCH OR SEEN", true, Syntax, 16),
        ("a SEARCH SINCE 31-Apr-2026", true, Syntax, 15),
        ("a SEARCH LARGER -1", true, Syntax, 16),
        ("a SEARCH RETURN (ALL PARTIAL 1:2) ALL", true, Syntax, 21),
        ("a SEARCH RETURN (PARTIAL 0:2) ALL", true, Syntax, 25),
        ("a SEARCH RETURN (PARTIAL 1:-2) ALL", true, Syntax, 27),
        ("a SEARCH RETURN (FEW) ALL", true, Syntax, 17),
        ("a SEARCH YOUNGER 0", true, Syntax, 17),
        ("a SEARCH MODSEQ \"/flags/x\" some 1", true, Syntax, 27),
        ("a SEARCH $,1", true, Syntax, 10),
        ("a FETCH 1 BINARY", true, Syntax, 16),
        ("a FETCH 1 BINARY[HEADER]", true, Syntax, 17),
        ("a FETCH 1 BINARY.SIZE[1]<0.1>", true, Syntax, 24),
        ("a APPEND x UTF8 ({1}\r\nx)", true, Syntax, 17),
        ("a APPEND x UTF9 (~{1}\r\nx)", true, Syntax, 11),
        ("a APPEND x UTF8 (~{1}\r\nx", true, Syntax, 18),
        ("a APPEND x {1}\r\nx y", true, Syntax, 13),
        ("a SELECT x ()", true, Syntax, 12),
        ("a SELECT x (QRESYNC (0 1))", true, Syntax, 21),
        ("a SELECT x (QRESYNC (1 0))", true, Syntax, 23),
        ("a SELECT x (QRESYNC (1 1 1:*))", true, Syntax, 25),
        ("a SELECT x (QRESYNC (1 1 1:9 (1:2 7)))", true, Syntax, 30),
        ("a FETCH 1 FLAGS ()", true, Syntax, 17),
        ("a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", true, Syntax, 32),
        ("a UID FETCH 1 FLAGS (VANISHED)", true, Syntax, 30),
        ("a STORE 1 (UNCHANGEDSINCE -1) FLAGS ()", true, Syntax, 26),
        ("a STORE 1 (SINCE 1) FLAGS ()", true, Syntax, 11),
        ("a COPY 1 ", true, Syntax, 9),
        ("a COPY 0 x", true, Syntax, 7),
        ("a COPY 1, x", true, Syntax, 9),
        ("a COPY 1: x", true, Syntax, 9),
        ("a COPY 4294967296 x", true, Syntax, 7),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.tag.is_some(), error.kind), (tag, kind), "{text:?}: {error}");
        assert_eq!(error.offset_bytes, offset_bytes, "{text:?}: {error}");
    }
    let error = parse("a FETCH x FLAGS").expect_err("no number");
    assert_eq!(error.to_string(), "Expected a message number at byte 8");
}

#[test]
fn names_as_they_are() {
    use codec_imap::Names;
    let name = |text: &str, names| match Command::parse_with(
        &raw(format!("{text}\r\n").as_bytes()),
        names,
    ) {
        Ok(Command { body: CommandBody::Select(select), .. }) => Some(select.mailbox.to_string()),
        _ => None,
    };
    let check = |text: &str, utf7: Option<&str>, utf8: Option<&str>| {
        assert_eq!(name(text, Names::Utf7).as_deref(), utf7, "{text}");
        assert_eq!(name(text, Names::Utf8).as_deref(), utf8, "{text}");
    };
    check("a SELECT Entw&APw-rfe", Some("Entw\u{fc}rfe"), Some("Entw&APw-rfe"));
    check("a SELECT \"Entw\u{fc}rfe\"", None, Some("Entw\u{fc}rfe"));
    check("a SELECT \"a & b\"", None, Some("a & b"));
    check("a SELECT \"a\u{85}b\"", None, None);
}

#[test]
fn quotas() {
    check("a getquota \"\"", "a GETQUOTA \"\"");
    same("a GETQUOTA #user/alice");
    check("A003 GETQUOTAROOT inbox", "A003 GETQUOTAROOT INBOX");
    same("a SETQUOTA \"\" (STORAGE 512)");
    same("a SETQUOTA !partition/sda4 (STORAGE 99999999 MESSAGE 10)");
    check("a SETQUOTA x (storage 0)", "a SETQUOTA x (STORAGE 0)");
    same("a SETQUOTA x ()");
    same("a STATUS INBOX (MESSAGES DELETED-STORAGE)");
    let many = vec!["STORAGE 1"; 17].join(" ");
    for bad in [
        "a GETQUOTA",
        "a GETQUOTA x y",
        "a SETQUOTA x",
        "a SETQUOTA x (STORAGE)",
        "a SETQUOTA x (STORAGE 9223372036854775808)",
        "a SETQUOTA x (STORAGE -1)",
        &format!("a SETQUOTA x ({many})"),
        &format!("a GETQUOTA {}", "x".repeat(513)),
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn access_control() {
    same("a GETACL INBOX/Drafts");
    same("a MYRIGHTS INBOX");
    check("a LISTRIGHTS ~/Mail/saved smith", "a LISTRIGHTS ~/Mail/saved smith");
    same("a DELETEACL INBOX Fred");
    check("a SETACL INBOX/Drafts Chris +cda", "a SETACL INBOX/Drafts Chris +acd");
    check("a SETACL x John \"-e\"", "a SETACL x John -e");
    check("a SETACL x John lrswicd0", "a SETACL x John lrswicd0");
    same("a SETACL x John \"\"");
    for bad in [
        // RFC 4314 §3.1: there are no rights in capitals.
        "a SETACL INBOX/Drafts John lrQswicda",
        "a SETACL x John l+r",
        "a SETACL x John",
        "a SETACL x \"\" l",
        "a GETACL",
        "a MYRIGHTS x y",
        &format!("a SETACL x John {}", "l".repeat(65)),
        &format!("a DELETEACL x {}", "j".repeat(513)),
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn compression() {
    check("c compress deflate", "c COMPRESS DEFLATE");
    for bad in ["c COMPRESS", "c COMPRESS DEFLATE 9", "c COMPRESS \"DEFLATE\""] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn sorting_and_threading() {
    same("A282 SORT (SUBJECT) UTF-8 SINCE 01-Feb-1994");
    check(
        "A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
        "A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
    );
    check(
        "A284 UID SORT (subject) us-ascii text \"not in mailbox\"",
        "A284 UID SORT (SUBJECT) US-ASCII TEXT \"not in mailbox\"",
    );
    same("a SORT (REVERSE DISPLAYFROM DISPLAYTO CC TO FROM SIZE ARRIVAL) KOI8-R UNSEEN 1:3");
    check(
        "A283 thread ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000",
        "A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 05-Mar-2000",
    );
    same("A284 UID THREAD REFERENCES US-ASCII TEXT \"gewp\"");
    check("a THREAD refs UTF-8 ALL", "a THREAD REFS UTF-8 ALL");
    for bad in [
        "a SORT () UTF-8 ALL",
        "a SORT (SUBJECT) UTF-8",
        "a SORT (SUBJECT) ALL",
        "a SORT (REVERSE) UTF-8 ALL",
        "a SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        "a SORT SUBJECT UTF-8 ALL",
        "a SORT (BODY) UTF-8 ALL",
        &format!("a SORT ({}DATE) UTF-8 ALL", "DATE ".repeat(32)),
        "a THREAD REFERENCES",
        "a THREAD REFERENCES UTF-8",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
