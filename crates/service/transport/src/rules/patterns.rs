//! The words and patterns of all rules, looked for together: each text of a message is walked once
//! for all words and once for all patterns, however many rules there are.

use aho_corasick::AhoCorasick;
use base::{Error, Result};
use contract_transport::rule::Attribute;
use regex::{RegexSet, RegexSetBuilder};
use std::collections::BTreeMap;
use std::ops::Range;

/// How large the patterns of all rules that look into one place may be compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 32 << 20;

/// What words and patterns are looked for in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    Sender,
    /// Each recipient's address alone.
    Recipient,
    Subject,
    /// The subject and the text of the message.
    Text,
    AttachmentName,
    /// A header field, its name in lower case.
    Header(String),
    /// What the directory says of the sender.
    SenderAttribute(Attribute),
    /// What the directory says of each recipient alone.
    RecipientAttribute(Attribute),
    /// The text of the attachments.
    Attachment,
    /// A property of the attachments, its name in lower case.
    Property(String),
}

impl Place {
    /// Whether it is about one recipient.
    pub(super) fn is_about_recipient(&self) -> bool {
        matches!(self, Self::Recipient | Self::RecipientAttribute(_))
    }

    /// Whether attachments have to be looked into for it.
    pub(super) fn is_inside_attachments(&self) -> bool {
        matches!(self, Self::Attachment | Self::Property(_))
    }
}

/// Some of the words or patterns of a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) place: Place,
    which: Range<usize>,
    is_regex: bool,
}

/// Gathers what the rules look for.
#[derive(Default)]
pub(super) struct Builder {
    places: BTreeMap<Place, Lists>,
}

#[derive(Default)]
struct Lists {
    words: Vec<String>,
    regexes: Vec<String>,
}

impl Builder {
    /// Words, to be found whole, in any letter case.
    pub(super) fn words(&mut self, place: Place, words: &[String]) -> Wanted {
        let words = words.iter().map(|word| word.trim().to_lowercase());
        let list = &mut self.places.entry(place.clone()).or_default().words;
        Wanted { place, which: extend(list, words), is_regex: false }
    }

    /// Regular expressions, in any letter case.
    pub(super) fn regexes(&mut self, place: Place, regexes: &[String]) -> Wanted {
        let list = &mut self.places.entry(place.clone()).or_default().regexes;
        Wanted { place, which: extend(list, regexes.iter().cloned()), is_regex: true }
    }

    /// Compiles them.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for what is no pattern, or too much.
    pub(super) fn build(self) -> Result<Patterns> {
        let compile = |(place, lists): (Place, Lists)| Ok((place, lists.compile()?));
        Ok(Patterns { places: self.places.into_iter().map(compile).collect::<Result<_>>()? })
    }
}

fn extend(list: &mut Vec<String>, more: impl Iterator<Item = String>) -> Range<usize> {
    let start = list.len();
    list.extend(more);
    start..list.len()
}

impl Lists {
    fn compile(self) -> Result<Compiled> {
        let words = AhoCorasick::new(&self.words)
            .map_err(|error| Error::invalid(format!("the words of the rules: {error}")))?;
        let regexes = RegexSetBuilder::new(&self.regexes)
            .case_insensitive(true)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| {
                let lines = error.to_string();
                let words: Vec<_> = lines.split_whitespace().collect();
                Error::invalid(format!("a pattern: {}", words.join(" ")))
            })?;
        Ok(Compiled { words, regexes })
    }
}

struct Compiled {
    words: AhoCorasick,
    regexes: RegexSet,
}

/// The words and patterns of all rules.
pub(super) struct Patterns {
    places: BTreeMap<Place, Compiled>,
}

/// Which of them some text has.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    words: Vec<bool>,
    regexes: Vec<bool>,
}

impl Patterns {
    /// The places that anything is looked for in.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }

