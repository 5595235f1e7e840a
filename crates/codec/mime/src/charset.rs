//! Character sets to UTF-8, as a stream with bounded state. Never fails: what cannot be decoded
//! becomes U+FFFD, and an unknown character set is guessed (attack 41).

use std::borrow::Cow;

use encoding_rs::{Decoder, Encoding, WINDOWS_1252};

use crate::utf7::Utf7;

/// The longest label encoding_rs knows has 19 octets; anything longer is not looked up.
const LABEL_BYTES: usize = 40;

/// Decodes octets of one character set into UTF-8.
pub struct CharsetDecoder(State);

enum State {
    Utf7(Utf7),
    Known(Decoder),
    Guess(Guess),
}

/// Unlabelled text is UTF-8 until an octet proves otherwise, then windows-1252.
#[derive(Default)]
struct Guess {
    begun: bool,
    /// The beginning of a character whose end was not seen yet, at most three octets.
    pending: Vec<u8>,
}

impl CharsetDecoder {
    /// For the character set `label` as a MIME parameter names it, quotes and letter case
    /// ignored. Labels only select from encoding_rs's fixed table; unknown ones (and `us-ascii`,
    /// under which senders put anything) are guessed.
    pub fn new(label: &[u8]) -> Self {
        let label = label.trim_ascii();
        if label.len() > LABEL_BYTES {
            return CharsetDecoder::guess();
        }
        let lower = label.to_ascii_lowercase();
        match &lower[..] {
            b"utf-7" | b"utf7" | b"unicode-1-1-utf-7" | b"x-unicode-2-0-utf-7" => {
                return CharsetDecoder(State::Utf7(Utf7::default()));
            }
            b"us-ascii" | b"ascii" | b"unknown-8bit" | b"" => return CharsetDecoder::guess(),
            _ => {}
        }
        // The "replacement" encoding would throw the whole text away (iso-2022-kr, hz-gb-2312).
        match Encoding::for_label_no_replacement(&lower) {
            Some(encoding) => CharsetDecoder(State::Known(encoding.new_decoder_with_bom_removal())),
            None => CharsetDecoder::guess(),
        }
    }

    fn guess() -> Self {
        CharsetDecoder(State::Guess(Guess::default()))
    }

    /// Decodes the next octets to the end of `text`; at most three octets of text per octet.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.decode(bytes, text, false);
    }

    /// Ends the text: an incomplete last character becomes U+FFFD.
    pub fn finish(mut self, text: &mut String) {
        self.decode(&[], text, true);
    }

    fn decode(&mut self, bytes: &[u8], text: &mut String, last: bool) {
        match &mut self.0 {
            State::Utf7(utf7) if last => utf7.finish(text),
            State::Utf7(utf7) => utf7.push(bytes, text),
            State::Known(decoder) => lossy(decoder, bytes, text, last),
            State::Guess(guess) => {
                if let Some(refuted) = guess.decode(bytes, text, last) {
                    let mut latin = WINDOWS_1252.new_decoder_without_bom_handling();
                    lossy(&mut latin, &refuted, text, last);
                    self.0 = State::Known(latin);
                }
            }
        }
    }
}

impl Guess {
    /// Decodes UTF-8; gives the octets from the first one that is not, if any.
    fn decode<'a>(
        &mut self,
        bytes: &'a [u8],
        text: &mut String,
        last: bool,
    ) -> Option<Cow<'a, [u8]>> {
        let mut octets = Cow::Borrowed(bytes);
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(bytes);
            octets = Cow::Owned(std::mem::take(&mut self.pending));
        }
        let (end, refuted) = match std::str::from_utf8(&octets) {
            Ok(_) => (octets.len(), false),
            Err(error) => (error.valid_up_to(), last || error.error_len().is_some()),
        };
        let valid = std::str::from_utf8(&octets[..end]).unwrap_or_default();
        let byte_order_mark = if self.begun { None } else { valid.strip_prefix('\u{feff}') };
        text.push_str(byte_order_mark.unwrap_or(valid));
        self.begun |= end > 0;
        if !refuted {
            self.pending.extend_from_slice(&octets[end..]);
            return None;
        }
        Some(match octets {
            Cow::Borrowed(octets) => Cow::Borrowed(&octets[end..]),
            Cow::Owned(octets) => Cow::Owned(octets[end..].to_vec()),
        })
    }
}

fn lossy(decoder: &mut Decoder, mut bytes: &[u8], text: &mut String, last: bool) {
    loop {
        text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len()).max(16));
        let (result, read, _) = decoder.decode_to_string(bytes, text, last);
        bytes = &bytes[read..];
        if result == encoding_rs::CoderResult::InputEmpty {
            return;
        }
    }
}

/// Decodes a short text whole; see [`CharsetDecoder`].
pub fn to_utf8(label: &[u8], bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut decoder = CharsetDecoder::new(label);
    decoder.push(bytes, &mut text);
    decoder.finish(&mut text);
    text
}
