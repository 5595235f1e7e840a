//! The dear tiers: envelope, header bytes, bodies. Each is looked at only for the texts that the
//! answer still depends on.
//!
//! The text of a message is its decoded header and the decoded text of all its `text/*` parts,
//! attachments and markup as they are, those of embedded messages and these messages' headers
//! among them. Nothing is found across the border of two parts or header fields.

use super::envelope;
use super::plan::{Facts, Place, Plan};
use super::text::{Finder, fold};
use base::Result;
use bytes::Bytes;
use codec_mime::decode::TextDecoder;
use codec_mime::{Part, PartKind, encoded_word, header};
use contract_blob::{Blobs, Content};
use contract_mailbox::{IndexEntry, MessageMeta};
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;

/// How much of one header is looked at, in bytes. Far more than any genuine one has.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Gaps between two texts up to this long are read over, in bytes: that costs less than beginning
/// another read.
const GAP_BYTES: u64 = 64 * 1024;

/// Decides whether a message fulfils the condition.
///
/// # Errors
/// The blob store's.
pub(super) async fn decide(
    plan: &Plan,
    entry: &IndexEntry,
    meta: &MessageMeta,
    blobs: &Arc<dyn Blobs>,
) -> Result<bool> {
    let texts = vec![None; plan.texts.len()];
    let mut message = Message { plan, entry, meta, blobs, texts };
    message.look_at_envelope();
    if let Some(value) = message.value() {
        return Ok(value);
    }
    message.look_at_header().await?;
    if let Some(value) = message.value() {
        return Ok(value);
    }
    message.look_at_bodies().await?;
    // Whatever was not found is not there.
    for text in &mut message.texts {
        text.get_or_insert(false);
    }
    Ok(message.value().unwrap_or(false))
}

/// A message and what was found in it.
struct Message<'m> {
    plan: &'m Plan,
    entry: &'m IndexEntry,
    meta: &'m MessageMeta,
    blobs: &'m Arc<dyn Blobs>,
    texts: Vec<Option<bool>>,
}

/// A stretch of the message's bytes that has text in it.
enum Stretch<'p> {
    Header(Range<u64>),
    Text(&'p Part),
}

impl Stretch<'_> {
    fn range(&self) -> &Range<u64> {
        match self {
            Self::Header(range) => range,
            Self::Text(part) => &part.body,
        }
    }
}

