//! Responses: what is printed, and that the client reads it back.

use bytes::BytesMut;
use codec_imap::client::{ReadError, ResponseReader, ServerResponse, Value};
use codec_imap::command::{FetchItem, PartialRange, Section, SectionText, StatusItem};
use codec_imap::response::{
    Address, BodyStructure, ChildInfo, Disposition, ESearch, Envelope, ListAttribute, ListItem,
    MultiPart, NamespaceItem, PartKind, QuotaResource, SinglePart, ThreadNode,
};
use codec_imap::{
    Capability, Code, DateTime, FetchWriter, Flag, IdRange, Names, Response, Rights, Status,
    StatusResponse, Tag,
};
use std::borrow::Cow;

/// Prints, compares, and reads back.
fn check(print: impl Fn(&mut BytesMut), expected: &str) -> ServerResponse {
    let mut out = BytesMut::new();
    print(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), expected);
    read(&mut out)
}

fn read(wire: &mut BytesMut) -> ServerResponse {
    let response = ResponseReader::new(1 << 20).next(wire).expect("a response");
    assert!(wire.is_empty());
    response.expect("a complete response")
}

#[test]
fn conditions() {
    let tag = Tag::new("a1").expect("a tag");
    let flags = [Flag::Seen, Flag::Keyword("$x".into())];
    let uids = [IdRange { first: 3, last: 5 }, IdRange { first: 9, last: 9 }];
    let capabilities = [Capability::Imap4Rev1, Capability::Auth("PLAIN".into())];
    for (tag, status, code, text, expected) in [
        (None, Status::Ok, None, "Rialto ready", "* OK Rialto ready"),
        (None, Status::Preauth, None, "", "* PREAUTH ."),
        (None, Status::Bye, Some(Code::Unavailable), "Bye", "* BYE [UNAVAILABLE] Bye"),
        (Some(&tag), Status::No, Some(Code::TryCreate), "None", "a1 NO [TRYCREATE] None"),
        (Some(&tag), Status::Bad, None, "[x] {3}", "a1 BAD . [x] {3}."),
        (Some(&tag), Status::Ok, Some(Code::ReadWrite), "[x]", "a1 OK [READ-WRITE] [x]"),
        (None, Status::Ok, Some(Code::UidNext(7)), "n", "* OK [UIDNEXT 7] n"),
        (None, Status::Ok, Some(Code::UidValidity(8)), "n", "* OK [UIDVALIDITY 8] n"),
        (None, Status::Ok, Some(Code::Unseen(9)), "n", "* OK [UNSEEN 9] n"),
        (
            None,
            Status::Ok,
            Some(Code::PermanentFlags { flags: &flags, allow_new: true }),
            "n",
            "* OK [PERMANENTFLAGS (\\Seen $x \\*)] n",
        ),
        (
            None,
            Status::Ok,
            Some(Code::PermanentFlags { flags: &[], allow_new: false }),
            "n",
            "* OK [PERMANENTFLAGS ()] n",
        ),
        (
            None,
            Status::Ok,
            Some(Code::Capability(&capabilities)),
            "n",
            "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] n",
        ),
        (
            Some(&tag),
            Status::Ok,
            Some(Code::AppendUid { uid_validity: 1, uids: &uids[1..] }),
            "n",
            "a1 OK [APPENDUID 1 9] n",
        ),
        (
            Some(&tag),
            Status::Ok,
            Some(Code::CopyUid { uid_validity: 1, source: &uids, target: &uids[..1] }),
            "n",
            "a1 OK [COPYUID 1 3:5,9 3:5] n",
        ),
        (
            Some(&tag),
            Status::No,
            Some(Code::BadCharset(&["UTF-8", "US-ASCII"])),
            "n",
            "a1 NO [BADCHARSET (UTF-8 US-ASCII)] n",
        ),
        (Some(&tag), Status::No, Some(Code::BadCharset(&[])), "\u{e9}\n", "a1 NO [BADCHARSET] ???"),
    ] {
        let name = code.as_ref().map(Code::name);
        let response = StatusResponse { tag, status, code, text };
        let read = check(|out| response.encode(out), &format!("{expected}\r\n"));
        match &read {
            ServerResponse::Status { tag: None, status: found, .. } => assert_eq!(*found, status),
            _ => assert_eq!(read.tagged("a1"), Some(status)),
        }
        assert!(name.is_none_or(|name| read.code(name).is_some()), "{read:?}");
    }
    let copied = Code::CopyUid { uid_validity: 1, source: &uids, target: &uids };
    let response =
        StatusResponse { tag: Some(&tag), status: Status::Ok, code: Some(copied), text: "n" };
    let read = check(|out| response.encode(out), "a1 OK [COPYUID 1 3:5,9 3:5,9] n\r\n");
    assert_eq!(read.code("COPYUID").expect("the code")[1], Value::Atom("3:5,9".into()));
}

