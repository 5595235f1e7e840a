//! Attack cases: whatever comes in, what is kept stays within the limits.

use codec_mime::generate::{self, Shape};
use codec_mime::limits::{
    ADDRESSES, AUTHORS, DEPTH, KEPT_BYTES, PARAMETERS, PARTS, ROOT_HEADER_BYTES,
};
use codec_mime::{
    Limits, ParsedMessage, Part, PartKind, Scanner, SectionKind, encoded_word, filename, fuzzing,
    header,
};

/// Parses, and asserts that never more than the budgets was held.
fn scan(data: &[u8]) -> ParsedMessage {
    let mut scanner = Scanner::new(Limits::default());
    for chunk in data.chunks(16 * 1024) {
        scanner.push(chunk);
        // Kept values, the raw root header, and one line.
        assert!(scanner.held_bytes() <= KEPT_BYTES + 2 * ROOT_HEADER_BYTES);
    }
    let message = scanner.finish();
    fuzzing::check(&message, data);
    message
}

fn count(part: &Part) -> usize {
    1 + match &part.kind {
        PartKind::Leaf => 0,
        PartKind::Multipart(children) => children.iter().map(count).sum(),
        PartKind::Message { part, .. } => count(part),
    }
}

fn depth(part: &Part) -> usize {
    1 + match &part.kind {
        PartKind::Leaf => 0,
        PartKind::Multipart(children) => children.iter().map(depth).max().unwrap_or(0),
        PartKind::Message { part, .. } => depth(part),
    }
}

#[test]
fn attack_09_half_a_million_address_lines() {
    let data = generate::to_vec(1, Shape::AddressFlood { lines: 500_000 });
    let message = scan(&data);
    assert!(message.truncated);
    assert!(message.envelope.to.len() <= ADDRESSES);
    assert!(message.envelope.to.len() > 5_000);
    // The fields after the flood that give the structure are still seen.
    assert!(message.root.content_type.is("text", "plain"));
    assert_eq!(message.root.content_type.param("charset").unwrap(), "utf-8");
    // Empty fields cost budget too; authors are few; one line may be endless.
    let empty = "To:\r\n".repeat(200_000);
    assert!(scan(empty.as_bytes()).truncated);
    let authors = format!("From: {}\r\n\r\n", "a@b,".repeat(30_000));
    assert_eq!(scan(authors.as_bytes()).envelope.reply_to.len(), AUTHORS);
    let endless = format!("Subject: {}", "x".repeat(3_000_000));
    let message = scan(endless.as_bytes());
    assert!(message.truncated && message.envelope.subject.unwrap().len() <= ROOT_HEADER_BYTES);
}

#[test]
fn attack_10_a_hundred_thousand_parameters() {
    let message = scan(&generate::to_vec(1, Shape::ParameterFlood { count: 100_000 }));
    assert!(message.truncated);
    assert_eq!(message.root.content_type.params.len(), PARAMETERS);
    assert_eq!(message.root.filename().unwrap(), "A".repeat(PARAMETERS));
}

#[test]
fn attack_27_deep_nesting() {
    let message = scan(&generate::to_vec(1, Shape::NestedMultiparts { depth: 10_000 }));
    assert!(message.truncated);
    assert_eq!(depth(&message.root), DEPTH);
    let mut data = Vec::new();
    for _ in 0..1_000 {
        data.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\n");
    }
    let message = scan(&data);
    assert!(message.truncated);
    assert_eq!(depth(&message.root), DEPTH);
    round_trip_on_a_small_stack(message);
    // A path as long as it likes finds nothing and stops at the first gap.
    let deep = scan(&generate::to_vec(2, Shape::NestedMultiparts { depth: 10_000 }));
    assert_eq!(deep.part(&vec![1; 10_000]), None);
    round_trip_on_a_small_stack(deep);
}

