//! The form in which a message goes to a host: as it is, or converted for one that takes less.
//!
//! What leaves converted has lost the signatures that were made for it as it was, so these are left
//! out, and it is signed anew in the form in which it leaves (RFC 6376 §5.3). A message is read up
//! to four times for that; no more of it is held than one piece and one header.

use crate::answer::judged;
use crate::offer::Offer;
use base::Result;
use bytes::Bytes;
use codec_mime::convert::{Converter, Impossible, Plan, Survey, Target};
use codec_mime::{Limits, Scanner};
use contract_blob::{Blobs, ByteStream, Content};
use contract_transport::courier::{Answer, Outgoing};
use futures::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A message as a host gets it.
pub(crate) struct Form {
    content: Content,
    /// What becomes of `content`; `None` if it goes as it is.
    plan: Option<Plan>,
    /// What is put in front then.
    front: Bytes,
    pub(crate) size_bytes: u64,
    pub(crate) is_8bit: bool,
    /// Whether it needs SMTPUTF8, for its header or for an address.
    pub(crate) smtputf8: bool,
}

impl Form {
    /// The form for a host with this offer.
    ///
    /// # Errors
    /// Where the message cannot be read. The inner one says why there is no such form.
    pub(crate) async fn new(
        outgoing: &Outgoing,
        offer: &Offer,
        blobs: &Arc<dyn Blobs>,
    ) -> Result<std::result::Result<Self, Answer>> {
        let has_names = has_utf8_names(outgoing);
        let target = if outgoing.is_8bit && !offer.eight_bit_mime {
            Target::SevenBit
        } else if outgoing.is_8bit && outgoing.needs_smtputf8 && !offer.smtputf8 {
            Target::AsciiHeader
        } else {
            let smtputf8 = outgoing.needs_smtputf8 && offer.smtputf8;
            return Ok(Ok(Self::unchanged(outgoing, smtputf8)));
        };
        let content = outgoing.content.slice(outgoing.signed_bytes..u64::MAX);
        let plan = match plan(&content, target, blobs).await? {
            Ok(plan) if plan.changes() => plan,
            // An address alone is why it cannot go as it is.
            Ok(_) => return Ok(Ok(Self::unchanged(outgoing, has_names && offer.smtputf8))),
            Err(impossible) => return Ok(Err(refused(target, impossible))),
        };
        let mut form = Self {
            content,
            plan: Some(plan),
            front: Bytes::new(),
            size_bytes: 0,
            is_8bit: target != Target::SevenBit,
            smtputf8: has_names && offer.smtputf8,
        };
        form.sign(outgoing, blobs).await?;
        Ok(Ok(form))
    }

    fn unchanged(outgoing: &Outgoing, smtputf8: bool) -> Self {
        Self {
            content: outgoing.content.clone(),
            plan: None,
            front: Bytes::new(),
            size_bytes: outgoing.size_bytes,
            is_8bit: outgoing.is_8bit,
            smtputf8,
        }
    }

    /// Signs what leaves, and counts it.
    async fn sign(&mut self, outgoing: &Outgoing, blobs: &Arc<dyn Blobs>) -> Result<()> {
        let size_bytes = Arc::new(AtomicU64::new(0));
        let counted = size_bytes.clone();
        let mut message = self
            .read(blobs)
            .inspect(move |piece| {
                if let Ok(piece) = piece {
                    counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
            })
            .boxed();
        self.front = match &outgoing.signer.0 {
            Some(signer) => signer.sign(message).await?,
            None => {
                while let Some(piece) = message.next().await {
                    piece?;
                }
                Bytes::new()
            }
        };
        self.size_bytes = size_bytes.load(Ordering::Relaxed) + self.front.len() as u64;
        Ok(())
    }

    /// Its bytes.
    pub(crate) fn read(&self, blobs: &Arc<dyn Blobs>) -> ByteStream {
        let message = self.content.read(blobs);
        let Some(plan) = &self.plan else { return message };
        let front = self.front.clone();
        let front = stream::iter((!front.is_empty()).then_some(Ok(front)));
        front.chain(converted(message, plan.clone())).boxed()
    }
}

/// Whether the sender or a recipient has a name beyond ASCII.
fn has_utf8_names(outgoing: &Outgoing) -> bool {
    let recipients = outgoing.recipients.iter().map(|recipient| &recipient.address);
    let mut all = recipients.chain(&outgoing.sender);
    all.any(|address| !address.local.is_ascii() || !address.domain.is_ascii())
}

async fn plan(
    content: &Content,
    target: Target,
    blobs: &Arc<dyn Blobs>,
) -> Result<std::result::Result<Plan, Impossible>> {
    let mut scanner = Scanner::new(Limits::default());
    let mut pieces = content.read(blobs);
    while let Some(piece) = pieces.next().await {
        scanner.push(&piece?);
    }
    let parsed = scanner.finish();
    let mut survey = Survey::new(&parsed, target);
    let mut pieces = content.read(blobs);
    while let Some(piece) = pieces.next().await {
        survey.push(&piece?);
    }
    Ok(survey.finish())
}

fn converted(message: ByteStream, plan: Plan) -> ByteStream {
    let start = (message, Some(Converter::new(plan)));
    stream::try_unfold(start, |(message, converter)| next_piece(message, converter)).boxed()
}

/// What stands behind a piece of what is converted.
type Rest = (ByteStream, Option<Converter>);

async fn next_piece(
    mut message: ByteStream,
    converter: Option<Converter>,
) -> Result<Option<(Bytes, Rest)>> {
    let Some(mut converter) = converter else { return Ok(None) };
    let mut out = Vec::new();
    while let Some(piece) = message.next().await {
        converter.push(&piece?, &mut out);
        if !out.is_empty() {
            return Ok(Some((Bytes::from(out), (message, Some(converter)))));
        }
    }
    converter.finish(&mut out);
    Ok(Some((Bytes::from(out), (message, None))))
}

/// Why a message cannot go to the host in any form.
fn refused(target: Target, impossible: Impossible) -> Answer {
    let takes = match target {
        Target::SevenBit => "the host takes 7-bit mail only",
        Target::AsciiHeader | Target::Lines => "the host takes no internationalised headers",
    };
    let (code, status) = match impossible {
        Impossible::Address => (553, "5.6.7"),
        Impossible::Signed | Impossible::Opaque | Impossible::Header => (554, "5.6.3"),
    };
    judged(code, status, format!("{takes}, and {impossible}"))
}