#[test]
fn data() {
    let exists = check(|out| Response::Exists(172).encode(out), "* 172 EXISTS\r\n");
    assert_eq!(exists.count("EXISTS"), Some(172));
    check(|out| Response::Recent(0).encode(out), "* 0 RECENT\r\n");
    check(|out| Response::Expunge(u32::MAX).encode(out), "* 4294967295 EXPUNGE\r\n");
    let found = check(|out| Response::Search(&[2, 84], None).encode(out), "* SEARCH 2 84\r\n");
    assert_eq!(found.data("SEARCH"), Some(&[Value::Number(2), Value::Number(84)][..]));
    check(|out| Response::Search(&[], None).encode(out), "* SEARCH\r\n");
    check(
        |out| Response::Search(&[2, 5], Some(917162500)).encode(out),
        "* SEARCH 2 5 (MODSEQ 917162500)\r\n",
    );
    check(|out| Response::Flags(&[Flag::Draft]).encode(out), "* FLAGS (\\Draft)\r\n");
    check(|out| Response::Enabled(&[]).encode(out), "* ENABLED\r\n");
    check(
        |out| Response::Capability(&[Capability::Imap4Rev1, Capability::LiteralPlus]).encode(out),
        "* CAPABILITY IMAP4rev1 LITERAL+\r\n",
    );
    check(|out| Response::Id(&[]).encode(out), "* ID NIL\r\n");
    check(
        |out| Response::Id(&[("name", Some("Rialto")), ("os", None)]).encode(out),
        "* ID (\"name\" \"Rialto\" \"os\" NIL)\r\n",
    );
    let items = [(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)];
    check(
        |out| Response::Status("Entwürfe", &items).encode(out),
        "* STATUS \"Entw&APw-rfe\" (MESSAGES 231 UIDNEXT 44292)\r\n",
    );
    let own = [NamespaceItem { prefix: "", delimiter: Some('/') }];
    let others = [
        NamespaceItem { prefix: "Other Users/", delimiter: Some('/') },
        NamespaceItem { prefix: "~", delimiter: None },
    ];
    check(
        |out| Response::Namespace { personal: &own, other: &others, shared: &[] }.encode(out),
        "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")(\"~\" NIL)) NIL\r\n",
    );
}

#[test]
fn lists() {
    let item = |name, delimiter| ListItem { attributes: &[], delimiter, name, child_info: &[] };
    for (name, delimiter, expected) in [
        ("INBOX", Some('/'), "* LIST () \"/\" INBOX\r\n"),
        ("", Some('/'), "* LIST () \"/\" \"\"\r\n"),
        ("NIL", None, "* LIST () NIL \"NIL\"\r\n"),
        ("a\"b\\c", Some('\\'), "* LIST () \"\\\\\" \"a\\\"b\\\\c\"\r\n"),
        ("a & b*%{3}", Some('.'), "* LIST () \".\" \"a &- b*%{3}\"\r\n"),
    ] {
        check(|out| Response::List(item(name, delimiter)).encode(out), expected);
    }
    let parent = ListItem {
        attributes: &[ListAttribute::NoSelect, ListAttribute::HasChildren],
        child_info: &[ChildInfo::Subscribed],
        ..item("a", Some('/'))
    };
    check(
        |out| Response::List(parent).encode(out),
        "* LIST (\\Noselect \\HasChildren) \"/\" \"a\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n",
    );
    check(|out| Response::Lsub(item("x", None)).encode(out), "* LSUB () NIL \"x\"\r\n");
}

fn text<'a>(text: &'a str) -> Cow<'a, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn plain<'a>() -> SinglePart<'a> {
    SinglePart {
        media_type: text("TEXT"),
        subtype: text("PLAIN"),
        params: vec![(text("CHARSET"), text("UTF-8"))],
        id: None,
        description: None,
        encoding: text("7BIT"),
        size_bytes: 1152,
        kind: PartKind::Text { lines: 23 },
        md5: None,
        disposition: None,
        language: Vec::new(),
        location: None,
    }
}

