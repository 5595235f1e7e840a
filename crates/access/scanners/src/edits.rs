//! What scanners change of a header, within bounds: no field of ours, no line that would be another
//! field, no end of the header.

use crate::outcome::Edit;
use bytes::Bytes;
use codec_mime::header;
use std::ops::Range;

/// How many changes one scanner may make, and how long a value may be, in bytes.
pub(crate) const EDITS_MAX: usize = 200;
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// All that scanners may add to one message, in bytes.
const ADDED_BYTES_MAX: usize = 128 * 1024;
/// The longest line, without its end (RFC 5322 §2.1.1), and the longest name.
const LINE_BYTES_MAX: usize = 998;
const NAME_BYTES_MAX: usize = 76;

/// Names that begin so are ours, or tell what an organisation's own servers have found.
const OWN_PREFIXES: [&str; 2] = ["x-rialto-", "x-ms-exchange-organization-"];

/// A header that scanners change.
pub(crate) struct Header {
    /// What they have put in front, and the header behind it.
    text: Vec<u8>,
    front_bytes: usize,
    /// Where in the front that stands which the scanner at work has added: counted behind all else.
    appended: Range<usize>,
    added_bytes: usize,
    /// Whether something behind the front is other than it was.
    is_edited: bool,
}

impl Header {
    pub(crate) fn new(header: &Bytes) -> Self {
        Self {
            text: header.to_vec(),
            front_bytes: 0,
            appended: 0..0,
            added_bytes: 0,
            is_edited: false,
        }
    }

    /// As the next scanner sees it.
    pub(crate) fn text(&self) -> Bytes {
        Bytes::copy_from_slice(&self.text)
    }

    /// What was put in front, and the header where that was changed.
    pub(crate) fn finish(self) -> (Vec<u8>, Option<Bytes>) {
        let mut front = self.text;
        let header = front.split_off(self.front_bytes);
        (front, self.is_edited.then(|| header.into()))
    }

    /// Makes a scanner's changes one after the other, each of the header as it is by then; those
    /// that are not allowed are left out, and counted.
    pub(crate) fn apply(&mut self, edits: &[Edit]) -> usize {
        self.appended = 0..0;
        let refused = edits.iter().take(EDITS_MAX).filter(|edit| !self.apply_one(edit)).count();
        refused + edits.len().saturating_sub(EDITS_MAX)
    }

    fn apply_one(&mut self, edit: &Edit) -> bool {
        match edit {
            Edit::Add { name, value } => {
                self.field(name, value).is_some_and(|field| self.append(&field))
            }
            Edit::Insert { name, value } => {
                self.field(name, value).is_some_and(|field| self.splice(0..0, &field))
            }
            Edit::Change { name, number, value } => {
                let Some(field) = self.field(name, value) else { return false };
                match self.find(name, (*number).max(1)) {
                    Some(range) => self.splice(range, &field),
                    None => self.append(&field),
                }
            }
            Edit::Remove { name, number: 0 } => is_allowed(name) && self.remove_all(name),
            Edit::Remove { name, number } => {
                let range = is_allowed(name).then(|| self.find(name, *number)).flatten();
                range.is_none_or(|range| self.splice(range, b"")) && is_allowed(name)
            }
        }
    }

    /// A whole field, if it may be written.
    fn field(&self, name: &str, value: &str) -> Option<Vec<u8>> {
        let field = field(name, value)?;
        (self.added_bytes + field.len() <= ADDED_BYTES_MAX).then_some(field)
    }

