//! A condition, made ready: keywords as bits, texts folded, and evaluated with three values, so
//! that a part that is not known yet matters only where the rest leaves the answer open.

use super::text::fold;
use base::{Error, Kind, Result, Timestamp, Uid};
use codec_mime::{ParsedMessage, SentAt};
use contract_mailbox::search::DEPTH_MAX;
use contract_mailbox::{IndexBlock, IndexEntry, Keywords, Search, SystemFlags, UidSet};

/// The most different texts that one condition may look for. Each is looked for in every body
/// that is read, so this bounds the work per byte.
pub(crate) const TEXTS_MAX: usize = 100;

/// The longest text, in bytes; it is kept in memory as long as it may stand across two chunks.
pub(crate) const TEXT_BYTES_MAX: usize = 4_096;

const DAY_S: i64 = 86_400;

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Plan {
    root: Node,
    /// The texts it looks for; a [`Node::Text`] is the number of one.
    pub(super) texts: Vec<Wanted>,
}

/// A text, and where it is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) place: Place,
    /// Folded, see [`fold`].
    pub(super) text: String,
}

/// Where a text is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// What the envelope says of a field.
    Envelope(Field),
    /// A header field by name.
    Header(String),
    /// The bodies.
    Body,
    /// Header or bodies.
    Anywhere,
}

/// A field of the envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    From,
    To,
    Cc,
    Bcc,
    Subject,
}

impl Field {
    /// Its name in a header.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::From => "From",
            Self::To => "To",
            Self::Cc => "Cc",
            Self::Bcc => "Bcc",
            Self::Subject => "Subject",
        }
    }
}

#[derive(Debug)]
enum Node {
    Constant(bool),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Entry(EntryTest),
    Sent(DayTest),
    Text(usize),
}

/// What the index entry answers.
#[derive(Debug)]
enum EntryTest {
    Uids(UidSet),
    System(SystemFlags),
    Keywords(u128),
    Received(DayTest),
    ReceivedAfter(Timestamp),
    Larger(u64),
    Smaller(u64),
    ChangedSince(base::Change),
}

/// A comparison of days since 1970-01-01.
#[derive(Clone, Copy, Debug)]
enum DayTest {
    Before(i32),
    On(i32),
    Since(i32),
}

impl DayTest {
    fn holds(self, day: i64) -> bool {
        match self {
            Self::Before(wanted) => day < i64::from(wanted),
            Self::On(wanted) => day == i64::from(wanted),
            Self::Since(wanted) => day >= i64::from(wanted),
        }
    }
}

/// What is known of a message so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'f> {
    entry: &'f IndexEntry,
    parsed: Option<&'f ParsedMessage>,
    /// For each of the plan's texts whether it was found; missing ones are not known.
    texts: &'f [Option<bool>],
}

impl<'f> Facts<'f> {
    /// Only the index entry.
    pub(crate) fn of(entry: &'f IndexEntry) -> Self {
        Self { entry, parsed: None, texts: &[] }
    }

    /// With the meta, and what was found.
    pub(crate) fn with(
        entry: &'f IndexEntry,
        parsed: &'f ParsedMessage,
        texts: &'f [Option<bool>],
    ) -> Self {
        Self { entry, parsed: Some(parsed), texts }
    }
}

impl Plan {
    /// Makes a condition ready. A keyword that the mailbox does not know is on no message.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if it nests deeper than [`DEPTH_MAX`], [`Kind::Limit`] if it looks for
    /// more than [`TEXTS_MAX`] texts or for one longer than [`TEXT_BYTES_MAX`].
    pub(crate) fn new(search: &Search, keywords: &Keywords) -> Result<Self> {
        let mut texts = Vec::new();
        let root = node(search, keywords, &mut texts, 0)?;
        Ok(Self { root, texts })
    }

    /// Whether the condition holds; `None` if that cannot be told yet.
    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Option<bool> {
        evaluate(&self.root, facts)
    }

    /// For each text whether the answer may depend on it: not known yet, and no other part of the
    /// condition has decided for it.
    pub(super) fn open_texts(&self, facts: &Facts<'_>) -> Vec<bool> {
        let mut open = vec![false; self.texts.len()];
        mark_open(&self.root, facts, &mut open);
        open
    }

    /// The numbers of the index blocks that can hold matches before a UID, as inclusive runs in
    /// order.
    pub(super) fn blocks(&self, end: Uid) -> Vec<(u32, u32)> {
        let Some(last) = end.0.checked_sub(1) else {
            return Vec::new();
        };
        let all = UidSet::all();
        let set = narrowest(&self.root).unwrap_or(&all);
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (first, to) in set.ranges().iter().filter(|range| range.0 <= last) {
            let run = (first / IndexBlock::UIDS, (*to).min(last) / IndexBlock::UIDS);
            match runs.last_mut() {
                Some(before) if run.0 <= before.1 + 1 => before.1 = before.1.max(run.1),
                _ => runs.push(run),
            }
        }
        runs
    }
}

/// The smallest set of UIDs that every match must be in, as far as the top of the tree says.
fn narrowest(node: &Node) -> Option<&UidSet> {
    match node {
        Node::Entry(EntryTest::Uids(uids)) => Some(uids),
        Node::And(nodes) => nodes.iter().filter_map(narrowest).min_by_key(|set| set.count()),
        _ => None,
    }
}