#[test]
fn fetch_with_everything() {
    let address = Address {
        name: Some(text("Jörg")),
        adl: None,
        mailbox: Some(text("joerg")),
        host: Some(text("example.org")),
    };
    let envelope = Envelope {
        date: Some(text("Sun, 22 Nov 2026 10:00:00 +0000")),
        subject: Some(text("say \"hi\"")),
        from: vec![address.clone(), address],
        message_id: Some(text("<1@example.org>")),
        ..Envelope::default()
    };
    let fields = SectionText::HeaderFields(vec!["From".into(), "a]b".into()]);
    let fields = Section { parts: vec![1, 2], text: Some(fields) };
    let print = |out: &mut BytesMut| {
        let mut fetch = FetchWriter::begin(out, 12);
        fetch.flags(out, ["\\Seen", "$x", "not a flag"]);
        fetch.uid(out, 100);
        fetch.size(out, 5_000_000_000);
        fetch.internal_date(out, DateTime::from_unix_seconds(0, 60));
        fetch.envelope(out, &envelope);
        fetch.section(out, &Section::default(), Some(10), b"a\r\nb");
        fetch.section(out, &fields, None, b"");
        fetch.section_nil(out, &Section { parts: vec![9], text: None }, None);
        fetch.rfc822_header(out, &FetchItem::Rfc822Text, 2);
        out.extend_from_slice(b")\n");
        fetch.finish(out);
    };
    let person = "({5}\r\nJörg NIL \"joerg\" \"example.org\")";
    let response = check(
        print,
        &format!(
            "* 12 FETCH (FLAGS (\\Seen $x) UID 100 RFC822.SIZE 5000000000 \
             INTERNALDATE \"01-Jan-1970 01:00:00 +0100\" \
             ENVELOPE (\"Sun, 22 Nov 2026 10:00:00 +0000\" \"say \\\"hi\\\"\" ({person}{person}) \
             NIL NIL NIL NIL NIL NIL \"<1@example.org>\") \
             BODY[]<10> {{4}}\r\na\r\nb BODY[1.2.HEADER.FIELDS (From \"a]b\")] {{0}}\r\n \
             BODY[9] NIL RFC822.TEXT {{2}}\r\n)\n)\r\n"
        ),
    );
    let fetch = response.fetch().expect("a FETCH");
    assert_eq!((fetch.number, fetch.uid()), (12, Some(100)));
    assert_eq!(fetch.flags().expect("flags"), ["\\Seen", "$x"]);
    assert_eq!(fetch.item("RFC822.SIZE").and_then(Value::number), Some(5_000_000_000));
    assert_eq!(fetch.payload("BODY[]<10>").expect("the body"), &b"a\r\nb"[..]);
    assert_eq!(fetch.payload("body[1.2.header.fields (From \"a]b\")]").expect("fields"), "");
    assert_eq!(fetch.item("BODY[9]"), Some(&Value::Nil));
    assert_eq!(fetch.payload("RFC822.TEXT").expect("the text"), ")\n");
    let from = &fetch.item("ENVELOPE").and_then(Value::list).expect("a list")[2];
    assert_eq!(from.list().expect("addresses").len(), 2);
}

#[test]
fn a_section_with_quotes_is_one_name() {
    let fields = SectionText::HeaderFields(vec!["q\"]z\\".into(), "To".into()]);
    let section = Section { parts: Vec::new(), text: Some(fields) };
    let response = check(
        |out| {
            let mut fetch = FetchWriter::begin(out, 1);
            fetch.section(out, &section, None, b"x");
            fetch.finish(out);
        },
        "* 1 FETCH (BODY[HEADER.FIELDS (\"q\\\"]z\\\\\" To)] {1}\r\nx)\r\n",
    );
    let fetch = response.fetch().expect("a FETCH");
    let name = "BODY[HEADER.FIELDS (\"q\\\"]z\\\\\" To)]";
    assert_eq!(fetch.payload(name).expect("the fields"), "x");
}

