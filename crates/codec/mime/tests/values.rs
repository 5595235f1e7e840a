//! Envelopes, addresses, parameters, dates, ids and header filters.

use bytes::Bytes;
use codec_mime::address::parse_list;
use codec_mime::header::{self, Keep};
use codec_mime::{Address, Part, SentAt, date, message_id, params, parse};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// One address per `name|route|mailbox|host`, `-` for absent; groups as `name:` and `;`.
fn shown(list: &[Address]) -> String {
    let field = |field: &Option<Bytes>| field.as_ref().map_or("-", |field| text(field)).to_owned();
    let shown: Vec<String> = list
        .iter()
        .map(|address| match address {
            Address::Mailbox { name, route, mailbox, host } => {
                format!("{}|{}|{}|{}", field(name), field(route), text(mailbox), text(host))
            }
            Address::GroupStart(name) => format!("{}:", text(name)),
            Address::GroupEnd => ";".to_owned(),
        })
        .collect();
    shown.join(" ")
}

#[test]
fn addresses() {
    let table = [
        ("", ""),
        ("a@b.c", "-|-|a|b.c"),
        ("Pat Smith <p@x.org>, q@y", "Pat Smith|-|p|x.org -|-|q|y"),
        ("\"Smith, Pat\" <p@x>", "Smith, Pat|-|p|x"),
        ("\"a \\\"b\\\" c\" <p@x>", "a \"b\" c|-|p|x"),
        ("John Q. Public <j@x>", "John Q. Public|-|j|x"),
        ("a@b (Old Name)", "Old Name|-|a|b"),
        ("(before) a@b", "before|-|a|b"),
        ("Name (comment) <a@b>", "Name|-|a|b"),
        ("<a@b> (Late)", "Late|-|a|b"),
        ("<@r1,@r2:a@b>", "-|@r1,@r2|a|b"),
        ("x <@r1:a@b>, c@d", "x|@r1|a|b -|-|c|d"),
        ("friends: a@b, C <c@d>;, e@f", "friends: -|-|a|b C|-|c|d ; -|-|e|f"),
        ("undisclosed-recipients:;", "undisclosed-recipients: ;"),
        ("open: a@b", "open: -|-|a|b ;"),
        ("g: h: a@b;", "g: -|-|h| -|-|a|b ;"),
        // Broken ones.
        ("root", "-|-|root|"),
        ("root, a@b", "-|-|root| -|-|a|b"),
        ("a@", "-|-|a|"),
        ("@b", "-|-||b"),
        ("<@b>", "-|-||b"),
        ("Foo <>", "Foo|-||"),
        ("<>", ""),
        (",,;,", ""),
        ("a@b <c@d>", "a@b|-|c|d"),
        ("a@b@c, d@e", "-|-|a|b -|-|d|e"),
        ("<\"a@b\"@c>", "-|-|a@b|c"),
        ("\"no end <a@b>", "-|-|no end <a@b>|"),
        ("(no end a@b", ""),
        ("x <a@b, c@d", "x|-|a|b -|-|c|d"),
        ("a@[127.0.0.1]", "-|-|a|[127.0.0.1]"),
        ("\"a b\".c@d", "-|-|a b.c|d"),
        ("=?utf-8?q?G=C3=BC?= x <a@b>", "=?utf-8?q?G=C3=BC?= x|-|a|b"),
        ("a@b junk, c@d", "-|-|a|b -|-|c|d"),
        ("> a@b", "-|-|a|b"),
    ];
    for (value, expected) in table {
        let (list, more) = parse_list(&Bytes::from(value), usize::MAX);
        assert_eq!(shown(&list), expected, "for {value:?}");
        assert!(!more);
    }
    let (list, more) = parse_list(&Bytes::from("a@b, c@d, e@f"), 2);
    assert_eq!((list.len(), more), (2, true));
    let (list, _) = parse_list(&Bytes::from("=?utf-8?q?G=C3=BC?= <a@b>, c"), 9);
    assert_eq!(list[0].display_name().as_deref(), Some("Gü"));
    assert_eq!(list[0].email().as_deref(), Some("a@b"));
    assert_eq!(list[1].email(), None);
    assert_eq!(list[1].imap_fields()[3].map(|host| host.len()), Some(0));
}

#[test]
fn envelopes() {
    let message = parse(
        b"From: A <a@x>\r\nTo: b@x\r\nto: c@x,\r\n\td@x\r\nSubject: one\r\n  two\0\r\nSubject: \
          later\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m@x>\r\nIn-Reply-To: \
          <r@x>\r\nReferences: <p@x>\r\n <q@x> <r@x>\r\nBcc:\r\nThread-Index: AdabC=\r\n\r\n",
    );
    let envelope = &message.envelope;
    assert_eq!(envelope.subject.as_deref().map(text), Some("one  two"));
    assert_eq!(shown(&envelope.from), "A|-|a|x");
    assert_eq!(envelope.sender, envelope.from);
    assert_eq!(envelope.reply_to, envelope.from);
    assert_eq!(shown(&envelope.to), "-|-|b|x -|-|c|x -|-|d|x");
    assert!(envelope.cc.is_empty() && envelope.bcc.is_empty());
    assert_eq!(envelope.date.as_deref().map(text), Some("Mon, 1 Jan 2024 10:00:00 +0100"));
    assert_eq!(envelope.message_id.as_deref().map(text), Some("<m@x>"));
    assert_eq!(envelope.in_reply_to.as_deref().map(text), Some("<r@x>"));
    assert_eq!(message.message_id.as_deref().map(text), Some("m@x"));
    assert_eq!(message.references, ["p@x", "q@x", "r@x"]);
    assert_eq!(message.in_reply_to, ["r@x"]);
    assert_eq!(message.thread_index.as_deref().map(text), Some("AdabC="));
    assert_eq!(message.sent_at.unwrap().unix_seconds, 1_704_099_600);
    assert!(!message.truncated);
}