    /// Where the fields of a name stand.
    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = Range<usize>> + 'h {
        let fields = header::fields(&self.text).filter(|field| field.is(name.as_bytes()));
        fields.map(|field| field.range)
    }

    /// Where the n-th field of a name stands; numbers begin at 1, what was added comes last.
    fn find(&self, name: &str, number: usize) -> Option<Range<usize>> {
        let is_appended = |range: &Range<usize>| {
            self.appended.start <= range.start && range.end <= self.appended.end
        };
        let known = self.all(name).filter(|range| !is_appended(range));
        known.chain(self.all(name).filter(is_appended)).nth(number.checked_sub(1)?)
    }

    /// Puts a field behind those that the same scanner has added.
    fn append(&mut self, field: &[u8]) -> bool {
        let Range { start, end } = self.appended;
        self.splice(end..end, field);
        self.appended = start..end + field.len();
        true
    }

    fn splice(&mut self, range: Range<usize>, bytes: &[u8]) -> bool {
        let moved = |at: usize| at - range.len() + bytes.len();
        let appended = &mut self.appended;
        if range.end <= appended.start {
            *appended = moved(appended.start)..moved(appended.end);
        } else if appended.start <= range.start && range.end <= appended.end {
            appended.end = moved(appended.end);
        }
        if range.end <= self.front_bytes {
            self.front_bytes = moved(self.front_bytes);
        } else {
            self.is_edited = true;
        }
        self.added_bytes += bytes.len();
        self.text.splice(range, bytes.iter().copied());
        true
    }

    /// In one go: there may be tens of thousands of them.
    fn remove_all(&mut self, name: &str) -> bool {
        let gone: Vec<_> = self.all(name).collect();
        let (front_bytes, appended) = (self.front_bytes, self.appended.clone());
        let mut kept = Vec::with_capacity(self.text.len());
        let mut at = 0;
        for range in gone {
            kept.extend_from_slice(&self.text[at..range.start]);
            at = range.end;
            for (end, now) in [
                (front_bytes, &mut self.front_bytes),
                (appended.start, &mut self.appended.start),
                (appended.end, &mut self.appended.end),
            ] {
                *now -= if range.end <= end { range.len() } else { 0 };
            }
            self.is_edited |= range.end > front_bytes;
        }
        kept.extend_from_slice(&self.text[at..]);
        self.text = kept;
        true
    }
}

/// Whether a scanner may write or remove a field.
fn is_allowed(name: &str) -> bool {
    let is_name = |byte: u8| matches!(byte, b'!'..=b'9' | b';'..=b'~');
    let lower = name.to_ascii_lowercase();
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_name)
        && !OWN_PREFIXES.iter().any(|own| lower.starts_with(own))
}

