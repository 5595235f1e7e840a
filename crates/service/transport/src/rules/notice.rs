//! What recipients are told of a message.

use codec_mime::encoded_word;
use codec_mime::header::find;

/// The places for what stands in a message's header, and in which fields.
const PLACES: [(&str, &str); 5] = [
    ("%%from%%", "From"),
    ("%%to%%", "To"),
    ("%%cc%%", "Cc"),
    ("%%subject%%", "Subject"),
    ("%%date%%", "Date"),
];

/// The longest text that is put in from a header, in characters.
const CHARS_MAX: usize = 2_000;

/// A text with what the message's header says put into it. What stands there stays text, and is not
/// looked through for places again.
pub(super) fn filled(html: &str, header: &[u8]) -> String {
    let (mut out, mut rest) = (String::new(), html);
    while let Some((before, behind)) = rest.split_once("%%") {
        out.push_str(before);
        let at = rest.len() - behind.len() - 2;
        let place = rest.get(at..).unwrap_or_default();
        match PLACES.iter().find(|(name, _)| place.starts_with(name)) {
            Some((name, field)) => {
                let value = find(header, field.as_bytes());
                let value = value.map(|field| encoded_word::decode(&field.text()));
                let value: String = value.unwrap_or_default().chars().take(CHARS_MAX).collect();
                out.push_str(&escaped(&value));
                rest = place.get(name.len()..).unwrap_or_default();
            }
            None => {
                out.push_str("%%");
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_header_says_is_put_in_as_text() {
        let header = b"From: A <a@b.test>\r\nSubject: =?utf-8?q?=C3=BC_<b>_%%from%%?=\r\n\r\n";
        let check = |html: &str, expect: &str| assert_eq!(filled(html, header), expect);
        check(
            "<p>%%from%%: %%subject%%</p>",
            "<p>A &lt;a@b.test&gt;: \u{fc} &lt;b&gt; %%from%%</p>",
        );
        check("100%% %%cc%%%%unknown%%", "100%% %%unknown%%");
        check("%%", "%%");
    }
}
