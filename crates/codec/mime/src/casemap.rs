//! The collation `i;unicode-casemap` (RFC 5051 §2): texts are compared without regard to case, and
//! to how their characters are composed.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// The form of a text that is compared octet by octet: each character in title case, then
/// decomposed as far as possible.
pub fn casemap(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    let titled: String = text.chars().map(title).collect();
    DecomposingNormalizerBorrowed::new_nfkd().normalize(&titled).into_owned()
}

/// The simple title case of a character: the one character it has in Unicode's main table, not the
/// several that full case mapping may give.
fn title(c: char) -> char {
    match c {
        // The digraphs, whose title case is not their upper case.
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        // Georgian has capitals for whole texts in capitals only.
        '\u{10d0}'..='\u{10ff}' => c,
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_the_same() {
        for (a, b) in [
            ("Lunch", "lUNCH"),
            ("Grüße", "GRÜßE"),
            ("é", "e\u{301}"),
            ("É", "e\u{301}"),
            ("Å", "\u{212b}"),
            ("ǆ", "Ǆ"),
            ("Ж", "ж"),
            ("ა", "ა"),
        ] {
            assert_eq!(casemap(a), casemap(b), "{a} {b}");
        }
        assert_eq!(casemap("abc é"), "ABC E\u{301}");
        assert_eq!(casemap("ß"), "ß");
        assert_eq!(casemap("ǆ"), "Dz\u{30c}");
        assert_ne!(casemap("a"), casemap("b"));
    }
}
