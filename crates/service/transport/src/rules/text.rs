//! The text of a message as rules search it, and the bytes of its attachments.

use super::attachments::is_attachment;
use crate::context::Context;
use base::Result;
use codec_extract::append_html;
use codec_mime::Part;
use codec_mime::decode::{TextDecoder, TransferDecoder};
use contract_blob::{ByteStream, Content};
use futures::StreamExt;

/// How much text of a message is searched, in bytes, as stored (Exchange: the first megabyte).
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// So much of a file tells what it is, in bytes, encoded: twice what [`codec_extract::HEAD_BYTES`]
/// asks for.
const MAGIC_BYTES: u64 = 1_024;

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

/// The first decoded bytes of a part, which tell what kind of file it is.
///
/// # Errors
/// The blob store's.
pub(super) async fn head(context: &Context, content: &Content, part: &Part) -> Result<Vec<u8>> {
    let end = part.body.end.min(part.body.start + MAGIC_BYTES);
    let bytes = content.slice(part.body.start..end).read_all(&context.blobs, MAGIC_BYTES).await?;
    let (mut decoder, mut plain) = (TransferDecoder::new(part.transfer_encoding()), Vec::new());
    decoder.push(&bytes, &mut plain);
    decoder.finish(&mut plain);
    Ok(plain)
}

/// The decoded bytes of a part, as they come.
pub(super) fn bytes(context: &Context, content: &Content, part: &Part) -> ByteStream {
    let encoded = content.slice(part.body.clone()).read(&context.blobs);
    let decoder = Some(TransferDecoder::new(part.transfer_encoding()));
    let step = |(mut encoded, decoder): (ByteStream, Option<TransferDecoder>)| async move {
        let mut decoder = decoder?;
        let mut plain = Vec::new();
        Some(match encoded.next().await {
            Some(Ok(piece)) => {
                decoder.push(&piece, &mut plain);
                (Ok(plain.into()), (encoded, Some(decoder)))
            }
            Some(Err(error)) => (Err(error), (encoded, None)),
            None => {
                decoder.finish(&mut plain);
                (Ok(plain.into()), (encoded, None))
            }
        })
    };
    futures::stream::unfold((encoded, decoder), step).boxed()
}
