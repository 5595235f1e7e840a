//! Conditions against messages: tables, and a property against an evaluator that knows no tiers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use super::content::decide;
use super::plan::{Facts, Plan, TEXT_BYTES_MAX, TEXTS_MAX};
use super::text::{Finder, fold};
use async_trait::async_trait;
use base::{Change, Error, ItemId, Kind, Result, Timestamp, Uid};
use bytes::Bytes;
use codec_mime::decode::TextDecoder;
use codec_mime::generate::{self, Random, Shape};
use codec_mime::{Address, ParsedMessage, Part, PartKind, encoded_word, header};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// The tiers answer as an evaluator that decodes everything first.
    #[test]
    fn tiers_agree_with_the_naive_evaluator(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let bytes = generate::to_vec(seed, shape(&mut random));
        let lengths: Vec<usize> = (0..5).map(|_| 1 + random.below(3000)).collect();
        let meta = meta(&bytes, &lengths);
        let naive = Naive::of(&bytes, &meta.parsed);
        for _ in 0..20 {
            let search = search(&mut random, &naive, 3);
            prop_assert_eq!(
                decide_now(&search, &meta), naive.holds(&search), "{:?} seed {}", search, seed
            );
        }
    }
}

fn shape(random: &mut Random) -> Shape {
    match random.below(12) {
        0 => Shape::Plain,
        1 => Shape::EightBit,
        2 | 3 => Shape::Alternative,
        4 => Shape::Attachments { count: 2, bytes: 200_000 },
        5 | 6 => Shape::Forwarded { depth: 3 },
        7 => Shape::Invitation,
        8 => Shape::Signed,
        9 => Shape::NestedMultiparts { depth: 5 },
        10 => Shape::PartFlood { count: 50 },
        _ => Shape::Junk { bytes: 3000 },
    }
}

/// A random condition, with texts that are likely to be in the message.
fn search(random: &mut Random, naive: &Naive, depth: usize) -> Search {
    let pick = |random: &mut Random| naive.some_text(random);
    match random.below(if depth == 0 { 14 } else { 20 }) {
        0 => Search::From(pick(random)),
        1 => Search::To(pick(random)),
        2 => Search::Cc(pick(random)),
        3 => Search::Subject(pick(random)),
        4 | 5 => Search::Body(pick(random)),
        6 | 7 => Search::Text(pick(random)),
        8 => {
            let names = ["subject", "X-Raw", "Comments", "received", "message-id", "to"];
            Search::Header { name: names[random.below(6)].into(), text: pick(random) }
        }
        9 => Search::SentOn(19_675 + random.below(600) as i32),
        10 => Search::SentSince(19_675 + random.below(600) as i32),
        11 => Search::Larger(random.below(2000) as u64),
        12 => Search::Keyword(["$work", "$other", "$none"][random.below(3)].into()),
        13 => Search::System(SystemFlags(1 << random.below(5))),
        14 | 15 => Search::Not(Box::new(search(random, naive, depth - 1))),
        n => {
            let count = random.below(4);
            let nodes = (0..count).map(|_| search(random, naive, depth - 1)).collect();
            if n < 18 { Search::And(nodes) } else { Search::Or(nodes) }
        }
    }
}

/// Everything of a message, decoded and folded.
struct Naive {
    parsed: ParsedMessage,
    /// Field name, value, and the line of both.
    fields: Vec<(String, String)>,
    bodies: Vec<String>,
}

impl Naive {
    fn of(bytes: &[u8], parsed: &ParsedMessage) -> Self {
        let fields = fields(&bytes[..parsed.root.header.end as usize]);
        let mut bodies = Vec::new();
        body_texts(bytes, &parsed.root, &mut bodies);
        Self { parsed: parsed.clone(), fields, bodies }
    }

    /// Some piece of the message in some letter case, or something else.
    fn some_text(&self, random: &mut Random) -> String {
        let lines = self.fields.iter().map(line).chain(self.bodies.iter().cloned());
        let all: Vec<String> = lines.filter(|text| !text.is_empty()).collect();
        if all.is_empty() || random.below(5) == 0 {
            return ["", "zzzz", "e", "é", "\r\n"][random.below(5)].into();
        }
        let chars: Vec<char> = all[random.below(all.len())].chars().collect();
        let from = random.below(chars.len());
        let to = (from + 1 + random.below(25)).min(chars.len());
        let text: String = chars[from..to].iter().collect();
        if random.below(2) == 0 { text.to_uppercase() } else { text }
    }

