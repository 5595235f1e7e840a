//! Lists of tags: `v=1; a=rsa-sha256; …` (RFC 6376 §3.2), in signatures, keys and policies.

/// More tags than any list of ours has meanings for.
const TAGS_MAX: usize = 64;

/// Reads a list. Values are without the white space around them. `None` where it is no such list,
/// names a tag twice, or is beyond all measure.
pub fn parse(text: &[u8]) -> Option<Vec<(&str, &str)>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for part in text.split(';').map(trim) {
        if part.is_empty() {
            continue;
        }
        let (name, value) = part.split_once('=')?;
        let name = trim(name);
        let named = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named || tags.len() >= TAGS_MAX || tags.iter().any(|(known, _)| *known == name) {
            return None;
        }
        tags.push((name, trim(value)));
    }
    Some(tags)
}

/// The value of a tag.
pub fn find<'a>(tags: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    tags.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// A value without any white space in it.
pub fn dense(value: &str) -> String {
    value.chars().filter(|c| !is_blank(*c)).collect()
}

/// Where the value of tag `b` stands in a list, for leaving it out (RFC 6376 §3.7).
pub fn signature_range(list: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    for part in list.split(|byte| *byte == b';') {
        if let Some(equals) = part.iter().position(|byte| *byte == b'=')
            && part[..equals].trim_ascii() == b"b"
        {
            return Some(at + equals + 1..at + part.len());
        }
        at += part.len() + 1;
    }
    None
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}
