//! Characters by the names that fonts give their glyphs.

const NAMES: [(&str, char); 92] = [
    ("space", ' '),
    ("exclam", '!'),
    ("quotedbl", '"'),
    ("numbersign", '#'),
    ("dollar", '$'),
    ("percent", '%'),
    ("ampersand", '&'),
    ("quotesingle", '\''),
    ("parenleft", '('),
    ("parenright", ')'),
    ("asterisk", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("hyphen", '-'),
    ("minus", '-'),
    ("period", '.'),
    ("slash", '/'),
    ("zero", '0'),
    ("one", '1'),
    ("two", '2'),
    ("three", '3'),
    ("four", '4'),
    ("five", '5'),
    ("six", '6'),
    ("seven", '7'),
    ("eight", '8'),
    ("nine", '9'),
    ("colon", ':'),
    ("semicolon", ';'),
    ("less", '<'),
    ("equal", '='),
    ("greater", '>'),
    ("question", '?'),
    ("at", '@'),
    ("bracketleft", '['),
    ("backslash", '\\'),
    ("bracketright", ']'),
    ("asciicircum", '^'),
    ("underscore", '_'),
    ("grave", '`'),
    ("braceleft", '{'),
    ("bar", '|'),
    ("braceright", '}'),
    ("asciitilde", '~'),
    ("quoteleft", '\u{2018}'),
    ("quoteright", '\u{2019}'),
    ("quotedblleft", '\u{201c}'),
    ("quotedblright", '\u{201d}'),
    ("quotedblbase", '\u{201e}'),
    ("bullet", '\u{2022}'),
    ("endash", '\u{2013}'),
    ("emdash", '\u{2014}'),
    ("ellipsis", '\u{2026}'),
    ("Euro", '\u{20ac}'),
    ("sterling", '\u{a3}'),
    ("section", '\u{a7}'),
    ("copyright", '\u{a9}'),
    ("registered", '\u{ae}'),
    ("degree", '\u{b0}'),
    ("germandbls", '\u{df}'),
    ("adieresis", '\u{e4}'),
    ("odieresis", '\u{f6}'),
    ("udieresis", '\u{fc}'),
    ("Adieresis", '\u{c4}'),
    ("Odieresis", '\u{d6}'),
    ("Udieresis", '\u{dc}'),
    ("aacute", '\u{e1}'),
    ("agrave", '\u{e0}'),
    ("acircumflex", '\u{e2}'),
    ("aring", '\u{e5}'),
    ("atilde", '\u{e3}'),
    ("ae", '\u{e6}'),
    ("ccedilla", '\u{e7}'),
    ("eacute", '\u{e9}'),
    ("egrave", '\u{e8}'),
    ("ecircumflex", '\u{ea}'),
    ("edieresis", '\u{eb}'),
    ("iacute", '\u{ed}'),
    ("igrave", '\u{ec}'),
    ("icircumflex", '\u{ee}'),
    ("idieresis", '\u{ef}'),
    ("dotlessi", '\u{131}'),
    ("ntilde", '\u{f1}'),
    ("oacute", '\u{f3}'),
    ("ograve", '\u{f2}'),
    ("ocircumflex", '\u{f4}'),
    ("otilde", '\u{f5}'),
    ("oslash", '\u{f8}'),
    ("oe", '\u{153}'),
    ("uacute", '\u{fa}'),
    ("ugrave", '\u{f9}'),
    ("ucircumflex", '\u{fb}'),
];

/// Ligatures, which are several characters.
const LIGATURES: [(&str, &str); 5] =
    [("fi", "fi"), ("fl", "fl"), ("ff", "ff"), ("ffi", "ffi"), ("ffl", "ffl")];

/// The text of a glyph of this name, where that is known.
pub(super) fn text(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    // A variant is the same character.
    let name = name.split('.').next().filter(|stem| !stem.is_empty())?;
    let mut characters = name.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return only.is_ascii_alphabetic().then(|| only.to_string());
    }
    if let Some((_, text)) = LIGATURES.iter().find(|(known, _)| *known == name) {
        return Some((*text).to_owned());
    }
    if let Some((_, character)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(character.to_string());
    }
    let digits = name.strip_prefix("uni").or_else(|| name.strip_prefix('u'))?;
    let digits = digits.get(..digits.len().min(6)).filter(|digits| digits.len() >= 4)?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    char::from_u32(code).map(String::from)
}

#[cfg(test)]
mod tests {
    #[test]
    fn glyphs_are_known_by_name() {
        let check = |name: &str, expect: Option<&str>| {
            assert_eq!(super::text(name.as_bytes()).as_deref(), expect, "{name}");
        };
        check("A", Some("A"));
        check("udieresis", Some("\u{fc}"));
        check("a.sc", Some("a"));
        check("uni20AC", Some("\u{20ac}"));
        check("ffi", Some("ffi"));
        check(".notdef", None);
        check("g123", None);
    }
}
