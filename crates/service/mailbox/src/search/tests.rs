//! Conditions against messages: tables, and a property against an evaluator that knows no tiers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod naive;

use super::content::decide;
use super::plan::{Facts, Plan, TEXT_BYTES_MAX, TEXTS_MAX};
use super::text::{Finder, fold};
use async_trait::async_trait;
use base::{Change, Error, ItemId, Kind, Result, Timestamp, Uid};
use bytes::Bytes;
use contract_blob::{
    BlobId, Blobs, ByteStream, Collected, Content, Holder, Segment, Staged, Upload,
};
use contract_mailbox::search::DEPTH_MAX;
use contract_mailbox::{Flags, IndexEntry, Keywords, MessageMeta, Search, SystemFlags, UidSet};
use contract_store::{BodyError, Transaction};
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// All contents of these tests are inline.
struct NoBlobs;

#[async_trait]
impl Blobs for NoBlobs {
    fn upload(&self) -> Box<dyn Upload> {
        unreachable!("nothing is uploaded")
    }

    fn read(&self, _id: BlobId, _range: Range<u64>) -> ByteStream {
        futures::stream::once(async { Err(Error::not_found("The blob")) }).boxed()
    }

    async fn hold(&self, _: &dyn Transaction, _: &Staged, _: &Holder) -> Result<(), BodyError> {
        unreachable!("nothing is held")
    }

    async fn hold_stored(
        &self,
        _: &dyn Transaction,
        _: BlobId,
        _: &Holder,
    ) -> Result<(), BodyError> {
        unreachable!("nothing is held")
    }

    fn release(&self, _: &dyn Transaction, _: BlobId, _: &Holder) {}

    async fn collect(&self, _: usize) -> Result<Collected> {
        Ok(Collected::default())
    }
}

const DAY_MS: i64 = 86_400_000;

fn entry() -> IndexEntry {
    let flags = Flags { system: SystemFlags::SEEN.union(SystemFlags::FLAGGED), keywords: 0b10 };
    let received = Timestamp { unix_ms: 100 * DAY_MS + 5 };
    let (uid, item, change) = (Uid(7), ItemId(1), Change(50));
    IndexEntry { uid, item, flags, change, size_bytes: 1000, received }
}

fn keywords() -> Keywords {
    Keywords(vec!["$Other".into(), "$Work".into()])
}

/// A message in segments of the given lengths (repeated), none of them a blob.
fn meta(bytes: &[u8], lengths: &[usize]) -> MessageMeta {
    let mut segments = Vec::new();
    let mut rest = Bytes::copy_from_slice(bytes);
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let piece = rest.split_to((*length).clamp(1, rest.len()));
        segments.push(Segment::Inline(piece));
    }
    MessageMeta { parsed: codec_mime::parse(bytes), content: Content { segments } }
}

fn decide_now(search: &Search, meta: &MessageMeta) -> bool {
    let plan = Plan::new(search, &keywords()).unwrap();
    let blobs: Arc<dyn Blobs> = Arc::new(NoBlobs);
    let entry = entry();
    if let Some(value) = plan.evaluate(&Facts::of(&entry)) {
        return value;
    }
    let future = decide(&plan, &entry, meta, &blobs);
    futures::executor::block_on(future.boxed()).unwrap()
}

#[test]
fn the_index_entry_decides() {
    let check = |search: Search, expect: Option<bool>| {
        let plan = Plan::new(&search, &keywords()).unwrap();
        assert_eq!(plan.evaluate(&Facts::of(&entry())), expect, "{search:?}");
    };
    let not = |search| Search::Not(Box::new(search));
    let body = || Search::Body("x".into());
    check(Search::All, Some(true));
    check(not(Search::All), Some(false));
    check(Search::Uids(UidSet::from_ranges([(3, 7)])), Some(true));
    check(Search::Uids(UidSet::from_ranges([(8, 9)])), Some(false));
    check(Search::System(SystemFlags::SEEN), Some(true));
    check(Search::System(SystemFlags::SEEN.union(SystemFlags::DRAFT)), Some(false));
    check(Search::Keyword("$WORK".into()), Some(true));
    check(Search::Keyword("$Other".into()), Some(false));
    check(Search::Keyword("$Unknown".into()), Some(false));
    check(not(Search::Keyword("$Unknown".into())), Some(true));
    for (day, before, on, since) in
        [(99, false, false, true), (100, false, true, true), (101, true, false, false)]
    {
        check(Search::ReceivedBefore(day), Some(before));
        check(Search::ReceivedOn(day), Some(on));
        check(Search::ReceivedSince(day), Some(since));
    }
    check(Search::ReceivedAfter(Timestamp { unix_ms: 100 * DAY_MS + 4 }), Some(true));
    check(Search::ReceivedAfter(Timestamp { unix_ms: 100 * DAY_MS + 5 }), Some(false));
    check(Search::Larger(999), Some(true));
    check(Search::Larger(1000), Some(false));
    check(Search::Smaller(1001), Some(true));
    check(Search::Smaller(1000), Some(false));
    check(Search::ChangedSince(Change(50)), Some(true));
    check(Search::ChangedSince(Change(51)), Some(false));
    // What is not known matters only where the rest leaves the answer open.
    check(body(), None);
    check(not(body()), None);
    check(Search::And(vec![body(), Search::Larger(5000)]), Some(false));
    check(Search::And(vec![body(), Search::Larger(5)]), None);
    check(Search::Or(vec![body(), Search::Larger(5)]), Some(true));
    check(Search::Or(vec![body(), Search::Larger(5000)]), None);
    check(Search::And(vec![]), Some(true));
    check(Search::Or(vec![]), Some(false));
    check(Search::Body(String::new()), Some(true));
    check(Search::Text(String::new()), Some(true));
    check(Search::Subject(String::new()), None);
    check(Search::SentOn(3), None);
}

