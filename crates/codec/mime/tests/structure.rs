//! Which parts a message has and where they lie.

use codec_mime::{ParsedMessage, Part, PartKind, SectionKind, fuzzing, parse};

/// The tree in one line: types, and for each leaf its body.
fn tree(part: &Part, data: &[u8]) -> String {
    let kind = part.content_type.media_type();
    match &part.kind {
        PartKind::Leaf => {
            let body = &data[part.body.start as usize..part.body.end as usize];
            format!("{kind} {:?}", String::from_utf8_lossy(body))
        }
        PartKind::Multipart(children) => {
            let children: Vec<String> = children.iter().map(|child| tree(child, data)).collect();
            format!("{kind} [{}]", children.join(", "))
        }
        PartKind::Message { part, .. } => format!("{kind} ({})", tree(part, data)),
    }
}

/// Parses `text` with CRLF line ends, checks all invariants, and compares the tree.
fn check(text: &str, expected: &str) -> ParsedMessage {
    let data = text.replace('\n', "\r\n").into_bytes();
    fuzzing::scanner(&data);
    fuzzing::scanner(text.as_bytes());
    let message = parse(&data);
    assert_eq!(tree(&message.root, &data), expected, "for {text:?}");
    message
}

#[test]
fn messages_without_multipart() {
    check("", "text/plain \"\"");
    check("\nbody\n", "text/plain \"body\\r\\n\"");
    check("Subject: x\n\nbody", "text/plain \"body\"");
    check("Subject: x\n", "text/plain \"\"");
    check("Subject: only a header", "text/plain \"\"");
    check("no header at all\n\nbody\n", "text/plain \"body\\r\\n\"");
    check("From x Mon Jan 1\nSubject: y\n\nbody\n", "text/plain \"body\\r\\n\"");
    check("Content-Type: text/html\n\n<p>\n", "text/html \"<p>\\r\\n\"");
    check("CONTENT-type : Text/HTML\n\n<p>\n", "text/html \"<p>\\r\\n\"");
    // RFC 2045 §5.2: what cannot be understood is plain text.
    check("Content-Type: html\n\n<p>\n", "text/plain \"<p>\\r\\n\"");
    check("Content-Type:\n\nx", "text/plain \"x\"");
    // The first of two counts.
    check("Content-Type: text/a\nContent-Type: text/b\n\nx", "text/a \"x\"");
}

#[test]
fn multiparts() {
    check(
        "Content-Type: multipart/mixed; boundary=\"b\"\n\npreamble\n--b\n\none\n--b\nContent-Type: \
         text/html\n\ntwo\n\n--b--\nepilogue\n--b\n\nnot a part\n",
        "multipart/mixed [text/plain \"one\", text/html \"two\\r\\n\"]",
    );
    // An empty part, and one whose header never ends.
    check(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\nContent-Type: text/html\n--b--\n",
        "multipart/mixed [text/plain \"\", text/html \"\"]",
    );
    // No terminator, no last line end.
    check(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo",
        "multipart/mixed [text/plain \"one\", text/plain \"two\"]",
    );
    // White space after a delimiter is padding.
    check(
        "Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--b--  \n",
        "multipart/mixed [text/plain \"one\"]",
    );
    // A delimiter as the last octets, without a line end.
    check(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--",
        "multipart/mixed [text/plain \"one\"]",
    );
    check("Content-Type: multipart/mixed; boundary=b\n\n--b", "multipart/mixed [text/plain \"\"]");
}

#[test]
fn nested_multiparts() {
    check(
        "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: \
         multipart/alternative; boundary=in\n\n--in\n\na\n--in\nContent-Type: \
         text/html\n\nb\n--in--\n\n--out\n\nc\n--out--\n",
        "multipart/mixed [multipart/alternative [text/plain \"a\", text/html \"b\"], text/plain \
         \"c\"]",
    );
    // The inner one is not closed: the outer delimiter does.
    check(
        "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: \
         multipart/alternative; boundary=in\n\n--in\n\na\n--out\n\nc\n--out--\n",
        "multipart/mixed [multipart/alternative [text/plain \"a\"], text/plain \"c\"]",
    );
    // The inner delimiter is at once followed by the outer one.
    check(
        "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/x; \
         boundary=in\n\n--in\n--out--\n",
        "multipart/mixed [multipart/x [text/plain \"\"]]",
    );
}

