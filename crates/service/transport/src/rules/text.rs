//! The text of a message as rules search it, and what kind of file an attachment is.

use super::facts::is_attachment;
use crate::context::Context;
use base::Result;
use codec_mime::Part;
use codec_mime::decode::{TextDecoder, TransferDecoder};
use contract_blob::Content;
use futures::StreamExt;

/// How much text of a message is searched, in bytes, as stored (Exchange: the first megabyte).
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// So much of a file tells what it is, in bytes, encoded.
const MAGIC_BYTES: u64 = 64;

/// The text of all parts that are shown as the message, up to a megabyte.
///
/// # Errors
/// The blob store's.
pub(super) async fn read(context: &Context, content: &Content, parts: &[&Part]) -> Result<String> {
    let (mut all, mut left) = (String::new(), TEXT_BYTES_MAX);
    for part in parts {
        if !part.content_type.is_main("text") || is_attachment(part) || left == 0 {
            continue;
        }
        let end = part.body.end.min(part.body.start + left);
        left -= end.saturating_sub(part.body.start);
        let decoded = decoded(context, &content.slice(part.body.start..end), part).await?;
        match part.content_type.is("text", "html") {
            true => append_html(&decoded, &mut all),
            false => all.push_str(&decoded),
        }
        all.push('\n');
    }
    Ok(all)
}

/// The text of a part, or of its beginning.
///
/// # Errors
/// The blob store's.
pub(super) async fn decoded(context: &Context, body: &Content, part: &Part) -> Result<String> {
    let (mut decoder, mut text) = (TextDecoder::new(part), String::new());
    let mut bytes = body.read(&context.blobs);
    while let Some(piece) = bytes.next().await {
        decoder.push(&piece?, &mut text);
    }
    decoder.finish(&mut text);
    Ok(text)
}

/// Adds what people see of HTML: text between tags, the usual entities decoded. Words that markup
/// divides stay whole; elements that end a line divide words.
pub(super) fn append_html(html: &str, into: &mut String) {
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
    let number = rest.strip_prefix("&#").and_then(|rest| rest.split_once(';'));
    let number = number.filter(|(digits, _)| digits.len() <= 8).and_then(|(digits, _)| {
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

/// Endings of files that Windows runs.
const PROGRAMS: [&str; 24] = [
    "exe", "com", "scr", "pif", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "wsh", "msi",
    "msp", "dll", "cpl", "hta", "jar", "ps1", "lnk", "reg", "sys", "ocx", "gadget",
];

/// Whether a file of this name is run when it is opened.
pub(super) fn is_program_name(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| PROGRAMS.contains(&ending.trim()))
}

/// Whether a part's first bytes are those of a program for Windows, Linux or macOS.
///
/// # Errors
/// The blob store's.
pub(super) async fn is_program(context: &Context, content: &Content, part: &Part) -> Result<bool> {
    const MAGICS: [&[u8]; 5] =
        [b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xcf"];
    let end = part.body.end.min(part.body.start + MAGIC_BYTES);
    let bytes = content.slice(part.body.start..end).read_all(&context.blobs, MAGIC_BYTES).await?;
    let (mut decoder, mut plain) = (TransferDecoder::new(part.transfer_encoding()), Vec::new());
    decoder.push(&bytes, &mut plain);
    decoder.finish(&mut plain);
    Ok(MAGICS.iter().any(|magic| plain.starts_with(magic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_searched_as_it_is_seen() {
        let check = |html: &str, expect: &str| {
            let mut text = String::new();
            append_html(html, &mut text);
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
    fn programs_are_known_by_their_names() {
        assert!(is_program_name("invoice.pdf.exe") && is_program_name("a.js "));
        assert!(!is_program_name("exe") && !is_program_name("a.docx"));
    }
}