#[test]
fn body_structures() {
    let attached = SinglePart {
        media_type: text("MESSAGE"),
        subtype: text("RFC822"),
        params: Vec::new(),
        size_bytes: 2000,
        kind: PartKind::Message {
            envelope: Box::default(),
            body: BodyStructure::Single(Box::new(plain())),
            lines: 40,
        },
        disposition: Some(Disposition {
            kind: text("ATTACHMENT"),
            params: vec![(text("FILENAME"), text("a.eml"))],
        }),
        language: vec![text("en"), text("de")],
        ..plain()
    };
    let mixed = BodyStructure::Multi(MultiPart {
        parts: vec![
            BodyStructure::Single(Box::new(plain())),
            BodyStructure::Single(Box::new(attached)),
        ],
        subtype: text("MIXED"),
        params: vec![(text("BOUNDARY"), text("xyz"))],
        disposition: None,
        language: vec![text("en")],
        location: None,
    });
    let part = "\"TEXT\" \"PLAIN\" (\"CHARSET\" \"UTF-8\") NIL NIL \"7BIT\" 1152 23";
    let nils = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
    let message = "\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 2000";
    check(
        |out| {
            let mut fetch = FetchWriter::begin(out, 1);
            fetch.body(out, &mixed);
            fetch.finish(out);
        },
        &format!("* 1 FETCH (BODY (({part})({message} {nils} ({part}) 40) \"MIXED\"))\r\n"),
    );
    check(
        |out| {
            let mut fetch = FetchWriter::begin(out, 1);
            fetch.body_structure(out, &mixed);
            fetch.finish(out);
        },
        &format!(
            "* 1 FETCH (BODYSTRUCTURE (({part} NIL NIL NIL NIL)({message} {nils} \
             ({part} NIL NIL NIL NIL) 40 NIL (\"ATTACHMENT\" (\"FILENAME\" \"a.eml\")) \
             (\"en\" \"de\") NIL) \"MIXED\" (\"BOUNDARY\" \"xyz\") NIL \"en\" NIL))\r\n"
        ),
    );
}

#[test]
fn attack_27_deep_structures_are_cut() {
    let mut body = BodyStructure::Single(Box::new(plain()));
    for _ in 0..1000 {
        body = BodyStructure::Multi(MultiPart {
            parts: vec![body],
            subtype: text("MIXED"),
            params: Vec::new(),
            disposition: None,
            language: Vec::new(),
            location: None,
        });
    }
    let mut out = BytesMut::new();
    let mut fetch = FetchWriter::begin(&mut out, 1);
    fetch.body_structure(&mut out, &body);
    fetch.finish(&mut out);
    let printed = String::from_utf8_lossy(&out).into_owned();
    assert!(printed.contains("(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BINARY\" 0)"));
    assert_eq!(printed.matches("\"MIXED\"").count(), 128);
    assert!(read(&mut out).fetch().is_some());
}

#[test]
fn the_client_reads_what_other_servers_send() {
    let mut wire = BytesMut::from(
        &b"+ idling\r\n* OK [UNSEEN 12] hello {5}!\r\n* LIST (\\X) \"/\" {3}\r\na b\r\n* SEARCH 1 007\r\n\
           * 5 FETCH (X-GM-LABELS (\"a\" b) MODSEQ (12))\r\na OK\r\nb XX\r\n"[..],
    );
    let mut reader = ResponseReader::new(100);
    let mut next = || reader.next(&mut wire);
    assert_eq!(next(), Ok(Some(ServerResponse::Continuation("idling".into()))));
    let hello = next().expect("read").expect("complete");
    assert_eq!(hello.code("unseen"), Some(&[Value::Number(12)][..]));
    let list = next().expect("read").expect("complete");
    assert_eq!(list.data("LIST").expect("LIST")[2], Value::String("a b".into()));
    let search = next().expect("read").expect("complete");
    assert_eq!(search.data("SEARCH").expect("SEARCH")[1], Value::Atom("007".into()));
    let fetch = next().expect("read").expect("complete");
    let labels = fetch.fetch().expect("FETCH").item("X-GM-LABELS").expect("labels");
    assert_eq!(labels.list().map(<[Value]>::len), Some(2));
    assert_eq!(next().expect("read").expect("complete").tagged("a"), Some(Status::Ok));
    assert!(matches!(next(), Err(ReadError::Parse(_))));
    let mut large = BytesMut::from(&b"* 1 FETCH (BODY[] {101}\r\n"[..]);
    assert_eq!(ResponseReader::new(100).next(&mut large), Err(ReadError::TooLarge));
}