#[test]
fn strange_boundaries() {
    // One begins like the other, both ways round (attack 39).
    for (out, inner) in [("ab", "abc"), ("abc", "ab"), ("ab", "ab--"), ("ab--", "ab")] {
        check(
            &format!(
                "Content-Type: multipart/mixed; boundary=\"{out}\"\n\n--{out}\nContent-Type: \
                 multipart/mixed; boundary=\"{inner}\"\n\n--{inner}\n\nx\n--{out}\n\ny\n"
            ),
            if out == "ab--" {
                // `--ab--` closes the inner one, by the innermost-first rule: no second part.
                "multipart/mixed [multipart/mixed [text/plain \"x\"]]"
            } else {
                "multipart/mixed [multipart/mixed [text/plain \"x\"], text/plain \
                 \"y\\r\\n\"]"
            },
        );
    }
    // Empty, missing, or in a comment only: no multipart.
    for kind in ["; boundary=\"\"", "; boundary=", "", " (boundary=b)", "; boundary=\" \""] {
        check(
            &format!("Content-Type: multipart/mixed{kind}\n\n--b\n\nx\n--b--\n"),
            "text/plain \"--b\\r\\n\\r\\nx\\r\\n--b--\\r\\n\"",
        );
    }
    check(
        "Content-Type: multipart/mixed (boundary=evil); boundary=b\n\n--evil\n--b\n\nx\n--b--\n",
        "multipart/mixed [text/plain \"x\"]",
    );
    check(
        "Content-Type: multipart/mixed;\n boundary*0=a;\n boundary*1=b\n\n--ab\n\nx\n--ab--\n",
        "multipart/mixed [text/plain \"x\"]",
    );
    // Declared but never used.
    check("Content-Type: multipart/mixed; boundary=b\n\ntext\n", "text/plain \"text\\r\\n\"");
    // Too long to be one.
    let long = "x".repeat(500);
    check(
        &format!("Content-Type: multipart/mixed; boundary={long}\n\n--{long}\n"),
        &format!("text/plain \"--{long}\\r\\n\""),
    );
    // Long lines that begin like a delimiter.
    check(
        &format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b{long}\n--b--\n"),
        &format!("multipart/mixed [text/plain \"--b{long}\"]"),
    );
}

#[test]
fn embedded_messages() {
    let message = check(
        "Content-Type: multipart/mixed; boundary=b\nSubject: outer\n\n--b\nContent-Type: \
         message/rfc822\n\nSubject: inner\nFrom: a@b\nContent-Type: multipart/mixed; \
         boundary=c\n\n--c\n\none\n--c--\n--b\nContent-Type: message/rfc822\n\nSubject: \
         plain\n\nbody\n--b--\n",
        "multipart/mixed [message/rfc822 (multipart/mixed [text/plain \"one\"]), message/rfc822 \
         (text/plain \"body\")]",
    );
    let PartKind::Message { envelope, part } = &message.part(&[1]).unwrap().kind else { panic!() };
    assert_eq!(envelope.subject.as_deref(), Some(&b"inner"[..]));
    assert_eq!(envelope.from, envelope.reply_to);
    assert_eq!(message.envelope.subject.as_deref(), Some(&b"outer"[..]));
    assert_eq!(message.section(&[1], SectionKind::Header), Some(part.header.clone()));
    let paths: Vec<Vec<u32>> = message.parts().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [vec![1], vec![1, 1], vec![2], vec![2, 1]]);
    // A digest's parts are messages unless they say otherwise (RFC 2046 §5.1.5).
    check(
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b\nContent-Type: \
         text/plain\n\nz\n--b\n--b--\n",
        "multipart/digest [message/rfc822 (text/plain \"y\"), text/plain \"z\", message/rfc822 \
         (text/plain \"\")]",
    );
    check(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAo=\n",
        "application/octet-stream \"U3ViamVjdDogeAo=\\r\\n\"",
    );
    check("Content-Type: message/global\n\nA: b\n\nc", "message/global (text/plain \"c\")");
    check("Content-Type: message/rfc822\n", "message/rfc822 (text/plain \"\")");
}