#[test]
fn days_before_1970_are_days() {
    let entry = IndexEntry { received: Timestamp { unix_ms: -1 }, ..entry() };
    let check = |search: Search, expect| {
        let plan = Plan::new(&search, &keywords()).unwrap();
        assert_eq!(plan.evaluate(&Facts::of(&entry)), Some(expect), "{search:?}");
    };
    check(Search::ReceivedOn(-1), true);
    check(Search::ReceivedOn(0), false);
    check(Search::ReceivedBefore(i32::MAX), true);
    check(Search::ReceivedSince(i32::MIN), true);
}

#[test]
fn conditions_have_bounds() {
    let check = |search: Search, expect: Option<Kind>| {
        let kind = Plan::new(&search, &keywords()).err().map(|error| error.kind);
        assert_eq!(kind, expect);
    };
    let nested = |depth| (0..depth).fold(Search::All, |inner, _| Search::Not(Box::new(inner)));
    check(nested(DEPTH_MAX), None);
    check(nested(DEPTH_MAX + 1), Some(Kind::Invalid));
    let many = |count| Search::Or((0..count).map(|n| Search::Body(n.to_string())).collect());
    check(many(TEXTS_MAX), None);
    check(many(TEXTS_MAX + 1), Some(Kind::Limit));
    // The same text many times is one text.
    check(Search::Or(vec![Search::Body("a".into()); 1000]), None);
    check(Search::Body("a".repeat(TEXT_BYTES_MAX)), None);
    check(Search::Body("a".repeat(TEXT_BYTES_MAX + 1)), Some(Kind::Limit));
}

#[test]
fn only_blocks_that_can_match_are_read() {
    let check = |search: Search, end: u32, expect: &[(u32, u32)]| {
        let plan = Plan::new(&search, &keywords()).unwrap();
        assert_eq!(plan.blocks(Uid(end)), expect, "{search:?}");
    };
    let uids = |ranges: &[(u32, u32)]| Search::Uids(UidSet::from_ranges(ranges.iter().copied()));
    check(Search::All, 1, &[]);
    check(Search::All, 0, &[]);
    check(Search::All, 257, &[(0, 1)]);
    check(uids(&[(1, 5), (300, 300), (5000, u32::MAX)]), 6000, &[(0, 1), (19, 23)]);
    check(uids(&[(7000, 8000)]), 6000, &[]);
    let both = Search::And(vec![uids(&[(1, 6000)]), uids(&[(600, 601)]), Search::All]);
    check(both, 6000, &[(2, 2)]);
    // Under Or and Not a set says nothing about what must match.
    check(Search::Or(vec![uids(&[(600, 601)]), Search::All]), 600, &[(0, 2)]);
    check(Search::Not(Box::new(uids(&[(1, 1)]))), 600, &[(0, 2)]);
}

#[test]
fn only_texts_that_matter_are_looked_for() {
    let check = |search: Search, texts: &[Option<bool>], expect: &[bool]| {
        let plan = Plan::new(&search, &keywords()).unwrap();
        let (entry, parsed) = (entry(), codec_mime::parse(b"A: b\r\n\r\nc"));
        let facts = Facts::with(&entry, &parsed, texts);
        assert_eq!(plan.open_texts(&facts), expect, "{search:?} {texts:?}");
    };
    let body = |text: &str| Search::Body(text.into());
    let any = || Search::Or(vec![body("a"), Search::And(vec![body("b"), body("c")])]);
    check(any(), &[None, None, None], &[true, true, true]);
    check(any(), &[Some(false), None, Some(false)], &[false, false, false]);
    check(any(), &[None, Some(false), None], &[true, false, false]);
    check(any(), &[Some(true), None, None], &[false, false, false]);
    check(any(), &[Some(false), None, None], &[false, true, true]);
}