#[test]
fn part_descriptions() {
    let message = parse(
        b"Content-Type: Application/PDF (x); Name=\"a b.pdf\"; x=y z; bad; =q; \
          name*0*=utf-8''%E2%82%AC; ;last=\"un\\\"ended\r\nContent-Transfer-Encoding: \
          BASE64\r\nContent-ID: <id@x>\r\nContent-Description: d\r\nContent-MD5: \
          q==\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Language: en, \
          de-DE\r\nContent-Location: http://x/\r\n\r\n",
    );
    let part: &Part = &message.root;
    let params: Vec<(&str, &str)> = part
        .content_type
        .params
        .iter()
        .map(|param| (text(&param.name), text(&param.value)))
        .collect();
    assert_eq!(
        params,
        [("Name", "a b.pdf"), ("x", "y z"), ("name*0*", "utf-8''%E2%82%AC"), ("last", "un\"ended")]
    );
    assert_eq!(text(&part.content_type.main), "Application");
    assert_eq!(text(&part.content_type.sub), "PDF");
    assert_eq!(part.encoding.as_deref(), Some(&b"BASE64"[..]));
    assert_eq!(part.id.as_deref(), Some(&b"<id@x>"[..]));
    assert_eq!(part.description.as_deref(), Some(&b"d"[..]));
    assert_eq!(part.md5.as_deref(), Some(&b"q=="[..]));
    assert_eq!(part.language, ["en", "de-DE"]);
    assert_eq!(part.location.as_deref(), Some(&b"http://x/"[..]));
    let disposition = part.disposition.as_ref().unwrap();
    assert!(disposition.is_attachment());
    assert_eq!(disposition.param("FILENAME").map(|name| text(name)), Some("a.pdf"));
    assert_eq!(part.filename().as_deref(), Some("a.pdf"));
}

#[test]
fn rfc2231_parameters() {
    let table = [
        ("a/b; name=x", Some("x")),
        ("a/b name=x; y=z", Some("x")),
        ("a/b; x=\"y\" name=z", Some("z")),
        ("a/b; junk name=z", None),
        ("a/b; other=x", None),
        ("a/b; name*=utf-8'en'%e2%82%ac%20rates", Some("€ rates")),
        ("a/b; name*=iso-8859-1''%A3", Some("£")),
        ("a/b; name*=no-quotes%41", Some("no-quotesA")),
        ("a/b; name*1=b; name*0=a; name*2=c", Some("abc")),
        ("a/b; name*0*=utf-8''%c3; name*1*=%bc", Some("ü")),
        ("a/b; name*0*=utf-8''%c3%bc; name*1=\"%41\"", Some("ü%41")),
        // A gap ends it; without a beginning the plain one counts.
        ("a/b; name*0=a; name*2=c", Some("a")),
        ("a/b; name*1=b; name=plain", Some("plain")),
        ("a/b; name=plain; name*=utf-8''ext", Some("ext")),
        ("a/b; name*0=a; name*0=b; name*1=c", Some("ac")),
        ("a/b; name=\"=?utf-8?q?=C3=BC?=\"", Some("ü")),
        ("a/b; name*=utf-8''a%0d%0ab%00", Some("a  b ")),
        ("a/b; name*=../../etc''x", Some("x")),
        ("a/b; name*=utf-8''%zz%4", Some("%zz%4")),
        ("a/b; name*99999999999=x; name*x=y", None),
    ];
    for (value, expected) in table {
        let (kind, more) = params::content_type(&Bytes::from(value), 100);
        let decoded = params::decoded(&kind.unwrap().params, "name");
        assert_eq!(decoded.as_deref(), expected, "for {value:?}");
        assert!(!more);
    }
}