#[test]
fn results_and_what_has_vanished() {
    let tag = Tag::new("A01").expect("a tag");
    let ids = [IdRange { first: 2, last: 2 }, IdRange { first: 10, last: 11 }];
    let check = |found: ESearch<'_>, expected: &str| {
        check(|out| Response::ESearch(found).encode(out), &format!("* ESEARCH{expected}\r\n"));
    };
    check(ESearch::default(), "");
    check(ESearch { tag: Some(&tag), uid: true, ..ESearch::default() }, " (TAG \"A01\") UID");
    let some = ESearch { min: Some(2), max: Some(11), count: Some(3), ..ESearch::default() };
    check(some, " MIN 2 MAX 11 COUNT 3");
    check(
        ESearch { all: &ids, mod_seq: Some(9), ..some },
        " MIN 2 MAX 11 ALL 2,10:11 COUNT 3 MODSEQ 9",
    );
    let range = PartialRange { first: 1, last: 100, from_end: true };
    let part = |ids| ESearch { partial: Some((range, ids)), ..ESearch::default() };
    check(part(&ids), " PARTIAL (-1:-100 2,10:11)");
    check(part(&[]), " PARTIAL (-1:-100 NIL)");
    for (len, first, last, from_end, expect) in [
        (10, 1, 3, false, 0..3),
        (10, 9, 30, false, 8..10),
        (10, 11, 30, false, 10..10),
        (10, 1, 3, true, 7..10),
        (10, 9, 30, true, 0..2),
        (10, 11, 30, true, 0..0),
        (0, 1, 1, true, 0..0),
    ] {
        assert_eq!(PartialRange { first, last, from_end }.places(len), expect);
    }
    let vanished = |earlier| Response::Vanished { earlier, uids: &ids };
    let told = |earlier, expected: &str| {
        let mut out = BytesMut::new();
        vanished(earlier).encode(&mut out);
        assert_eq!(&out[..], expected.as_bytes());
        read(&mut out)
    };
    told(true, "* VANISHED (EARLIER) 2,10:11\r\n");
    told(false, "* VANISHED 2,10:11\r\n");
    for (code, expected) in [
        (Code::HighestModSeq(715194045007), "HIGHESTMODSEQ 715194045007"),
        (Code::Modified(&ids), "MODIFIED 2,10:11"),
    ] {
        let response =
            StatusResponse { tag: None, status: Status::Ok, code: Some(code), text: "n" };
        let mut out = BytesMut::new();
        response.encode(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("* OK [{expected}] n\r\n"));
    }
    let mut out = BytesMut::new();
    let mut fetch = FetchWriter::begin(&mut out, 1);
    fetch.uid(&mut out, 4);
    fetch.mod_seq(&mut out, 65402);
    fetch.finish(&mut out);
    assert_eq!(&out[..], b"* 1 FETCH (UID 4 MODSEQ (65402))\r\n");
    let mut out = BytesMut::new();
    let mut fetch = FetchWriter::begin_uid(&mut out, 25996);
    fetch.binary_size(&mut out, &[1, 2], 7);
    fetch.binary_nil(&mut out, &[3], Some(4));
    fetch.binary_header(&mut out, &[], None, 3);
    out.extend_from_slice(b"a\0b");
    fetch.finish(&mut out);
    let expected =
        b"* 25996 UIDFETCH (BINARY.SIZE[1.2] 7 BINARY[3]<4> NIL BINARY[] ~{3}\r\na\0b)\r\n";
    assert_eq!(&out[..], &expected[..]);
    // Names as the client has them.
    let list = |names, expected: &str| {
        let mut out = BytesMut::new();
        let name = "Entw\u{fc}rfe \"&\"";
        let item = ListItem { attributes: &[], delimiter: None, name, child_info: &[] };
        Response::List(item).encode_with(&mut out, names);
        assert_eq!(String::from_utf8_lossy(&out), format!("* LIST () NIL {expected}\r\n"));
    };
    list(Names::Utf7, "\"Entw&APw-rfe \\\"&-\\\"\"");
    list(Names::Utf8, "\"Entw\u{fc}rfe \\\"&\\\"\"");
    for (response, expected) in [
        (Response::MyRights("\u{fc}", Rights::of("lr")), "MYRIGHTS \"\u{fc}\" lr"),
        (Response::Acl("\u{fc}", &[]), "ACL \"\u{fc}\""),
        (Response::ListRights("\u{fc}", "a", &[]), "LISTRIGHTS \"\u{fc}\" a"),
        (Response::QuotaRoot("\u{fc}", &[]), "QUOTAROOT \"\u{fc}\""),
    ] {
        let mut out = BytesMut::new();
        response.encode_with(&mut out, Names::Utf8);
        assert_eq!(String::from_utf8_lossy(&out), format!("* {expected}\r\n"));
    }
}

