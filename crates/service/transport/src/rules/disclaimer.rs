//! Putting a disclaimer into a message: into its first plain text and its first HTML, without
//! touching anything else. Bytes that stay are referred to, not copied.

use super::edit;
use super::evaluate::Edit;
use super::text;
use crate::context::Context;
use base::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codec_mime::{ParsedMessage, Part, PartKind};
use contract_blob::Content;
use contract_transport::rule::Place;
use std::ops::Range;

/// A text longer than this is not rewritten, in bytes: it counts as one that cannot be.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// How many bytes a line of base64 holds, encoded (RFC 2045 §6.8).
const LINE_BYTES: usize = 76;

/// What is to stand in place of some bytes of a message.
pub(super) struct Replacement {
    pub(super) range: Range<u64>,
    pub(super) bytes: Vec<u8>,
}

/// What is put in.
pub(super) struct Disclaimer<'a> {
    pub(super) html: &'a str,
    pub(super) place: Place,
}

impl Disclaimer<'_> {
    /// What has to be replaced in a message; `None` where nothing can be put in. The header of the
    /// message is `header` by now.
    ///
    /// # Errors
    /// The blob store's.
    pub(super) async fn insert(
        &self,
        context: &Context,
        content: &Content,
        parsed: &ParsedMessage,
        header: &mut Vec<u8>,
    ) -> Result<Option<Vec<Replacement>>> {
        let mut found = Found::default();
        if !look(&parsed.root, &mut found) || found.is_empty() {
            return Ok(None);
        }
        let mut replacements = Vec::new();
        for part in [found.plain, found.html].into_iter().flatten() {
            let body = content.slice(part.body.clone());
            let header_bytes = part.header.end.saturating_sub(part.header.start);
            if body.size_bytes().max(header_bytes) > BODY_BYTES_MAX {
                return Ok(None);
            }
            let old = text::decoded(context, &body, part).await?;
            let new = match part.content_type.is("text", "html") {
                true => self.in_html(&old),
                false => self.in_plain(&old),
            };
            let is_root = part.header == parsed.root.header;
            let own = part.header.clone();
            let mut own_header = match is_root {
                true => std::mem::take(header),
                false => content
                    .slice(own.clone())
                    .read_all(&context.blobs, BODY_BYTES_MAX)
                    .await?
                    .to_vec(),
            };
            encode_as_utf8(&mut own_header, part);
            match is_root {
                true => *header = own_header,
                false => replacements.push(Replacement { range: own, bytes: own_header }),
            }
            replacements.push(Replacement { range: part.body.clone(), bytes: lines(&new) });
        }
        replacements.sort_by_key(|one| one.range.start);
        Ok(Some(replacements))
    }

    fn in_plain(&self, old: &str) -> String {
        let own = plain(self.html);
        match self.place {
            Place::Append => format!("{}\r\n\r\n{own}\r\n", old.trim_end()),
            Place::Prepend => format!("{own}\r\n\r\n{old}"),
        }
    }

    fn in_html(&self, old: &str) -> String {
        // Letter case of ASCII only, so the places in both texts are the same.
        let folded = old.to_ascii_lowercase();
        let at = match self.place {
            Place::Append => folded.rfind("</body").or_else(|| folded.rfind("</html")),
            Place::Prepend => {
                let body = folded.find("<body");
                body.and_then(|at| folded[at..].find('>').map(|end| at + end + 1)).or(Some(0))
            }
        };
        let (before, after) = old.split_at(at.unwrap_or(old.len()));
        format!("{before}<div>{}</div>{after}", self.html)
    }
}

/// The text of a disclaimer without its markup.
pub(super) fn plain(html: &str) -> String {
    let mut text = String::new();
    for line in html.split_inclusive("</p>").flat_map(|line| line.split_inclusive("<br>")) {
        let mut words = String::new();
        codec_extract::append_html(line, &mut words);
        let words: Vec<_> = words.split_whitespace().collect();
        if !words.is_empty() {
            text.push_str(&words.join(" "));
            text.push_str("\r\n");
        }
    }
    text.trim_end().to_owned()
}

