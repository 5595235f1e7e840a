//! Messages of any octets (BODY=BINARYMIME, RFC 3030 §3), made into lines when they have come whole.
//!
//! Everything behind the session handles mail as lines: signatures, rules, IMAP, DATA towards other
//! servers. So parts that are no lines are stored as base64 (decision 0031). Nobody is told of a
//! loss, since there is none: each part decodes to what was sent.

use crate::reply;
use base::{Deadline, Error, Kind, Result};
use bytes::Bytes;
use codec_mime::convert::{Converter, Survey, Target};
use codec_mime::{Limits, ParsedMessage, Scanner};
use codec_smtp::Reply;
use contract_blob::{Blobs, Staged, Upload};
use futures::TryStreamExt;
use std::sync::Arc;

/// A message that has come whole.
pub(crate) struct Binary<'a> {
    pub(crate) blobs: &'a Arc<dyn Blobs>,
    /// Our own field in front of it.
    pub(crate) trace: &'a Bytes,
    /// Fits the field with the message behind it.
    pub(crate) parsed: ParsedMessage,
    pub(crate) limits: Limits,
}

/// It as lines.
pub(crate) struct Lines {
    pub(crate) upload: Box<dyn Upload>,
    pub(crate) scanner: Scanner,
    pub(crate) size_bytes: u64,
}

impl Binary<'_> {
    /// Makes lines of what has been uploaded.
    ///
    /// # Errors
    /// The reply for the client.
    pub(crate) async fn into_lines(
        self,
        upload: Box<dyn Upload>,
        deadline: Deadline,
    ) -> Result<Lines, Reply> {
        let work = async {
            let staged = upload.finish().await?;
            self.convert(&staged).await
        };
        let done = tokio::time::timeout_at(deadline.instant(), work).await;
        let late = || Err(Error::new(Kind::Timeout, "Converting took too long"));
        done.unwrap_or_else(|_| late()).map_err(|error| reply::of(&error, "binary"))
    }

    async fn convert(&self, staged: &Staged) -> Result<Lines> {
        let mut survey = Survey::new(&self.parsed, Target::Lines);
        survey.push(self.trace);
        let mut pieces = self.blobs.read_staged(staged, 0..staged.size_bytes);
        while let Some(piece) = pieces.try_next().await? {
            survey.push(&piece);
        }
        let plan = survey.finish().map_err(|impossible| Error::invalid(impossible.to_string()))?;
        let mut converter = Converter::new(plan);
        let mut scanner = Scanner::new(self.limits.clone());
        let mut lines =
            Writer { upload: self.blobs.upload(), skip: self.trace.len(), size_bytes: 0 };
        let mut out = Vec::new();
        converter.push(self.trace, &mut out);
        let mut pieces = self.blobs.read_staged(staged, 0..staged.size_bytes);
        while let Some(piece) = pieces.try_next().await? {
            converter.push(&piece, &mut out);
            scanner.push(&out);
            lines.write(&mut out).await?;
        }
        converter.finish(&mut out);
        scanner.push(&out);
        lines.write(&mut out).await?;
        let Writer { upload, size_bytes, .. } = lines;
        Ok(Lines { upload, scanner, size_bytes })
    }
}

/// Writes all but our own field, which stands elsewhere.
struct Writer {
    upload: Box<dyn Upload>,
    skip: usize,
    size_bytes: u64,
}

impl Writer {
    async fn write(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let skipped = self.skip.min(out.len());
        self.skip -= skipped;
        let piece = Bytes::from(std::mem::take(out)).slice(skipped..);
        self.size_bytes += piece.len() as u64;
        if piece.is_empty() { Ok(()) } else { self.upload.write(piece).await }
    }
}