#[test]
fn quotas_and_rights() {
    let mut resources = vec![QuotaResource { name: "STORAGE", usage: 10, limit: 512 }];
    let print = |response: Response<'_>, expected: &str| {
        check(|out| response.encode(out), expected);
    };
    print(Response::Quota("", &resources), "* QUOTA \"\" (STORAGE 10 512)\r\n");
    resources.push(QuotaResource { name: "MESSAGE", usage: 1, limit: 2 });
    print(Response::Quota("a b", &resources), "* QUOTA \"a b\" (STORAGE 10 512 MESSAGE 1 2)\r\n");
    print(Response::QuotaRoot("INBOX", &[""]), "* QUOTAROOT INBOX \"\"\r\n");
    print(Response::QuotaRoot("comp.mail.mime", &[]), "* QUOTAROOT \"comp.mail.mime\"\r\n");
    let entries =
        [("Fred".to_owned(), Rights::of("rwipslxetad")), ("a\r\nb".to_owned(), Rights::NONE)];
    print(Response::Acl("INBOX", &entries[..1]), "* ACL INBOX Fred lrswipxtead\r\n");
    // Whatever an identifier is, it stays in its place.
    print(Response::Acl("INBOX", &entries[1..]), "* ACL INBOX {4}\r\na\r\nb \"\"\r\n");
    let groups = [Rights::of("la"), Rights::of("r"), Rights::of("sw")];
    print(
        Response::ListRights("~/Mail/saved", "smith", &groups),
        "* LISTRIGHTS \"~/Mail/saved\" smith la r sw\r\n",
    );
    print(
        Response::MyRights("INBOX", Rights::of("rwiptsldaex")),
        "* MYRIGHTS INBOX lrswipxtead\r\n",
    );
}

#[test]
fn sorted_and_threaded() {
    let print = |response: Response<'_>, expected: &str| {
        check(|out| response.encode(out), &format!("* {expected}\r\n"));
    };
    print(Response::Sort(&[2, 84, 882], None), "SORT 2 84 882");
    print(Response::Sort(&[], None), "SORT");
    let mut out = BytesMut::new();
    Response::Sort(&[7, 2], Some(917162488)).encode(&mut out);
    assert_eq!(&out[..], b"* SORT 7 2 (MODSEQ 917162488)\r\n");
    // Each node as its depth and number; 0 is a missing message.
    let thread = |nodes: &[(u32, u32)], expected: &str| {
        let node = |&(depth, id): &(u32, u32)| ThreadNode { depth, id: (id > 0).then_some(id) };
        let nodes: Vec<ThreadNode> = nodes.iter().map(node).collect();
        print(Response::Thread(&nodes), expected);
    };
    thread(&[], "THREAD");
    // The examples of RFC 5256 §4.
    let forked = [(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)];
    thread(&forked, "THREAD (2)(3 6 (4 23)(44 7 96))");
    thread(&[(0, 0), (1, 3), (1, 5)], "THREAD ((3)(5))");
    thread(&[(0, 166), (0, 167), (0, 168)], "THREAD (166)(167)(168)");
    thread(&[(0, 1), (1, 2), (1, 3), (0, 4)], "THREAD (1 (2)(3))(4)");
    thread(&[(0, 0), (1, 1), (2, 2), (3, 3), (3, 4), (1, 5), (2, 6)], "THREAD ((1 2 (3)(4))(5 6))");
    let chain: Vec<(u32, u32)> = (0..100_000).map(|depth| (depth, depth + 1)).collect();
    let node = |&(depth, id): &(u32, u32)| ThreadNode { depth, id: Some(id) };
    let nodes: Vec<ThreadNode> = chain.iter().map(node).collect();
    let mut out = BytesMut::new();
    Response::Thread(&nodes).encode(&mut out);
    assert!(out.starts_with(b"* THREAD (1 2 3 ") && out.ends_with(b" 100000)\r\n"));
}