fn node(
    search: &Search,
    keywords: &Keywords,
    texts: &mut Vec<Wanted>,
    depth: usize,
) -> Result<Node> {
    if depth > DEPTH_MAX {
        let text = format!("Search conditions nest at most {DEPTH_MAX} deep");
        return Err(Error::invalid(text));
    }
    let mut below = |search: &Search| node(search, keywords, texts, depth + 1);
    Ok(match search {
        Search::All => Node::Constant(true),
        Search::And(all) => Node::And(all.iter().map(below).collect::<Result<_>>()?),
        Search::Or(any) => Node::Or(any.iter().map(below).collect::<Result<_>>()?),
        Search::Not(inner) => Node::Not(Box::new(below(inner)?)),
        Search::Uids(uids) => Node::Entry(EntryTest::Uids(uids.clone())),
        Search::System(flags) => Node::Entry(EntryTest::System(*flags)),
        Search::Keyword(name) => match keywords.bit(name) {
            Some(bit) => Node::Entry(EntryTest::Keywords(bit)),
            None => Node::Constant(false),
        },
        Search::ReceivedBefore(day) => received(DayTest::Before(*day)),
        Search::ReceivedOn(day) => received(DayTest::On(*day)),
        Search::ReceivedSince(day) => received(DayTest::Since(*day)),
        Search::SentBefore(day) => Node::Sent(DayTest::Before(*day)),
        Search::SentOn(day) => Node::Sent(DayTest::On(*day)),
        Search::SentSince(day) => Node::Sent(DayTest::Since(*day)),
        Search::Larger(bytes) => Node::Entry(EntryTest::Larger(*bytes)),
        Search::Smaller(bytes) => Node::Entry(EntryTest::Smaller(*bytes)),
        Search::ChangedSince(change) => Node::Entry(EntryTest::ChangedSince(*change)),
        Search::ReceivedAfter(moment) => Node::Entry(EntryTest::ReceivedAfter(*moment)),
        Search::From(text) => wanted(Place::Envelope(Field::From), text, texts)?,
        Search::To(text) => wanted(Place::Envelope(Field::To), text, texts)?,
        Search::Cc(text) => wanted(Place::Envelope(Field::Cc), text, texts)?,
        Search::Bcc(text) => wanted(Place::Envelope(Field::Bcc), text, texts)?,
        Search::Subject(text) => wanted(Place::Envelope(Field::Subject), text, texts)?,
        Search::Header { name, text } => {
            wanted(Place::Header(name.trim().to_ascii_lowercase()), text, texts)?
        }
        // The empty text is in every body.
        Search::Body(text) | Search::Text(text) if text.is_empty() => Node::Constant(true),
        Search::Body(text) => wanted(Place::Body, text, texts)?,
        Search::Text(text) => wanted(Place::Anywhere, text, texts)?,
    })
}

fn received(test: DayTest) -> Node {
    Node::Entry(EntryTest::Received(test))
}

fn wanted(place: Place, text: &str, texts: &mut Vec<Wanted>) -> Result<Node> {
    if text.len() > TEXT_BYTES_MAX {
        let text = format!("A text to search for has at most {TEXT_BYTES_MAX} bytes");
        return Err(Error::new(Kind::Limit, text));
    }
    let wanted = Wanted { place, text: fold(text) };
    let number = match texts.iter().position(|known| *known == wanted) {
        Some(number) => number,
        None if texts.len() >= TEXTS_MAX => {
            let text = format!("A search looks for at most {TEXTS_MAX} texts");
            return Err(Error::new(Kind::Limit, text));
        }
        None => {
            texts.push(wanted);
            texts.len() - 1
        }
    };
    Ok(Node::Text(number))
}

fn evaluate(node: &Node, facts: &Facts<'_>) -> Option<bool> {
    match node {
        Node::Constant(value) => Some(*value),
        Node::And(nodes) => all(nodes, facts, false),
        Node::Or(nodes) => all(nodes, facts, true),
        Node::Not(inner) => evaluate(inner, facts).map(|value| !value),
        Node::Entry(test) => Some(entry_holds(test, facts.entry)),
        Node::Sent(test) => {
            facts.parsed.map(|parsed| parsed.sent_at.is_some_and(|at| test.holds(sent_day(at))))
        }
        Node::Text(number) => facts.texts.get(*number).copied().flatten(),
    }
}

/// And (whose deciding value is false) or Or (true).
fn all(nodes: &[Node], facts: &Facts<'_>, deciding: bool) -> Option<bool> {
    let mut result = Some(!deciding);
    for node in nodes {
        match evaluate(node, facts) {
            Some(value) if value == deciding => return Some(deciding),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

fn mark_open(node: &Node, facts: &Facts<'_>, open: &mut [bool]) {
    if evaluate(node, facts).is_some() {
        return;
    }
    match node {
        Node::And(nodes) | Node::Or(nodes) => {
            nodes.iter().for_each(|node| mark_open(node, facts, open));
        }
        Node::Not(inner) => mark_open(inner, facts, open),
        Node::Text(number) => open[*number] = true,
        Node::Constant(_) | Node::Entry(_) | Node::Sent(_) => {}
    }
}

fn entry_holds(test: &EntryTest, entry: &IndexEntry) -> bool {
    match test {
        EntryTest::Uids(uids) => uids.contains(entry.uid),
        EntryTest::System(flags) => entry.flags.system.contains(*flags),
        EntryTest::Keywords(bits) => entry.flags.keywords & bits == *bits,
        EntryTest::Received(test) => test.holds(entry.received.unix_s().div_euclid(DAY_S)),
        EntryTest::ReceivedAfter(moment) => entry.received > *moment,
        EntryTest::Larger(bytes) => entry.size_bytes > *bytes,
        EntryTest::Smaller(bytes) => entry.size_bytes < *bytes,
        EntryTest::ChangedSince(change) => entry.change >= *change,
    }
}

/// The day of a Date header in its own zone.
fn sent_day(at: SentAt) -> i64 {
    at.unix_seconds.saturating_add(i64::from(at.offset_minutes) * 60).div_euclid(DAY_S)
}