/// Encoding, decoding, comparing and dropping recurse; all must fit into a worker's stack, half of
/// which others use.
fn round_trip_on_a_small_stack(message: ParsedMessage) {
    let work = move || {
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(&message, config).unwrap();
        let (back, read): (ParsedMessage, usize) =
            bincode::serde::decode_from_slice(&bytes, config).unwrap();
        assert_eq!((&back, read), (&message, bytes.len()));
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn attack_26_sections_as_deep_as_one_likes() {
    let deep = scan(&generate::to_vec(2, Shape::NestedMultiparts { depth: 10_000 }));
    let mut existing = 0;
    for levels in [0, 1, 2, DEPTH - 2, DEPTH, 10_000, 1_000_000] {
        for number in [0, 1, 2, u32::MAX] {
            for kind in [SectionKind::Whole, SectionKind::Header, SectionKind::Mime] {
                let Some(range) = deep.section(&vec![number; levels], kind) else { continue };
                assert!(range.start <= range.end && range.end <= deep.size_bytes);
                assert!(levels <= DEPTH, "deeper than what was kept");
                existing += 1;
            }
        }
    }
    assert!(existing > 0);
}

#[test]
fn attack_39_a_million_parts() {
    let message = scan(&generate::to_vec(1, Shape::PartFlood { count: 1_000_000 }));
    assert!(message.truncated);
    assert_eq!(count(&message.root), PARTS);
    // Embedded messages count as well.
    let digest = format!(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n{}",
        "--b\r\n\r\n\r\n".repeat(9_000)
    );
    let message = scan(digest.as_bytes());
    assert!(message.truncated);
    assert_eq!(count(&message.root), PARTS);
    // A hundred boundaries open, and every line a near miss of all.
    let mut data = String::new();
    for level in 0..99 {
        data += &format!(
            "Content-Type: multipart/mixed; boundary={}{level:02}\r\n\r\n",
            "b".repeat(60)
        );
        data += &format!("--{}{level:02}\r\n", "b".repeat(60));
    }
    data += &format!("\r\n{}", format!("--{}xx\r\n", "b".repeat(60)).repeat(20_000));
    assert_eq!(depth(&scan(data.as_bytes()).root), DEPTH);
}

#[test]
fn attack_39_headers_of_all_parts_share_a_budget() {
    let part = format!("--b\r\nContent-Description: {}\r\n\r\n", "x".repeat(10_000));
    let data = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(1_000));
    let message = scan(data.as_bytes());
    assert!(message.truncated);
    let kept: usize = message
        .parts()
        .iter()
        .map(|(_, part)| part.description.as_ref().map_or(0, |text| text.len()))
        .sum();
    assert!(kept <= KEPT_BYTES);
    assert_eq!(count(&message.root), 1_001);
}

#[test]
fn attack_40_encoded_word_floods() {
    for piece in ["=?", "=?a?q?", "=?utf-8?q?x", "=?a?x?aaaa", "=?utf-8?b?4p?= ", "=?utf-8?q?=0D?="]
    {
        let flood = piece.repeat(100_000);
        let text = encoded_word::decode(flood.as_bytes());
        assert!(text.len() <= 3 * flood.len(), "{piece}");
        assert!(!text.contains(['\r', '\n', '\0']), "{piece}");
        encoded_word::decode(format!("{flood}?=").as_bytes());
    }
    let hostile = b"=?utf-8?q?Hi=0D=0ABcc:_victim@x=0D=0A=00=1B?=";
    assert_eq!(encoded_word::decode(hostile), "Hi  Bcc: victim@x    ");
    assert_eq!(encoded_word::decode(b"=?utf-8?b?4oI?= =?utf-8?b?rA?="), "€");
}

#[test]
fn attack_46_attachment_names() {
    let table = [
        ("..\\..\\a", "a"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\b.txt", "b.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1", "_com1"),
        ("COM¹.x", "_COM¹.x"),
        ("lpt9 .txt", "_lpt9 .txt"),
        ("COM10", "COM10"),
        ("console", "console"),
        ("", "attachment"),
        ("..", "attachment"),
        ("/", "attachment"),
        ("\u{202e}gpj.exe", "gpj.exe"),
        ("a\u{200b}b\u{feff}", "ab"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie_ x"),
        ("a\0b", "ab"),
        (".htaccess", "htaccess"),
        ("a. . ", "a"),
        ("a<b>|?*\".txt", "a_b_____.txt"),
        ("Ünïcode 日本.pdf", "Ünïcode 日本.pdf"),
    ];
    for (raw, expected) in table {
        assert_eq!(filename::safe(raw), expected, "for {raw:?}");
    }
    let long = filename::safe(&format!("{}.pdf", "日".repeat(10_000)));
    assert!(long.len() <= 200 && long.ends_with("日.pdf"));
    let message = scan(
        b"Content-Type: a/b\r\nContent-Disposition: attachment; \
          filename*=utf-8''..%5C..%5Ca%0D%0AX:%20y%E2%80%AE\r\n\r\n",
    );
    assert_eq!(message.root.safe_filename(), "aX_ y".replace("aX", "a  X"));
}

#[test]
fn header_walks_are_bounded() {
    // Junk without colons, endless folding.
    for piece in ["x\r\n", " \r\n", ":\r\n", "\n", "\r"] {
        let flood = format!("A: b\r\n{}", piece.repeat(200_000));
        fuzzing::headers(flood.as_bytes());
        assert!(header::fields(flood.as_bytes()).count() <= 200_001);
    }
    fuzzing::addresses("(".repeat(1_000_000).as_bytes());
    fuzzing::addresses("a:".repeat(100_000).as_bytes());
    fuzzing::addresses("<@".repeat(100_000).as_bytes());
    fuzzing::addresses("a@b \"\\".repeat(100_000).as_bytes());
}

#[test]
fn no_limit_hides_where_the_header_ends() {
    let none = Limits {
        parts: 0,
        depth: 0,
        root_header_bytes: 0,
        part_header_bytes: 0,
        content_field_bytes: 0,
        kept_bytes: 0,
        addresses: 0,
        parameters: 0,
    };
    let mut scanner = Scanner::new(none);
    scanner.push(b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx");
    let message = scanner.finish();
    assert!(message.truncated && message.envelope.subject.is_none());
    assert_eq!((message.root.header, message.root.body), (0..57, 57..65));
}
