//! The tiers against an evaluator that decodes everything first.

use super::{decide_now, entry, meta};
use crate::search::text::fold;
use codec_mime::decode::TextDecoder;
use codec_mime::generate::{self, Random, Shape};
use codec_mime::{Address, ParsedMessage, Part, PartKind, encoded_word, header};
use contract_mailbox::{Search, SystemFlags};
use proptest::prelude::*;
use std::ops::Range;

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
