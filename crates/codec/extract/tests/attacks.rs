//! Files that are made to do harm: nothing panics, little is unpacked, and what was not looked at is
//! said.

use crate::samples::{found, found_in, sample};
use codec_extract::{Extract, Limits, Outcome, extract};
use proptest::prelude::*;

fn is_bounded(found: &Extract) {
    let limits = Limits::default();
    assert!(found.text.len() <= limits.text_bytes_max);
    let properties = found.properties.iter().map(|(name, value)| name.len() + value.len());
    assert!(properties.sum::<usize>() <= limits.properties_bytes_max);
}

#[test]
fn attack_38_bombs_are_cut_off() {
    for name in ["zeros.gz", "bomb.zip", "bomb.pdf"] {
        let found = found_in(name);
        is_bounded(&found);
        assert_eq!(found.outcome, Outcome::Exceeded, "{name}");
        assert!(found.is_cut_off() && found.is_unreadable(), "{name}");
    }
}

#[test]
fn attack_38_files_over_each_other_are_a_lie() {
    let found = found_in("overlap.zip");
    is_bounded(&found);
    assert!(found.outcome >= Outcome::Damaged, "{:?}", found.outcome);
}

#[test]
fn attack_38_archives_in_archives_are_followed_so_deep_and_no_deeper() {
    let found = found_in("nested.zip");
    assert!(found.text.contains("level 9") && found.text.contains("level 5"), "{}", found.text);
    assert!(!found.text.contains("level 3"), "{}", found.text);
    assert_eq!(found.outcome, Outcome::Exceeded);
}

#[test]
fn attack_38_many_files_are_too_many() {
    assert_eq!(found_in("many.zip").outcome, Outcome::Exceeded);
}

#[test]
fn attack_49_entities_are_not_expanded() {
    let found = found_in("laughs.docx");
    assert_eq!(found.text.trim(), "&k;once");
}

#[test]
fn attack_38_circles_in_a_pdf_end() {
    let found = found_in("circle.pdf");
    assert!(found.text.contains("round"), "{}", found.text);
}

#[test]
fn a_long_text_is_cut_off() {
    let text = "w\u{f6}rter ".repeat(200_000);
    let found = found("a.txt", text.as_bytes());
    is_bounded(&found);
    assert_eq!(found.outcome, Outcome::Exceeded);
    assert!(found.text.len() > Limits::default().text_bytes_max - 10);
}

/// Headers of all that is read, so that any bytes behind them are read so.
const HEADS: [&[u8]; 7] = [
    b"",
    b"PK\x03\x04",
    b"\x1f\x8b\x08\0\0\0\0\0\0\0",
    b"%PDF-1.4\n1 0 obj <</Type/Page/Contents 2 0 R>> endobj 2 0 obj <<>> stream\n",
    b"{\\rtf1 ",
    b"<html>",
    b"\xff\xfe",
];

const FILES: [&str; 8] =
    ["a.docx", "a.xlsx", "a.pptx", "a.odt", "a.pdf", "objects.pdf", "a.tgz", "a.rtf"];

fn small() -> Limits {
    Limits { unpacked_bytes: 1 << 20, unpacked_times: 4, ..Limits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_give_something(
        head in 0..HEADS.len(),
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let bytes = [HEADS[head], &bytes].concat();
        let file = codec_extract::File { bytes: &bytes, ..Default::default() };
        is_bounded(&extract(&file, &small()));
    }

    #[test]
    fn damaged_documents_give_something(
        name in proptest::sample::select(FILES.to_vec()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = sample(name);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = codec_extract::File { name, bytes: &bytes, ..Default::default() };
        is_bounded(&extract(&file, &small()));
    }
}
