//! Changes of a message's header.

use super::evaluate::Edit;
use base::Address;
use codec_mime::build::HeaderWriter;
use codec_mime::encoded_word;
use codec_mime::header::{Keep, fields, filter, find};
use std::ops::Range;

/// A header with all changes made but for disclaimers, which are about the body.
pub(super) fn header(old: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut header = old.to_vec();
    for edit in edits {
        match edit {
            Edit::PrependSubject(prefix) => prepend_subject(&mut header, prefix),
            Edit::Set { name, value } => set(&mut header, name, |field| {
                field.text(name, value);
            }),
            Edit::Remove(name) => remove(&mut header, &[name.as_bytes()]),
            Edit::NameInTo(list) => name_in(&mut header, "To", list),
            Edit::NameInCc(list) => name_in(&mut header, "Cc", list),
            Edit::Disclaimer { .. } => {}
        }
    }
    header
}

fn prepend_subject(header: &mut Vec<u8>, prefix: &str) {
    let old = find(header, b"Subject").map(|field| encoded_word::decode(&field.text()));
    let old = old.unwrap_or_default();
    if !old.starts_with(prefix.trim_end()) {
        set(header, "Subject", |field| {
            field.text("Subject", &format!("{prefix}{old}"));
        });
    }
}

/// Puts a field in place of those of its name; behind the others where there is none.
pub(super) fn set(header: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut HeaderWriter)) {
    let mut writer = HeaderWriter::new();
    write(&mut writer);
    let place = find(header, name.as_bytes()).map(|field| field.range.start);
    remove(header, &[name.as_bytes()]);
    let place = place.unwrap_or_else(|| end_of_fields(header));
    splice(header, place..place, &writer.fields());
}

/// Removes all fields of these names.
pub(super) fn remove<N: AsRef<[u8]>>(header: &mut Vec<u8>, names: &[N]) {
    let kept = filter(header, names, Keep::Unlisted);
    *header = kept.into_iter().flat_map(|range| header[range].to_vec()).collect();
}

/// Takes a text out of a header where it begins a line; says whether it was there.
pub(super) fn take_out(header: &mut Vec<u8>, field: &[u8]) -> bool {
    let begins = |at: &usize| *at == 0 || header[at - 1] == b'\n';
    let mut places = header.windows(field.len().max(1)).enumerate();
    let found = places.find_map(|(at, there)| (there == field && begins(&at)).then_some(at));
    let Some(at) = found else { return false };
    header.drain(at..at + field.len());
    true
}

/// Adds addresses to the first field of a name.
fn name_in(header: &mut Vec<u8>, name: &str, list: &[Address]) {
    let list: Vec<_> = list.iter().map(ToString::to_string).collect();
    if list.is_empty() {
        return;
    }
    let list = list.join(",\r\n ");
    let Some(field) = find(header, name.as_bytes()) else {
        let place = end_of_fields(header);
        return splice(header, place..place, format!("{name}: {list}\r\n").as_bytes());
    };
    let is_empty = field.value.trim_ascii().is_empty();
    let end = field.range.start + header[field.range.clone()].trim_ascii_end().len();
    let more = if is_empty { format!(" {list}") } else { format!(",\r\n {list}") };
    splice(header, end..end, more.as_bytes());
}

/// Where another field can be put behind all others.
fn end_of_fields(header: &[u8]) -> usize {
    fields(header).last().map_or(0, |field| field.range.end)
}

fn splice(header: &mut Vec<u8>, range: Range<usize>, bytes: &[u8]) {
    // A last line without its end must not swallow what comes behind it.
    let open = range.start > 0 && !header[..range.start].ends_with(b"\n");
    let is_field = bytes.first().is_some_and(|byte| !matches!(byte, b' ' | b','));
    let gap: &[u8] = if open && is_field { b"\r\n" } else { b"" };
    header.splice(range, [gap, bytes].concat());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(old: &str, edits: &[Edit], expect: &str) {
        let new = header(old.as_bytes(), edits);
        assert_eq!(String::from_utf8(new).unwrap(), expect, "{old:?} {edits:?}");
    }

    fn to(list: &[&str]) -> Vec<Address> {
        list.iter().map(|text| Address::parse_plain(text).unwrap()).collect()
    }

    #[test]
    fn subjects_are_prefixed_once() {
        let edit = [Edit::PrependSubject("[EXT] ".into())];
        check("Subject: a\r\nTo: b\r\n\r\n", &edit, "Subject: [EXT] a\r\nTo: b\r\n\r\n");
        check("Subject: [EXT] a\r\n\r\n", &edit, "Subject: [EXT] a\r\n\r\n");
        check("To: b\r\n\r\n", &edit, "To: b\r\nSubject: [EXT]\r\n\r\n");
        let umlaut = "Subject: =?utf-8?q?=C3=BCber?=\r\n\r\n";
        let new = header(umlaut.as_bytes(), &edit);
        let field = find(&new, b"Subject").unwrap();
        assert_eq!(encoded_word::decode(&field.text()), "[EXT] über");
    }

    #[test]
    fn fields_are_set_and_removed() {
        let set = |name: &str, value: &str| Edit::Set { name: name.into(), value: value.into() };
        let old = "A: 1\r\nx: 2\r\n more\r\nX: 3\r\nB: 4\r\n\r\n";
        check(old, &[set("X", "new")], "A: 1\r\nX: new\r\nB: 4\r\n\r\n");
        check(old, &[Edit::Remove("X".into())], "A: 1\r\nB: 4\r\n\r\n");
        check(old, &[set("C", "5"), Edit::Remove("x".into())], "A: 1\r\nB: 4\r\nC: 5\r\n\r\n");
        check("", &[set("C", "5")], "C: 5\r\n");
        check("A: 1", &[set("C", "5")], "A: 1\r\nC: 5\r\n");
        check("\r\n", &[set("C", "5")], "C: 5\r\n\r\n");
    }

    #[test]
    fn recipients_are_named() {
        let edit = [Edit::NameInTo(to(&["x@example.org", "y@example.org"]))];
        let named = "To: a@b,\r\n x@example.org,\r\n y@example.org\r\n\r\n";
        check("To: a@b\r\n\r\n", &edit, named);
        check("To:\r\n\r\n", &edit, "To: x@example.org,\r\n y@example.org\r\n\r\n");
        check("A: 1\r\n\r\n", &edit, "A: 1\r\nTo: x@example.org,\r\n y@example.org\r\n\r\n");
        check("A: 1\r\n\r\n", &[Edit::NameInCc(Vec::new())], "A: 1\r\n\r\n");
    }
}