    /// What a text of a place has.
    pub(super) fn hits(&self, place: &Place, text: &str) -> Hits {
        let Some(Compiled { words, regexes }) = self.places.get(place) else {
            return Hits::default();
        };
        let mut hits =
            Hits { words: vec![false; words.patterns_len()], regexes: vec![false; regexes.len()] };
        if words.patterns_len() > 0 {
            let folded = text.to_lowercase();
            for found in words.find_overlapping_iter(&folded) {
                if is_whole(&folded, found.start(), found.end()) {
                    hits.words[found.pattern().as_usize()] = true;
                }
            }
        }
        regexes.matches(text).iter().for_each(|number| hits.regexes[number] = true);
        hits
    }
}

impl Hits {
    /// Whether something of what is wanted was found.
    pub(super) fn has(&self, wanted: &Wanted) -> bool {
        let list = if wanted.is_regex { &self.regexes } else { &self.words };
        list.get(wanted.which.clone()).is_some_and(|some| some.contains(&true))
    }

    /// What several texts have together.
    pub(super) fn join(mut self, other: &Self) -> Self {
        let add = |to: &mut Vec<bool>, from: &[bool]| {
            to.resize(to.len().max(from.len()), false);
            to.iter_mut().zip(from).for_each(|(one, other)| *one |= *other);
        };
        add(&mut self.words, &other.words);
        add(&mut self.regexes, &other.regexes);
        self
    }
}

/// Whether a place in a text neither begins nor ends inside a word.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(found), Some(after)) =
        (text.get(..start), text.get(start..end), text.get(end..))
    else {
        return false;
    };
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (first, last) = (found.chars().next(), found.chars().next_back());
    let begins_inside = in_word(before.chars().next_back()) && in_word(first);
    let ends_inside = in_word(last) && in_word(after.chars().next());
    !begins_inside && !ends_inside
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(words: &[&str], regexes: &[&str], text: &str, expect: (bool, bool)) {
        let own = |list: &[&str]| -> Vec<String> { list.iter().map(|&one| one.into()).collect() };
        let mut builder = Builder::default();
        // Somebody else's stand before ours.
        builder.words(Place::Text, &own(&["x", "y"]));
        builder.regexes(Place::Text, &own(&["^x$"]));
        let words = builder.words(Place::Text, &own(words));
        let regexes = builder.regexes(Place::Text, &own(regexes));
        let hits = builder.build().unwrap().hits(&Place::Text, text);
        assert_eq!((hits.has(&words), hits.has(&regexes)), expect, "{text}");
    }

    #[test]
    fn words_are_whole_and_of_any_case() {
        check(&["Secret"], &[], "top SECRET!", (true, false));
        check(&["secret"], &[], "secretary", (false, false));
        check(&["übung"], &[], "Die ÜBUNG.", (true, false));
        check(&["bung"], &[], "Übung", (false, false));
        check(&["not for you"], &[], "this is not for you", (true, false));
        check(&["a", "b c"], &[], "ab c", (false, false));
        check(&["@example.org"], &[], "me@example.org", (true, false));
        check(&["example"], &[], "", (false, false));
        check(&["foo", "bar"], &[], "bar", (true, false));
    }

    #[test]
    fn patterns_are_of_any_case() {
        check(&[], &[r"\b\d{4}-\d{4}\b", "no"], "Card 1234-5678.", (false, true));
        check(&[], &["^urgent"], "URGENT: now", (false, true));
        check(&[], &["^urgent"], "not urgent", (false, false));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let mut builder = Builder::default();
        builder.regexes(Place::Subject, &["(".to_owned()]);
        let error = builder.build().err().unwrap();
        assert_eq!(error.kind, base::Kind::Invalid);
        let mut builder = Builder::default();
        builder.regexes(Place::Subject, &[r"\w{1000}{1000}".to_owned()]);
        assert!(builder.build().is_err(), "attack: a pattern that fills the memory");
    }
}
