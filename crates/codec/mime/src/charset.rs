//! Character sets to UTF-8, as a stream with bounded state. Never fails: what cannot be decoded
//! becomes U+FFFD, and an unknown character set is guessed (attack 41).

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, WINDOWS_1252};

use crate::utf7::Utf7;

/// The longest label encoding_rs knows has 19 octets; anything longer is not looked up.
const LABEL_BYTES: usize = 40;

/// Decodes octets of one character set into UTF-8.
pub struct CharsetDecoder(State);

enum State {
    Utf7(Utf7),
    Known(Decoder),
    /// Unlabelled text is UTF-8 until an octet proves otherwise, then windows-1252.
    Guess(Decoder),
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
            Some(encoding) => {
                CharsetDecoder(State::Known(encoding.new_decoder_with_bom_removal()))
            }
            None => CharsetDecoder::guess(),
        }
    }

    fn guess() -> Self {
        CharsetDecoder(State::Guess(UTF_8.new_decoder_with_bom_removal()))
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
            State::Guess(decoder) => {
                if let Some(refuted) = strict(decoder, bytes, text, last) {
                    let mut latin = WINDOWS_1252.new_decoder_without_bom_handling();
                    match bytes.get(refuted..) {
                        Some(rest) => lossy(&mut latin, rest, text, last),
                        None => text.push(char::REPLACEMENT_CHARACTER),
                    }
                    self.0 = State::Known(latin);
                }
            }
        }
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

/// Decodes UTF-8; at the first malformed octet gives its index in `bytes` (or `bytes.len()` where
/// the malformed sequence ends with these octets but began before them, and none is left).
fn strict(decoder: &mut Decoder, bytes: &[u8], text: &mut String, last: bool) -> Option<usize> {
    let mut done = 0;
    loop {
        let rest = &bytes[done..];
        text.reserve(decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len()).max(16));
        let (result, read) = decoder.decode_to_string_without_replacement(rest, text, last);
        done += read;
        match result {
            DecoderResult::InputEmpty => return None,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(bad, after) => {
                let back = usize::from(bad) + usize::from(after);
                return Some(done.checked_sub(back).unwrap_or_else(|| {
                    // The sequence began in earlier octets: its place is taken, the rest stands.
                    text.push(char::REPLACEMENT_CHARACTER);
                    done
                }));
            }
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
