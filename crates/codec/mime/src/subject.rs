//! The base subject (RFC 5256 §2.1): what is left of a subject without the marks of replying and
//! forwarding, so that the messages of one matter have the same.

use crate::encoded_word;

/// How much of a subject is looked at: nobody's marks are longer, and looking for them is not linear.
const BYTES_MAX: usize = 1_000;

/// A subject without its marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseSubject {
    /// What is left; may be empty.
    pub text: String,
    /// Whether there were marks of a reply or of forwarding.
    pub is_reply_or_forward: bool,
}

/// The base subject of an unfolded Subject field.
pub fn base(subject: &[u8]) -> BaseSubject {
    let whole = one_spaced(&encoded_word::decode(subject));
    let mut rest = &whole[..whole.floor_char_boundary(BYTES_MAX)];
    let mut marked = false;
    loop {
        rest = trailers(rest, &mut marked);
        loop {
            let without_leaders = leaders(rest, &mut marked);
            let without_blob = match blob(without_leaders) {
                Some(behind) if !behind.is_empty() => behind,
                _ => without_leaders,
            };
            if without_blob.len() == rest.len() {
                break;
            }
            rest = without_blob;
        }
        match starts(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                marked = true;
                rest = inner;
            }
            None => break,
        }
    }
    BaseSubject { text: rest.to_owned(), is_reply_or_forward: marked }
}

/// White space as single spaces.
fn one_spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for c in text.chars() {
        let is_space = matches!(c, ' ' | '\t' | '\r' | '\n');
        if !is_space {
            spaced.push(c);
        } else if !spaced.ends_with(' ') {
            spaced.push(' ');
        }
    }
    spaced
}

/// Without `subj-trailer`s: `(fwd)` and white space.
fn trailers<'t>(mut text: &'t str, marked: &mut bool) -> &'t str {
    loop {
        text = text.trim_end_matches(' ');
        let cut = text.len().checked_sub(5).filter(|cut| text.is_char_boundary(*cut));
        match cut {
            Some(cut) if text[cut..].eq_ignore_ascii_case("(fwd)") => {
                *marked = true;
                text = &text[..cut];
            }
            _ => return text,
        }
    }
}

/// Without `subj-leader`s: white space, and `re:`, `fw:`, `fwd:` with blobs before them.
fn leaders<'t>(mut text: &'t str, marked: &mut bool) -> &'t str {
    loop {
        text = text.trim_start_matches(' ');
        let mut at = text;
        while let Some(behind) = blob(at) {
            at = behind;
        }
        match refwd(at) {
            Some(behind) => {
                *marked = true;
                text = behind;
            }
            None => return text,
        }
    }
}

/// What is behind a `subj-refwd`, if the text begins with one.
fn refwd(text: &str) -> Option<&str> {
    let behind =
        starts(text, "re").or_else(|| starts(text, "fwd")).or_else(|| starts(text, "fw"))?;
    let behind = behind.trim_start_matches(' ');
    let behind = blob(behind).unwrap_or(behind);
    behind.strip_prefix(':')
}

/// What is behind a `subj-blob` and the white space after it, if the text begins with one.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    let behind = inner[end..].strip_prefix(']')?;
    Some(behind.trim_start_matches(' '))
}

/// What is behind a beginning, in whatever case.
fn starts<'t>(text: &'t str, beginning: &str) -> Option<&'t str> {
    let head = text.get(..beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then(|| &text[beginning.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_subjects() {
        let check = |subject: &str, text: &str, marked: bool| {
            let expect = BaseSubject { text: text.to_owned(), is_reply_or_forward: marked };
            assert_eq!(base(subject.as_bytes()), expect, "{subject:?}");
        };
        check("", "", false);
        check("lunch", "lunch", false);
        check("  lunch \t at\r\n  noon ", "lunch at noon", false);
        check("Re: lunch", "lunch", true);
        check("RE:lunch", "lunch", true);
        check("re : re:  FWD: Fw:lunch", "lunch", true);
        check("Re[2]: lunch", "lunch", true);
        check("Re [2] : lunch", "lunch", true);
        check("Re[2][3]: lunch", "Re[2][3]: lunch", false);
        check("[list] lunch", "lunch", false);
        check("[list] Re: lunch", "lunch", true);
        check("[a] [b] Re: [c] lunch", "lunch", true);
        // A blob that is all there is stays.
        check("[list]", "[list]", false);
        check("Re: [list]", "[list]", true);
        check("[a] [b]", "[b]", false);
        check("[a[b] lunch", "[a[b] lunch", false);
        check("lunch (fwd)", "lunch", true);
        check("lunch (FWD) (fwd)  ", "lunch", true);
        check("(fwd)", "", true);
        check("[fwd: lunch]", "lunch", true);
        check("[Fwd: Re: [x] lunch (fwd)]", "lunch", true);
        check("[fwd: [fwd: lunch]]", "lunch", true);
        check("[fwd: lunch", "[fwd: lunch", false);
        check("Re: fwd", "fwd", true);
        check("reply", "reply", false);
        check("Re", "Re", false);
        check("forward: x", "forward: x", false);
        check("=?UTF-8?Q?Re:_Gr=C3=BC=C3=9Fe?=", "Grüße", true);
        check("Re: ü(fwd", "ü(fwd", true);
        check("Re:", "", true);
    }

    #[test]
    fn what_is_left_has_no_marks() {
        let pieces = ["re:", "fwd:", "[x]", "[fwd:", "]", "(fwd)", " ", "a", "ü", "fw", ":", "["];
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut subject = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                subject.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let once = base(subject.as_bytes());
            let again = base(once.text.as_bytes());
            assert_eq!(again.text, once.text, "{subject:?}");
            assert!(!again.is_reply_or_forward, "{subject:?} {once:?}");
        }
    }
}