#[test]
fn dates() {
    let table = [
        ("Mon, 1 Jan 2024 10:00:00 +0100", Some((1_704_099_600, 60))),
        ("1 Jan 2024 09:00 GMT", Some((1_704_099_600, 0))),
        ("Mon, 01 Jan 24 04:00:00 EST", Some((1_704_099_600, -300))),
        ("Mon Jan  1 09:00:00 2024", Some((1_704_099_600, 0))),
        ("Mon Jan  1 10:00:00 CET 2024", Some((1_704_099_600, 60))),
        ("1-Jan-2024 09:00:00", Some((1_704_099_600, 0))),
        ("Mon, 1 Jan 2024 09:00:00 (comment (nested)) -0000 (UTC)", Some((1_704_099_600, 0))),
        ("Monday, 1 January 2024 09:00:00 Z", Some((1_704_099_600, 0))),
        ("1 Jan 2024 09:00:00.123 +00:00", Some((1_704_099_600, 0))),
        ("1 Jan 2024 09:00:00+0000", Some((1_704_099_600, 0))),
        ("1 Jan 2024 9:00 PM", Some((1_704_142_800, 0))),
        ("1 Jan 2024", Some((1_704_067_200, 0))),
        ("29 Feb 2000 00:00:00 +0000", Some((951_782_400, 0))),
        ("31 Dec 1969 23:59:59 +0000", Some((-1, 0))),
        ("1 Jan 70 00:00:00 A", Some((0, 0))),
        ("1 Jan 103 00:00:00 +0000", Some((1_041_379_200, 0))),
        ("30 Jun 2015 23:59:60 +0000", Some((1_435_708_800, 0))),
        ("29 Feb 1900 00:00:00 +0000", None),
        ("32 Jan 2024", None),
        ("0 Jan 2024", None),
        ("", None),
        ("yesterday", None),
        ("Jan 2024", None),
    ];
    for (value, expected) in table {
        let parsed = date::parse(value.as_bytes()).map(|at| (at.unix_seconds, at.offset_minutes));
        assert_eq!(parsed, expected, "for {value:?}");
    }
    let print = |unix_seconds, offset_minutes| date::print(SentAt { unix_seconds, offset_minutes });
    assert_eq!(print(1_704_099_600, 60), "Mon, 01 Jan 2024 10:00:00 +0100");
    assert_eq!(print(0, -570), "Wed, 31 Dec 1969 14:30:00 -0930");
    assert_eq!(print(951_782_400, 0), "Tue, 29 Feb 2000 00:00:00 +0000");
    assert_eq!(print(i64::MAX, 0), "Fri, 31 Dec 9999 23:59:59 +0000");
}

#[test]
fn message_ids() {
    let table: [(&str, &[&str]); 8] = [
        ("<a@b>", &["a@b"]),
        ("<a@b><c@d>\t<e@f>", &["a@b", "c@d", "e@f"]),
        ("Message of Monday <a@b>", &["a@b"]),
        ("a@b, c@d e", &["a@b", "c@d"]),
        ("<a @b>", &["a@b"]),
        ("<open@b and more", &["open@b"]),
        ("<<a@b>> <>", &["a@b"]),
        ("none", &[]),
    ];
    for (value, expected) in table {
        assert_eq!(message_id::parse_list(&Bytes::from(value), 9), expected, "for {value:?}");
    }
    let many = Bytes::from("<1@x> <2@x> <3@x> <4@x>");
    assert_eq!(message_id::parse_list(&many, 2), ["1@x", "4@x"]);
    assert!(message_id::parse_list(&many, 0).is_empty());
}

#[test]
fn header_fields() {
    let block = b"A: 1\r\nB : 2\r\n folded\r\njunk\r\na:3\r\n\r\nbody: x\r\n";
    let names: Vec<&str> = header::fields(block).map(|field| text(field.name)).collect();
    assert_eq!(names, ["A", "B", "", "a"]);
    assert_eq!(&*header::find(block, b"b").unwrap().text(), b"2 folded");
    let octets = |names: &[&str], keep| -> String {
        let ranges = header::filter(block, names, keep);
        ranges.into_iter().map(|range| text(&block[range])).collect()
    };
    assert_eq!(octets(&["a"], Keep::Listed), "A: 1\r\na:3\r\n\r\n");
    assert_eq!(octets(&["B", "none"], Keep::Listed), "B : 2\r\n folded\r\n\r\n");
    assert_eq!(octets(&["A"], Keep::Unlisted), "B : 2\r\n folded\r\njunk\r\n\r\n");
    assert_eq!(octets(&["x"], Keep::Listed), "\r\n");
    assert_eq!(header::filter(block, &["x"], Keep::Unlisted).len(), 1);
    // No blank line is made up where the header has none.
    assert!(header::filter(b"A: 1\r\n", &["b"], Keep::Listed).is_empty());
    assert_eq!(&*header::unfold(b" a\r\n\tb\rc\0\r\n"), b"a\tb c");
}

#[test]
fn a_header_that_is_still_coming_has_no_length() {
    let check = |text: &str, expect: Option<usize>| {
        for known in 0..=text.len() {
            // What was looked at before had no end.
            if header::length(&text.as_bytes()[..known], 0).is_none() {
                assert_eq!(header::length(text.as_bytes(), known), expect, "{text:?} {known}");
            }
        }
    };
    check("", None);
    check("\r\n", Some(2));
    check("\r\nbody\r\n\r\n", Some(2));
    check("A: b\r\n", None);
    check("A: b\r\n\r", None);
    check("A: b\r\n\r\n", Some(8));
    check("A: b\r\nC: d\r\n\r\nbody\r\n\r\n", Some(14));
}
