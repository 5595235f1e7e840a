//! What has to be known of a message before it goes to another server: whether it needs 8BITMIME
//! or SMTPUTF8, and how often it has been passed on. It is read once, when it is routed; what is to
//! be signed is hashed in the same reading.

use base::Result;
use contract_blob::{Blobs, Content};
use contract_transport::signing::{Digest, Digesting};
use futures::StreamExt;
use std::sync::Arc;

/// The most Received fields of a message that goes on: beyond them it runs in circles. More than a
/// session takes in, so that a message of ours is never refused for the last few (RFC 5321 §6.3).
pub(crate) const HOPS_MAX: usize = 60;

const RECEIVED: &[u8] = b"received:";

/// The name of the field of RFC 8689 §3, with its colon.
const TLS_REQUIRED: &[u8] = b"tls-required:";

/// How much of a header line is looked at as a whole.
const START_BYTES: usize = 64;

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Survey {
    /// There are bytes above 127.
    pub(crate) is_8bit: bool,
    /// They are in the header.
    pub(crate) is_header_8bit: bool,
    /// How many Received fields there are.
    pub(crate) received: usize,
    /// Its sender would rather have it there than safe (`TLS-Required: No`, RFC 8689 §3).
    pub(crate) ignores_policies: bool,
}

/// Reads a message, for `digesting` as well.
///
/// # Errors
/// The blob store's.
pub(crate) async fn survey(
    blobs: &Arc<dyn Blobs>,
    content: &Content,
    mut digesting: Option<Box<dyn Digesting>>,
) -> Result<(Survey, Option<Digest>)> {
    let mut reader = Reader::default();
    let mut bytes = content.read(blobs);
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        reader.push(&piece);
        if let Some(digesting) = &mut digesting {
            digesting.push(&piece);
        }
    }
    Ok((reader.survey, digesting.and_then(|digesting| digesting.finish())))
}

#[derive(Default)]
struct Reader {
    survey: Survey,
    in_body: bool,
    /// Bytes of the line so far, its end left out.
    length: usize,
    /// How many of them are those of the field's name; less where one was another.
    matched: usize,
    /// The beginning of the line, in lower case.
    start: Vec<u8>,
}

impl Reader {
    fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !self.in_body
            && let Some((byte, behind)) = rest.split_first()
        {
            rest = behind;
            self.header_byte(*byte);
        }
        self.survey.is_8bit |= !rest.is_ascii();
    }

    fn header_byte(&mut self, byte: u8) {
        match byte {
            b'\r' => {}
            b'\n' => {
                self.in_body = self.length == 0;
                (self.length, self.matched) = (0, 0);
                let value = self.start.strip_prefix(TLS_REQUIRED).map(<[u8]>::trim_ascii);
                self.survey.ignores_policies |= value == Some(b"no");
                self.start.clear();
            }
            _ => {
                if self.start.len() < START_BYTES {
                    self.start.push(byte.to_ascii_lowercase());
                }
                if self.matched == self.length
                    && RECEIVED.get(self.matched) == Some(&byte.to_ascii_lowercase())
                {
                    self.matched += 1;
                    self.survey.received += usize::from(self.matched == RECEIVED.len());
                }
                self.length += 1;
                self.survey.is_header_8bit |= !byte.is_ascii();
                self.survey.is_8bit |= !byte.is_ascii();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], is_8bit: bool, is_header_8bit: bool, received: usize) {
        for size in [1, 2, 3, message.len().max(1)] {
            let mut reader = Reader::default();
            message.chunks(size).for_each(|piece| reader.push(piece));
            let ignores_policies = false;
            let expect = Survey { is_8bit, is_header_8bit, received, ignores_policies };
            assert_eq!(reader.survey, expect, "{}, by {size}", message.escape_ascii());
        }
    }

    #[test]
    fn who_wants_no_tls_says_so_in_a_field_of_the_header() {
        let check = |message: &[u8], expect: bool| {
            let mut reader = Reader::default();
            reader.push(message);
            assert_eq!(reader.survey.ignores_policies, expect, "{}", message.escape_ascii());
        };
        check(b"TLS-Required: No\r\n\r\n", true);
        check(b"A: b\r\ntls-required:no \r\nC: d\r\n\r\n", true);
        check(b"TLS-Required: Now\r\n\r\n", false);
        check(b"TLS-Required: Yes\r\n\r\n", false);
        check(b"X-TLS-Required: No\r\n\r\n", false);
        check(b"A: b\r\n\r\nTLS-Required: No\r\n", false);
    }

    #[test]
    fn header_and_body_are_told_apart() {
        check(b"", false, false, 0);
        check(b"Received: a\r\nReceived: b\r\n folded\r\nrECEIVED:c\r\n\r\n", false, false, 3);
        check(b"X-Received: a\r\nReceived-SPF: b\r\n Received: no\r\n\r\n", false, false, 0);
        check(b"A: b\r\n\r\nReceived: c\r\n", false, false, 0);
        check(b"A: b\r\n\r\nb\xc3\xbccher\r\n", true, false, 0);
        check(b"A: b\xc3\xbccher\r\n\r\nc\r\n", true, true, 0);
        check(b"\r\nReceived: c\xff", true, false, 0);
    }
}