impl<'m> Message<'m> {
    fn facts(&self) -> Facts<'_> {
        Facts::with(self.entry, &self.meta.parsed, &self.texts)
    }

    fn value(&self) -> Option<bool> {
        self.plan.evaluate(&self.facts())
    }

    /// The numbers of the texts that matter, with where they are looked for.
    fn open(&self) -> impl Iterator<Item = (usize, &'m Place, &'m str)> + use<'m> {
        let open = self.plan.open_texts(&self.facts());
        let texts = self.plan.texts.iter().enumerate();
        let plan: Vec<_> = texts.filter(|(number, _)| open[*number]).collect();
        plan.into_iter().map(|(number, wanted)| (number, &wanted.place, wanted.text.as_str()))
    }

    fn look_at_envelope(&mut self) {
        let parsed = &self.meta.parsed;
        for (number, place, text) in self.open() {
            if let Place::Envelope(field) = place {
                let found = envelope::folded(parsed, *field).is_some_and(|all| all.contains(text));
                // What is missing from a cut envelope may still be in the header.
                if found || !parsed.truncated {
                    self.texts[number] = Some(found);
                }
            }
        }
    }

    async fn look_at_header(&mut self) -> Result<()> {
        let open: Vec<_> = self.open().filter(|(_, place, _)| **place != Place::Body).collect();
        if open.is_empty() {
            return Ok(());
        }
        let bytes = read_header(&self.meta.content, &self.meta.parsed.root.header, self.blobs);
        let bytes = bytes.await?;
        let anywhere = open.iter().filter(|(_, place, _)| **place == Place::Anywhere);
        let mut finder = Finder::new(anywhere.map(|(number, _, text)| (*number, *text)).collect());
        push_header(&bytes, &mut finder, &mut self.texts);
        for (number, place, text) in open {
            let name = match place {
                Place::Header(name) => name.as_str(),
                Place::Envelope(field) => field.name(),
                Place::Body | Place::Anywhere => continue,
            };
            let mut fields = header::fields(&bytes).filter(|field| field.is(name.as_bytes()));
            let found = fields.any(|field| {
                text.is_empty() || fold(&encoded_word::decode(&field.text())).contains(text)
            });
            self.texts[number] = Some(found);
        }
        Ok(())
    }

    async fn look_at_bodies(&mut self) -> Result<()> {
        let open = self.open().map(|(number, _, text)| (number, text)).collect();
        let mut finder = Finder::new(open);
        let mut stretches = Vec::new();
        collect(&self.meta.parsed.root, &mut stretches);
        let mut rest = &stretches[..];
        while let Some(first) = rest.first() {
            // As many stretches as lie close together are read at once.
            let mut end = first.range().end;
            let close = rest.iter().take_while(|stretch| {
                let near = stretch.range().start <= end.saturating_add(GAP_BYTES);
                end = end.max(if near { stretch.range().end } else { 0 });
                near
            });
            let count = close.count();
            let range = first.range().start..end;
            if self.look_at(range, &rest[..count], &mut finder).await? {
                return Ok(());
            }
            rest = &rest[count..];
            // A search through many small messages must not keep others from running.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Reads a range with some stretches in it; says whether the answer is known.
    async fn look_at(
        &mut self,
        range: Range<u64>,
        stretches: &[Stretch<'_>],
        finder: &mut Finder<'_>,
    ) -> Result<bool> {
        let mut at = range.start;
        let mut bytes = self.meta.content.slice(range).read(self.blobs);
        let mut stretches = stretches.iter().peekable();
        let mut open: Option<Decoding> = None;
        let mut text = String::new();
        while let Some(chunk) = bytes.next().await.transpose()? {
            let chunk_end = at + chunk.len() as u64;
            while let Some(stretch) = stretches.peek() {
                let begin = stretch.range().start.max(at);
                let end = stretch.range().end.min(chunk_end);
                if begin >= chunk_end {
                    break;
                }
                let decoding = open.get_or_insert_with(|| Decoding::of(stretch));
                let piece = &chunk[(begin - at) as usize..(end.max(begin) - at) as usize];
                decoding.push(piece, &mut text);
                self.feed(&mut text, finder);
                if stretch.range().end > chunk_end {
                    break;
                }
                match open.take() {
                    Some(Decoding::Text(decoder)) => decoder.finish(&mut text),
                    Some(Decoding::Header(header)) => {
                        push_header(&header, finder, &mut self.texts);
                    }
                    None => {}
                }
                self.feed(&mut text, finder);
                finder.gap();
                stretches.next();
            }
            at = chunk_end;
            if finder.is_done() || self.value().is_some() {
                return Ok(true);
            }
            finder.keep(&self.plan.open_texts(&self.facts()));
        }
        Ok(false)
    }

    fn feed(&mut self, text: &mut String, finder: &mut Finder<'_>) {
        let texts = &mut self.texts;
        finder.push(text, |number| texts[number] = Some(true));
        text.clear();
    }
}

/// A stretch that has begun.
enum Decoding {
    Header(Vec<u8>),
    Text(TextDecoder),
}

impl Decoding {
    fn of(stretch: &Stretch<'_>) -> Self {
        match stretch {
            Stretch::Header(_) => Self::Header(Vec::new()),
            Stretch::Text(part) => Self::Text(TextDecoder::new(part)),
        }
    }

    fn push(&mut self, bytes: &[u8], text: &mut String) {
        match self {
            Self::Header(header) => {
                let room = (HEADER_BYTES_MAX as usize).saturating_sub(header.len());
                header.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Self::Text(decoder) => decoder.push(bytes, text),
        }
    }
}

/// All that has text in a part's body, in order of its bytes. Recursion is bounded by the parser
/// ([`codec_mime::Limits::depth`]).
fn collect<'p>(part: &'p Part, stretches: &mut Vec<Stretch<'p>>) {
    match &part.kind {
        PartKind::Leaf if part.content_type.is_main("text") && !part.body.is_empty() => {
            stretches.push(Stretch::Text(part));
        }
        PartKind::Leaf => {}
        PartKind::Multipart(parts) => parts.iter().for_each(|part| collect(part, stretches)),
        PartKind::Message { part, .. } => {
            if !part.header.is_empty() {
                stretches.push(Stretch::Header(part.header.clone()));
            }
            collect(part, stretches);
        }
    }
}

async fn read_header(
    content: &Content,
    range: &Range<u64>,
    blobs: &Arc<dyn Blobs>,
) -> Result<Bytes> {
    let end = range.end.min(range.start.saturating_add(HEADER_BYTES_MAX));
    content.slice(range.start..end).read_all(blobs, HEADER_BYTES_MAX).await
}

/// Looks through the decoded fields of a header.
fn push_header(bytes: &[u8], finder: &mut Finder<'_>, texts: &mut [Option<bool>]) {
    for field in header::fields(bytes) {
        if finder.is_done() {
            return;
        }
        let mut text = String::from_utf8_lossy(field.name).into_owned();
        if !field.name.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&encoded_word::decode(&field.text()));
        finder.push(&text, |number| texts[number] = Some(true));
        finder.gap();
    }
}
