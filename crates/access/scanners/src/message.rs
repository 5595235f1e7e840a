//! The message as a scanner sees it: what stands in front, the header, the body.

use crate::outcome::Trouble;
use bytes::Bytes;
use contract_blob::{Blobs, ByteStream};
use contract_transport::scanner::scanning::{Facts, Mail};
use futures::{StreamExt, stream};
use std::sync::Arc;

/// How much of a message is sent in one piece; a milter takes 65,535 bytes of a body at once.
pub(crate) const PIECE_BYTES_MAX: usize = 60 * 1024;

/// A message on its way to a scanner.
pub(crate) struct Message<'m> {
    mail: &'m Mail,
    /// The header with what scanners have made of it so far.
    header: Bytes,
    blobs: &'m Arc<dyn Blobs>,
}

impl<'m> Message<'m> {
    pub(crate) fn new(mail: &'m Mail, header: Bytes, blobs: &'m Arc<dyn Blobs>) -> Self {
        Self { mail, header, blobs }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.mail.facts
    }

    /// The header, without what stands in front of it.
    pub(crate) fn header(&self) -> &Bytes {
        &self.header
    }

    /// What stands in front of it.
    pub(crate) fn front(&self) -> &Bytes {
        &self.mail.front
    }

    /// How many bytes [`Message::read`] gives.
    pub(crate) fn size_bytes(&self) -> u64 {
        (self.mail.front.len() + self.header.len()) as u64 + self.mail.body_bytes()
    }

    /// All of it, in pieces of at most [`PIECE_BYTES_MAX`].
    pub(crate) fn read(&self) -> ByteStream {
        let head = [self.mail.front.clone(), self.header.clone()];
        let head = stream::iter(head.map(Ok)).boxed();
        pieces(head.chain(self.body()).boxed())
    }

    /// Its body, in such pieces.
    pub(crate) fn body(&self) -> ByteStream {
        let Some(staged) = &self.mail.staged else { return stream::empty().boxed() };
        let end = staged.size_bytes;
        pieces(self.blobs.read_staged(staged, self.mail.body_at.min(end)..end))
    }
}

/// Cuts what is too long, and leaves out what is empty.
fn pieces(stream: ByteStream) -> ByteStream {
    let cut = stream.flat_map(|piece| {
        let cut = match piece {
            Err(error) => vec![Err(error)],
            Ok(mut piece) => {
                let mut cut = Vec::with_capacity(piece.len() / PIECE_BYTES_MAX + 1);
                while !piece.is_empty() {
                    cut.push(Ok(piece.split_to(piece.len().min(PIECE_BYTES_MAX))));
                }
                cut
            }
        };
        futures::stream::iter(cut)
    });
    cut.boxed()
}

/// A piece, or why there is none.
pub(crate) fn own(piece: base::Result<Bytes>) -> Result<Bytes, Trouble> {
    piece.map_err(|error| {
        tracing::warn!(%error, "a message that is to be scanned");
        Trouble::Own(error.text.into_owned())
    })
}