/// The first texts of a message.
#[derive(Default)]
struct Found<'a> {
    plain: Option<&'a Part>,
    html: Option<&'a Part>,
}

impl Found<'_> {
    fn is_empty(&self) -> bool {
        self.plain.is_none() && self.html.is_none()
    }
}

/// Looks for texts; answers `false` where the message must not be changed at all.
fn look<'a>(part: &'a Part, found: &mut Found<'a>) -> bool {
    let kind = &part.content_type;
    let is_sealed = kind.is("multipart", "signed")
        || kind.is("multipart", "encrypted")
        || kind.is("application", "pkcs7-mime")
        || kind.is("application", "x-pkcs7-mime")
        || kind.is("multipart", "report");
    if is_sealed {
        return false;
    }
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().all(|part| look(part, found)),
        PartKind::Message { .. } => true,
        PartKind::Leaf => {
            if !super::attachments::is_attachment(part) {
                if found.plain.is_none() && part.content_type.is("text", "plain") {
                    found.plain = Some(part);
                } else if found.html.is_none() && part.content_type.is("text", "html") {
                    found.html = Some(part);
                }
            }
            true
        }
    }
}

/// Makes a part's header say that its body is base64 of UTF-8.
fn encode_as_utf8(header: &mut Vec<u8>, part: &Part) {
    let kind = part.content_type.media_type();
    edit::set(header, "Content-Type", |field| {
        field.structured("Content-Type", &format!("{kind}; charset=utf-8"));
    });
    edit::set(header, "Content-Transfer-Encoding", |field| {
        field.structured("Content-Transfer-Encoding", "base64");
    });
    let has_version = codec_mime::header::find(header, b"MIME-Version").is_some();
    let is_message = codec_mime::header::find(header, b"From").is_some();
    if is_message && !has_version {
        edit::set(header, "MIME-Version", |field| {
            field.structured("MIME-Version", "1.0");
        });
    }
    // A part without a header still needs the line that ends it.
    if !header.ends_with(b"\r\n\r\n") && header.as_slice() != b"\r\n" {
        header.extend_from_slice(b"\r\n");
    }
}

/// Text as lines of base64.
pub(super) fn lines(text: &str) -> Vec<u8> {
    let encoded = STANDARD.encode(text).into_bytes();
    let mut lines = Vec::with_capacity(encoded.len() / LINE_BYTES * (LINE_BYTES + 2) + 80);
    for line in encoded.chunks(LINE_BYTES) {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// The disclaimers among some edits, with the sender's name and address filled in.
pub(super) fn filled(html: &str, display_name: &str, address: &str) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    html.replace("%%display_name%%", &escaped(display_name))
        .replace("%%address%%", &escaped(address))
}

/// Whether there is a disclaimer among some edits.
pub(super) fn is_wanted(edits: &[Edit]) -> bool {
    edits.iter().any(|edit| matches!(edit, Edit::Disclaimer { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_takes_it_inside_its_body() {
        let check = |place, old: &str, expect: &str| {
            assert_eq!(Disclaimer { html: "<p>d</p>", place }.in_html(old), expect);
        };
        check(Place::Append, "<BODY>a</BODY>", "<BODY>a<div><p>d</p></div></BODY>");
        check(Place::Append, "a", "a<div><p>d</p></div>");
        check(Place::Prepend, "<body x>a", "<body x><div><p>d</p></div>a");
        check(Place::Prepend, "a", "<div><p>d</p></div>a");
        check(Place::Append, "<b>ü</html>", "<b>ü<div><p>d</p></div></html>");
    }

    #[test]
    fn plain_text_takes_its_words() {
        let html = "<p>One &amp; <b>two</b></p><p>three<br>four</p>";
        assert_eq!(plain(html), "One & two\r\nthree\r\nfour");
        let disclaimer = Disclaimer { html, place: Place::Append };
        assert_eq!(disclaimer.in_plain("hi\r\n"), "hi\r\n\r\nOne & two\r\nthree\r\nfour\r\n");
    }

    #[test]
    fn names_cannot_bring_markup() {
        let text = filled("%%display_name%% %%address%%", "<b>&", "a@b");
        assert_eq!(text, "&lt;b&gt;&amp; a@b");
    }
}