const LETTER: &[u8] = b"From: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <JM@Example.Org>\r\n\
To: Friends: a@example.net, \"B. C.\" <b@example.net>;\r\n\
Subject: =?iso-8859-1?Q?Gr=FC=DFe?= aus\r\n =?utf-8?B?S8O2bG4=?=\r\n\
Date: Thu, 1 Jan 1970 23:30:00 -0200\r\n\
X-Folded: one\r\n two\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble-word\r\n\
--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\nStra=C3=9Fe soft=\r\nbreak \xce\xa3\r\n\
--b\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n\
PHA+Q2Fm6TwvcD4=\r\n\
--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?inn=C3=A9r?=\r\n\r\ninner body\r\n\
--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=secret.csv\r\n\r\n\
column,value\r\n\
--b\r\nContent-Type: application/octet-stream\r\n\r\noctets\r\n--b--\r\nepilogue-word\r\n";

#[test]
fn texts_are_found_where_they_are() {
    let check = |search: Search, expect: bool| {
        for lengths in [vec![1], vec![7, 3], vec![100_000]] {
            let found = decide_now(&search, &meta(LETTER, &lengths));
            assert_eq!(found, expect, "{search:?} in pieces of {lengths:?}");
        }
    };
    let header = |name: &str, text: &str| Search::Header { name: name.into(), text: text.into() };
    check(Search::From("jürgen MÜLLER <jm@example".into()), true);
    check(Search::From("=?utf".into()), false);
    check(Search::From(String::new()), true);
    check(Search::To("friends: <a@example.net>, b. c. <b@".into()), true);
    check(Search::Cc(String::new()), false);
    check(Search::Bcc("a".into()), false);
    check(Search::Subject("GRÜSSE".into()), false);
    check(Search::Subject("GRÜßE aus köLN".into()), true);
    check(header("x-folded", "ONE two"), true);
    check(header("X-Folded", ""), true);
    check(header("X-Absent", ""), false);
    check(header("subject", "grüße"), true);
    check(header("Content-Type", "text/html"), false);
    check(Search::SentOn(1), false);
    check(Search::SentOn(0), true);
    check(Search::SentBefore(1), true);
    check(Search::SentSince(1), false);
    check(Search::Body("straße softbreak σ".into()), true);
    check(Search::Body("<P>CAFÉ</p>".into()), true);
    check(Search::Body("INNÉR".into()), true);
    check(Search::Body("inner body".into()), true);
    check(Search::Body("Column,Value".into()), true);
    check(Search::Body("octets".into()), false);
    check(Search::Body("secret.csv".into()), false);
    check(Search::Body("preamble-word".into()), false);
    check(Search::Body("jürgen".into()), false);
    check(Search::Text("jürgen".into()), true);
    check(Search::Text("x-folded: one two".into()), true);
    check(Search::Text("inner BODY".into()), true);
    check(Search::Text("nowhere".into()), false);
    // Not across parts.
    check(Search::Body("</p>inn".into()), false);
    let both = |a: &str, b: &str| {
        Search::And(vec![Search::Body(a.into()), Search::Not(Box::new(Search::Text(b.into())))])
    };
    check(both("column", "nowhere"), true);
    check(both("column", "café"), false);
}

#[test]
fn no_date_is_on_no_day() {
    let check = |search: Search, expect: bool| {
        assert_eq!(decide_now(&search, &meta(b"Date: soon\r\n\r\n", &[9])), expect, "{search:?}");
    };
    check(Search::SentBefore(i32::MAX), false);
    check(Search::SentSince(i32::MIN), false);
    check(Search::Not(Box::new(Search::SentOn(0))), true);
}

#[test]
fn a_cut_envelope_is_helped_by_the_header() {
    let mut meta = meta(LETTER, &[100]);
    meta.parsed.envelope.from.clear();
    assert!(!decide_now(&Search::From("jürgen".into()), &meta));
    meta.parsed.truncated = true;
    assert!(decide_now(&Search::From("jürgen".into()), &meta));
    assert!(!decide_now(&Search::From("nobody".into()), &meta));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However a text is cut, it is found if and only if it is there.
    #[test]
    fn cuts_do_not_matter(
        text in "[aAbBéÉσΣς ]{0,40}",
        needles in proptest::collection::vec("[aAbBéÉσΣς ]{1,5}", 1..4),
        cuts in proptest::collection::vec(0_usize..9, 0..20),
    ) {
        let folded: Vec<String> = needles.iter().map(|needle| fold(needle)).collect();
        let wanted = folded.iter().map(String::as_str).enumerate().collect();
        let mut finder = Finder::new(wanted);
        let mut found = vec![false; needles.len()];
        let mut rest = text.as_str();
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let (head, tail) = rest.split_at(rest.floor_char_boundary(cut.min(rest.len())));
            finder.push(head, |number| found[number] = true);
            rest = tail;
        }
        for (needle, found) in folded.iter().zip(&found) {
            prop_assert_eq!(*found, fold(&text).contains(needle), "{:?} in {:?}", needle, text);
        }
    }
}