    fn holds(&self, search: &Search) -> bool {
        let within = |text: &Option<String>, wanted: &str| {
            text.as_ref().is_some_and(|text| fold(text).contains(&fold(wanted)))
        };
        let envelope = &self.parsed.envelope;
        let day = self.parsed.sent_at.map(|at| {
            (at.unix_seconds + 60 * i64::from(at.offset_minutes)).div_euclid(86_400) as i32
        });
        let entry = entry();
        match search {
            Search::And(all) => all.iter().all(|search| self.holds(search)),
            Search::Or(any) => any.iter().any(|search| self.holds(search)),
            Search::Not(inner) => !self.holds(inner),
            Search::From(text) => within(&addresses(&envelope.from), text),
            Search::To(text) => within(&addresses(&envelope.to), text),
            Search::Cc(text) => within(&addresses(&envelope.cc), text),
            Search::Subject(text) => {
                within(&envelope.subject.as_ref().map(|text| encoded_word::decode(text)), text)
            }
            Search::Header { name, text } => self.fields.iter().any(|(known, value)| {
                known.eq_ignore_ascii_case(name) && value.contains(&fold(text))
            }),
            Search::Body(text) => {
                text.is_empty() || self.bodies.iter().any(|body| body.contains(&fold(text)))
            }
            Search::Text(text) => {
                let header = self.fields.iter().any(|field| line(field).contains(&fold(text)));
                header || self.holds(&Search::Body(text.clone()))
            }
            Search::SentOn(wanted) => day == Some(*wanted),
            Search::SentSince(wanted) => day.is_some_and(|day| day >= *wanted),
            Search::Larger(bytes) => entry.size_bytes > *bytes,
            Search::Keyword(name) => name == "$work",
            Search::System(flags) => entry.flags.system.contains(*flags),
            other => unreachable!("{other:?} is not generated"),
        }
    }
}

fn line((name, value): &(String, String)) -> String {
    if name.is_empty() { value.clone() } else { fold(&format!("{name}: {value}")) }
}

fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    let field = |field: header::Field<'_>| {
        let name = String::from_utf8_lossy(field.name).into_owned();
        (name, fold(&encoded_word::decode(&field.text())))
    };
    header::fields(bytes).map(field).collect()
}

fn body_texts(bytes: &[u8], part: &Part, found: &mut Vec<String>) {
    let range = |range: &Range<u64>| &bytes[range.start as usize..range.end as usize];
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().for_each(|part| body_texts(bytes, part, found)),
        PartKind::Message { part, .. } => {
            found.extend(fields(range(&part.header)).iter().map(line));
            body_texts(bytes, part, found);
        }
        PartKind::Leaf if part.content_type.media_type().starts_with("text/") => {
            let mut text = String::new();
            let mut decoder = TextDecoder::new(part);
            decoder.push(range(&part.body), &mut text);
            decoder.finish(&mut text);
            found.push(fold(&text));
        }
        PartKind::Leaf => {}
    }
}

fn addresses(list: &[Address]) -> Option<String> {
    let mut all = String::new();
    for address in list {
        let name = address.display_name();
        let comma = if all.is_empty() || all.ends_with(": ") { "" } else { ", " };
        match address {
            Address::GroupStart(_) => all += &format!("{comma}{}: ", name.unwrap()),
            Address::GroupEnd => all += ";",
            Address::Mailbox { mailbox, host, .. } => {
                let (mailbox, host) =
                    (String::from_utf8_lossy(mailbox), String::from_utf8_lossy(host));
                let at = if host.is_empty() { "" } else { "@" };
                let name = name.map_or(String::new(), |name| format!("{name} "));
                all += &format!("{comma}{name}<{mailbox}{at}{host}>");
            }
        }
    }
    (!list.is_empty()).then_some(all)
}
