//! What is found in documents of all kinds.

use crate::samples::{found, found_in};
use codec_extract::{File, Limits, Outcome, extract};

fn check(name: &str, expect: &str) {
    let found = found_in(name);
    assert_eq!(found.text.trim(), expect, "{name}");
    assert_eq!(found.outcome, Outcome::Whole, "{name}");
    assert!(!found.is_protected && !found.is_program, "{name}");
}

const DOCX: &str = "Top secret pl\u{e4}n <1> second in the header";

#[test]
fn office_open_xml() {
    check("a.docx", DOCX);
    check("a.xlsx", "Salaries Annual payroll 48000.5 inline");
    let slides = "Merger of equals say it slowly Salaries Annual payroll 48000.5 inline";
    check("a.pptx", slides);
}

#[test]
fn open_document() {
    check("a.odt", "Heading Openly secret plan");
}

#[test]
fn pdf() {
    let text = "Quarterly results are f\u{fc}r (uns) Secge";
    check("a.pdf", text);
    check("plain.pdf", text);
    check("objects.pdf", text);
    check("attached.pdf", &format!("{text} {DOCX}"));
}

#[test]
fn rich_text() {
    check("a.rtf", "Secret pl\u{e4}n \u{20ac}5 {x}");
}

#[test]
fn archives() {
    check("a.zip", &format!("in the archive {DOCX} markup"));
    check("a.txt.gz", "once twice");
    let tar = found_in("a.tgz");
    assert_eq!(tar.text.trim(), format!("in the tar no {DOCX}"));
    assert!(tar.is_program, "by its name");
}

#[test]
fn text_of_any_charset() {
    let check = |name: &str, charset: &str, media_type: &str, bytes: &[u8], expect: &str| {
        let file = File { name, charset, media_type, bytes };
        let found = extract(&file, &Limits::default());
        assert_eq!((found.text.trim(), found.outcome), (expect, Outcome::Whole), "{name}");
    };
    check("a.txt", "", "text/plain", "Gr\u{fc}n".as_bytes(), "Gr\u{fc}n");
    check("a.txt", "iso-8859-1", "text/plain", b"Gr\xfcn", "Gr\u{fc}n");
    check("a.csv", "", "", b"\xff\xfea\0;\0b\0", "a;b");
    check("a.html", "", "", b"<p>se<b>cret</b></p><script>no</script>", "secret");
    check("", "", "text/html", b"a &amp; b", "a & b");
    check("a.png", "", "image/png", b"\x89PNG\r\n\x1a\n\0\0", "");
    check("a", "", "", b"", "");
}

#[test]
fn properties() {
    let has = |name: &str, property: &str, value: &str| {
        let found = found_in(name);
        let wanted = (property.to_owned(), value.to_owned());
        assert!(found.properties.contains(&wanted), "{name}: {:?}", found.properties);
    };
    has("a.docx", "title", "Blue moon");
    has("a.docx", "author", "Ann Author");
    has("a.docx", "keywords", "strictly internal");
    has("a.docx", "department", "Research & more");
    has("a.odt", "title", "Free");
    has("a.odt", "client", "ACME");
    has("a.pdf", "title", "Results");
    has("a.pdf", "author", "Ann");
    has("a.rtf", "title", "Rich");
}

#[test]
fn programs_in_archives() {
    assert!(found_in("program.zip").is_program, "by its bytes, whatever it is called");
    assert!(found_in("named.zip").is_program, "by its name, whatever it holds");
    assert!(!found_in("a.zip").is_program);
    assert!(found("a.txt", b"MZ\x90\0").is_program);
}

#[test]
fn passwords() {
    for name in ["sealed.zip", "sealed.odt", "sealed.pdf"] {
        let found = found_in(name);
        assert!(found.is_protected && found.is_unreadable(), "{name}: {found:?}");
        assert_eq!(found.text.trim(), "", "{name}");
    }
}

#[test]
fn what_is_not_read_says_so() {
    let check = |name: &str, bytes: &[u8], expect: Outcome| {
        assert_eq!(found(name, bytes).outcome, expect, "{name}");
    };
    check("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\x01\x02", Outcome::Unsupported);
    check("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", Outcome::Unsupported);
    check("a.zip", b"PK\x03\x04 and no more", Outcome::Damaged);
    check("a.pdf", b"%PDF-1.4\n1 0 obj\n(never ends", Outcome::Damaged);
    check("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0cut", Outcome::Damaged);
    let rtf = b"{\\rtf1 a{\\object{\\*\\objdata 0102}}}";
    check("a.rtf", rtf, Outcome::Unsupported);
}