#[test]
fn sections_are_exact_octets() {
    let data = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\
                Content-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
                Subject: in\r\n\r\ninner\r\n--b--\r\nepi\r\n";
    let message = parse(data.as_bytes());
    let section = |path: &[u32], kind| {
        message.section(path, kind).map(|range| &data[range.start as usize..range.end as usize])
    };
    use SectionKind::{Header, Mime, Text, Whole};
    assert_eq!(section(&[], Whole), Some(data));
    assert_eq!(
        section(&[], Header),
        Some("Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
    );
    assert!(section(&[], Text).unwrap().starts_with("pre\r\n--b\r\n"));
    assert!(section(&[], Text).unwrap().ends_with("--b--\r\nepi\r\n"));
    assert_eq!(section(&[], Mime), None);
    assert_eq!(section(&[1], Whole), Some("one"));
    assert_eq!(section(&[1], Mime), Some("Content-Type: text/plain\r\n\r\n"));
    assert_eq!(section(&[1], Header), None);
    assert_eq!(section(&[1, 1], Whole), None);
    assert_eq!(section(&[2], Whole), Some("Subject: in\r\n\r\ninner"));
    assert_eq!(section(&[2], Mime), Some("Content-Type: message/rfc822\r\n\r\n"));
    assert_eq!(section(&[2], Header), Some("Subject: in\r\n\r\n"));
    assert_eq!(section(&[2], Text), Some("inner"));
    assert_eq!(section(&[2, 1], Whole), Some("inner"));
    assert_eq!(section(&[2, 1], Mime), Some("Subject: in\r\n\r\n"));
    for absent in [&[0][..], &[3], &[u32::MAX], &[2, 2], &[2, 1, 1], &[0, 1]] {
        for kind in [Whole, Header, Text, Mime] {
            assert_eq!(section(absent, kind), None, "{absent:?}");
        }
    }
    assert_eq!(message.part(&[2]).unwrap().lines, 2);
    assert_eq!(message.part(&[1]).unwrap().lines, 0);
    assert_eq!(message.header_end(), data.find("pre").unwrap() as u64);
    // A message without multipart is its own part 1.
    let single = parse(b"Subject: x\r\n\r\nbody\r\n");
    assert_eq!(single.section(&[1], Whole), Some(14..20));
    assert_eq!(single.section(&[1], Mime), Some(0..14));
    assert_eq!(single.section(&[2], Whole), None);
}

#[test]
fn attachments_and_previews() {
    let part = |header: &str| format!("--b\n{header}\n\nx\n");
    let message = |kind: &str, parts: &[&str]| {
        let parts: String = parts.iter().map(|header| part(header)).collect();
        let text = format!("Content-Type: multipart/{kind}; boundary=b\n\n{parts}--b--\n");
        parse(text.replace('\n', "\r\n").as_bytes())
    };
    let text = "Content-Type: text/plain";
    let html = "Content-Type: text/html";
    let image = "Content-Type: image/png\nContent-ID: <i>";
    let inline = "Content-Type: image/png\nContent-ID: <i>\nContent-Disposition: inline";
    let named = "Content-Type: text/plain; name*0=\"a.txt\"";
    let attached = "Content-Type: text/plain\nContent-Disposition: ATTACHMENT";
    let signature = "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"";
    let table: [(&str, &[&str], bool); 8] = [
        ("alternative", &[text, html], false),
        ("related", &[html, image], false),
        ("related", &[html, inline], false),
        ("mixed", &[text, image], true),
        ("mixed", &[text, named], true),
        ("mixed", &[text, attached], true),
        ("mixed", &[text, "Content-Type: message/rfc822"], true),
        ("signed", &[text, signature], false),
    ];
    for (kind, parts, expected) in table {
        assert_eq!(message(kind, parts).has_attachments(), expected, "{kind} {parts:?}");
    }
    let preview = |parts: &[&str]| {
        let message = message("mixed", parts);
        message.preview_part().map(|part| part.content_type.media_type())
    };
    assert_eq!(preview(&[html, text]).as_deref(), Some("text/plain"));
    assert_eq!(preview(&[attached, html]).as_deref(), Some("text/html"));
    assert_eq!(preview(&[image]), None);
}

#[test]
fn shifting_moves_offsets_only() {
    let data = b"Subject: x\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz";
    let message = parse(data);
    let moved = message.clone().shifted(100);
    assert_eq!(moved.size_bytes, message.size_bytes + 100);
    assert_eq!(moved.root.header, 0..message.root.header.end + 100);
    assert_eq!(moved.envelope, message.envelope);
    let inner = message.section(&[1], SectionKind::Text).unwrap();
    let moved_inner = moved.section(&[1], SectionKind::Text).unwrap();
    assert_eq!(moved_inner, inner.start + 100..inner.end + 100);
}