/// A field that cannot become two, whatever its value.
fn field(name: &str, value: &str) -> Option<Vec<u8>> {
    if !is_allowed(name) || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let mut field = format!("{name}: ").into_bytes();
    let lines = value.trim_matches(['\r', '\n', ' ', '\t']).split('\n');
    for (number, line) in lines.enumerate() {
        let line = line.trim_end_matches(['\r', ' ', '\t']);
        // An empty line would end the header for some reader.
        if number > 0 && line.trim_start().is_empty() {
            continue;
        }
        if number > 0 {
            field.extend_from_slice(b"\r\n");
            if !line.starts_with([' ', '\t']) {
                field.push(b'\t');
            }
        }
        let shown = line.chars().map(|c| if c == '\t' || !c.is_control() { c } else { '?' });
        let shown: String = shown.collect();
        if shown.len() > LINE_BYTES_MAX - NAME_BYTES_MAX - 2 {
            return None;
        }
        field.extend_from_slice(shown.as_bytes());
    }
    field.extend_from_slice(b"\r\n");
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIL: &str = "From: a\r\nX-A: 1\r\nx-a: 2\r\n more\r\nSubject: s\r\n\r\n";

    fn add(name: &str, value: &str) -> Edit {
        Edit::Add { name: name.into(), value: value.into() }
    }

    fn insert(name: &str, value: &str) -> Edit {
        Edit::Insert { name: name.into(), value: value.into() }
    }

    fn change(name: &str, number: usize, value: &str) -> Edit {
        Edit::Change { name: name.into(), number, value: value.into() }
    }

    fn remove(name: &str, number: usize) -> Edit {
        Edit::Remove { name: name.into(), number }
    }

    fn check(edits: &[Edit], front: &str, header: Option<&str>, refused: usize) {
        let mut changed = Header::new(&Bytes::from_static(MAIL.as_bytes()));
        assert_eq!(changed.apply(edits), refused, "{edits:?}");
        let (found, edited) = changed.finish();
        let edited = edited.map(|header| String::from_utf8_lossy(&header).into_owned());
        assert_eq!(String::from_utf8_lossy(&found), front, "{edits:?}");
        assert_eq!(edited.as_deref(), header, "{edits:?}");
    }

    #[test]
    fn fields_are_added_in_front_in_their_order() {
        check(&[], "", None, 0);
        let two = [add("X-Spam", "yes"), add("X-Status", "a,\n b,\r\n\tc\nd")];
        check(&two, "X-Spam: yes\r\nX-Status: a,\r\n b,\r\n\tc\r\n\td\r\n", None, 0);
        check(&[change("X-New", 1, "v")], "X-New: v\r\n", None, 0);
        // What was added can be changed, and the header is as it was.
        check(&[add("X-B", "1"), change("X-B", 1, "22")], "X-B: 22\r\n", None, 0);
        check(&[add("X-B", "1"), remove("X-B", 0)], "", None, 0);
    }

    #[test]
    fn fields_are_changed_and_removed_by_their_number() {
        let header = |middle: &str| format!("From: a\r\n{middle}Subject: s\r\n\r\n");
        check(&[change("X-A", 2, "z")], "", Some(&header("X-A: 1\r\nX-A: z\r\n")), 0);
        check(&[remove("x-a", 1)], "", Some(&header("x-a: 2\r\n more\r\n")), 0);
        check(&[remove("X-A", 0)], "", Some(&header("")), 0);
        check(&[remove("X-A", 3)], "", None, 0);
        let all = [remove("X-A", 0), add("X-A", "new")];
        check(&all, "X-A: new\r\n", Some(&header("")), 0);
        // From behind, so that no number means another field by then.
        check(&[remove("X-A", 2), remove("X-A", 1)], "", Some(&header("")), 0);
        let subject = Some("From: a\r\nX-A: 1\r\nx-a: 2\r\n more\r\nSubject: [SPAM] s\r\n\r\n");
        check(&[change("Subject", 1, "[SPAM] s")], "", subject, 0);
    }

    #[test]
    fn changes_are_made_in_their_order_of_the_header_as_it_is_then() {
        let header = |middle: &str| format!("From: a\r\n{middle}Subject: s\r\n\r\n");
        let second = header("x-a: 2\r\n more\r\n");
        let new = "X-A: new\r\n";
        // The forged one goes, and what the scanner has found stays, in either order.
        check(&[remove("X-A", 1), insert("X-A", "new")], new, Some(&second), 0);
        check(&[remove("X-A", 1), add("X-A", "new")], new, Some(&second), 0);
        check(&[add("X-A", "new"), remove("X-A", 1)], new, Some(&second), 0);
        // What is inserted is the first, what is added is the last.
        check(&[insert("X-A", "new"), remove("X-A", 1)], "", None, 0);
        check(&[add("X-A", "new"), remove("X-A", 3)], "", None, 0);
        let both = [add("X-B", "last"), insert("X-B", "first"), add("X-B", "end")];
        let with = |last: &[Edit]| [&both[..], last].concat();
        check(&with(&[]), "X-B: first\r\nX-B: last\r\nX-B: end\r\n", None, 0);
        check(&with(&[change("X-B", 1, "1")]), "X-B: 1\r\nX-B: last\r\nX-B: end\r\n", None, 0);
        let removed = with(&[remove("X-B", 1), change("X-B", 1, "22"), add("X-B", "3")]);
        check(&removed, "X-B: 22\r\nX-B: end\r\nX-B: 3\r\n", None, 0);
        check(&with(&[remove("X-B", 0), add("X-B", "v")]), "X-B: v\r\n", None, 0);
        // For the next one, what this one has added stands before the header.
        let mut changed = Header::new(&Bytes::from_static(MAIL.as_bytes()));
        assert_eq!(changed.apply(&[add("X-A", "new")]), 0);
        assert_eq!(changed.apply(&[add("X-C", "c"), remove("X-A", 1)]), 0);
        assert_eq!(changed.finish(), (b"X-C: c\r\n".to_vec(), None));
    }

    #[test]
    fn attack_a_header_full_of_one_name_is_cleared_at_once() {
        let count = 30_000;
        let mut changed = Header::new(&Bytes::from("X-A: 1\r\n".repeat(count) + "B: b\r\n\r\n"));
        assert_eq!(changed.apply(&[remove("X-A", 0), add("X-A", "new")]), 0);
        let expect = (b"X-A: new\r\n".to_vec(), Some(Bytes::from_static(b"B: b\r\n\r\n")));
        assert_eq!(changed.finish(), expect);
    }

    #[test]
    fn attack_what_would_be_more_than_a_field_is_left_out_or_made_harmless() {
        for name in ["", "a b", "a:b", "a\r\nb", "é", "X-Rialto-Spam", "x-rialto-origin"] {
            check(&[add(name, "v"), change(name, 1, "v"), remove(name, 0)], "", None, 3);
        }
        check(&[add("X-MS-Exchange-Organization-SCL", "-1")], "", None, 1);
        check(
            &[add("X", "a\r\nX-Rialto-Spam: none")],
            "X: a\r\n\tX-Rialto-Spam: none\r\n",
            None,
            0,
        );
        check(&[add("X", "a\r\n\r\nbody")], "X: a\r\n\tbody\r\n", None, 0);
        check(&[add("X", "a\rb\0c\u{1b}")], "X: a?b?c?\r\n", None, 0);
        check(&[add("X", &"v".repeat(VALUE_BYTES_MAX + 1))], "", None, 1);
        check(&[add("X", &"v".repeat(1_000))], "", None, 1);
        let many = vec![add("X", "v"); EDITS_MAX + 3];
        check(&many, &"X: v\r\n".repeat(EDITS_MAX), None, 3);
        let line = "v".repeat(900);
        let large = vec![add("X", &[line.as_str(); 8].join("\n ")); 30];
        let mut changed = Header::new(&Bytes::new());
        assert!(changed.apply(&large) > 0);
        assert!(changed.finish().0.len() <= ADDED_BYTES_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// As in a list: inserted fields, the header's, and added ones, which stand before it.
        #[test]
        fn changes_are_those_of_a_list(
            steps in proptest::collection::vec((0..4, 0..2_usize, 0..4_usize), 0..12),
        ) {
            const NAMES: [&str; 2] = ["X-A", "X-B"];
            let mut list = vec![(1, 0, "1".to_owned()), (1, 1, "2".into()), (1, 0, "3".into())];
            let shown = |list: &[(i32, usize, String)], places: &[i32]| -> String {
                let mut text = String::new();
                for place in places {
                    for (_, name, value) in list.iter().filter(|one| one.0 == *place) {
                        text = text + NAMES[*name] + ": " + value + "\r\n";
                    }
                }
                text
            };
            let mut changed = Header::new(&Bytes::from(shown(&list, &[1]) + "\r\n"));
            let mut edits = Vec::new();
            for (at, (kind, name, number)) in steps.into_iter().enumerate() {
                let value = "v".repeat(at + 1);
                let known = list.iter().enumerate().filter(|(_, one)| one.1 == name);
                let found = known.map(|(at, _)| at).nth(number.max(1) - 1);
                edits.push(match kind {
                    0 => add(NAMES[name], &value),
                    1 => insert(NAMES[name], &value),
                    2 => change(NAMES[name], number, &value),
                    _ => remove(NAMES[name], number),
                });
                match (kind, found) {
                    (1, _) => list.insert(0, (0, name, value)),
                    (2, Some(at)) => list[at].2 = value,
                    (0 | 2, _) => list.push((2, name, value)),
                    _ if number == 0 => list.retain(|one| one.1 != name),
                    (_, Some(at)) => drop(list.remove(at)),
                    (_, None) => {}
                }
            }
            prop_assert_eq!(changed.apply(&edits), 0);
            let (front, header) = changed.finish();
            prop_assert_eq!(String::from_utf8_lossy(&front), shown(&list, &[0, 2]));
            if let Some(header) = header {
                let expect = shown(&list, &[1]) + "\r\n";
                prop_assert_eq!(String::from_utf8_lossy(&header), expect);
            }
        }

        #[test]
        fn whatever_is_added_is_one_field(name in "[!-~]{1,9}|.{0,5}", value in "(?s).{0,60}") {
            if let Some(field) = field(&name, &value) {
                let found: Vec<_> = header::fields(&field).collect();
                prop_assert_eq!(found.len(), 1, "{:?}", String::from_utf8_lossy(&field));
                prop_assert!(found[0].is(name.as_bytes()));
                prop_assert_eq!(found[0].range.clone(), 0..field.len());
                prop_assert!(header::length(&field, 0).is_none());
            }
        }
    }
}
