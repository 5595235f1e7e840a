//! HTML as people see it.

/// Adds what people see of HTML: text between tags, the usual entities decoded. Words that markup
/// divides stay whole; elements that end a line divide words.
pub fn append(html: &str, into: &mut String) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        append_entities(&rest[..at], into);
        rest = &rest[at..];
        let tag: String = rest[1..].chars().take(10).collect::<String>().to_ascii_lowercase();
        let hidden = ["script", "style"].into_iter().find(|name| tag.starts_with(name));
        let end = match hidden {
            _ if tag.starts_with("!--") => rest.find("-->").map(|at| at + 3),
            Some(name) => end_of(rest, name),
            None => rest.find('>').map(|at| at + 1),
        };
        if !is_inline(&tag) {
            into.push(' ');
        }
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
    }
    append_entities(rest, into);
}

/// Where the element that begins here is over.
fn end_of(rest: &str, name: &str) -> Option<usize> {
    let closes = |(at, _): &(usize, &str)| {
        let found = rest.get(at + 2..at + 2 + name.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    let (at, _) = rest.match_indices("</").find(closes)?;
    rest[at..].find('>').map(|end| at + end + 1)
}

/// Whether a tag leaves the word around it whole.
fn is_inline(tag: &str) -> bool {
    const INLINE: [&str; 10] = ["b", "i", "u", "em", "strong", "span", "font", "a", "wbr", "!--"];
    let name = tag.trim_start_matches('/');
    let name = name.split(|c: char| !c.is_alphanumeric() && c != '!' && c != '-').next();
    name.is_some_and(|name| INLINE.contains(&name) || name.starts_with("!--"))
}

const ENTITIES: [(&str, &str); 6] = [
    ("&nbsp;", " "),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&shy;", ""),
];

fn append_entities(text: &str, into: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        into.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = ENTITIES.iter().find(|(name, _)| rest.starts_with(name));
        let taken = match known {
            Some((name, character)) => {
                into.push_str(character);
                name.len()
            }
            None if rest.starts_with("&amp;") => {
                into.push('&');
                5
            }
            None => append_number(rest, into),
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    into.push_str(rest);
}

/// A numeric entity, or the ampersand itself; tells how many bytes it was.
fn append_number(rest: &str, into: &mut String) -> usize {
    // Only what a number can be long is looked at: a text of ampersands is walked through once.
    let near = rest.get(..rest.floor_char_boundary(11)).unwrap_or_default();
    let number = near.strip_prefix("&#").and_then(|near| near.split_once(';'));
    let number = number.and_then(|(digits, _)| {
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        };
        Some((char::from_u32(code?)?, digits.len() + 3))
    });
    let (character, length) = number.unwrap_or(('&', 1));
    into.push(character);
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_searched_as_it_is_seen() {
        let check = |html: &str, expect: &str| {
            let mut text = String::new();
            append(html, &mut text);
            let words: Vec<_> = text.split_whitespace().collect();
            assert_eq!(words.join(" "), expect, "{html}");
        };
        check("<p>se<b>cr</b>et</p><p>plan</p>", "secret plan");
        check("a<br>b", "a b");
        check("<style>x{}</style>shown<SCRIPT>hidden</SCRIPT>too", "shown too");
        check(
            "1 &lt; 2 &amp;amp; &#65;&#x42;&nbsp;c &unknown; &#;",
            "1 < 2 &amp; AB c &unknown; &#;",
        );
        check("<!-- > hidden -->shown", "shown");
        check("<style>a</script></STYLE >b<script>c</style></scripts>d", "b d");
        check("cut <b", "cut");
        check("ü<span>ß</span>", "üß");
        check("<scr<script>x", "x");
        check("&#9999999999;&#xD800;", "&#9999999999;&#xD800;");
    }
    #[test]
    fn attack_49_a_text_of_ampersands_is_walked_through_once() {
        let text = "&#".repeat(500_000);
        let mut out = String::new();
        append(&text, &mut out);
        assert_eq!(out, text);
    }
}
