//! Finding line ends, eight bytes at a time.
//!
//! Every byte of every message passes through here once in each direction, so the search works
//! on machine words: XOR makes the wanted byte zero, and the classic subtract-and-mask marks
//! zero bytes. A false mark can only stand above a true one in the same word, and the words are
//! read little-endian, so the lowest mark is always true.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The position of the first CR or LF.
pub(crate) fn cr_or_lf(bytes: &[u8]) -> Option<usize> {
    find(bytes, b'\r', b'\n')
}

/// The position of the first LF.
pub(crate) fn lf(bytes: &[u8]) -> Option<usize> {
    find(bytes, b'\n', b'\n')
}

fn find(bytes: &[u8], first: u8, second: u8) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    let (first_word, second_word) = (ONES * u64::from(first), ONES * u64::from(second));
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = zero_marks(word ^ first_word) | zero_marks(word ^ second_word);
        if marks != 0 {
            return Some(index * 8 + (marks.trailing_zeros() / 8) as usize);
        }
    }
    let in_tail = tail.iter().position(|&byte| byte == first || byte == second)?;
    Some(words.len() * 8 + in_tail)
}

fn zero_marks(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Watches a byte stream for CR and LF that are not part of a CRLF pair.
///
/// One byte of state, so it works over any chunking.
#[derive(Debug, Clone, Default)]
pub(crate) struct LineEndWatch {
    after_cr: bool,
    ends_line: bool,
    pub(crate) bare_cr: bool,
    pub(crate) bare_lf: bool,
}

impl LineEndWatch {
    /// Looks at the next bytes of the stream.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.after_cr {
                self.after_cr = false;
                self.ends_line = bytes[at] == b'\n';
                if self.ends_line {
                    at += 1;
                } else {
                    self.bare_cr = true;
                }
                continue;
            }
            let Some(found) = cr_or_lf(&bytes[at..]) else {
                self.ends_line = false;
                return;
            };
            self.ends_line = false;
            if bytes[at + found] == b'\r' {
                self.after_cr = true;
            } else {
                self.bare_lf = true;
            }
            at += found + 1;
        }
    }

    /// The stream is over: a CR that still waits for its LF was bare.
    pub(crate) fn end(&mut self) {
        self.bare_cr |= std::mem::take(&mut self.after_cr);
    }

    /// Whether the last bytes seen were CRLF.
    pub(crate) fn ends_line(&self) -> bool {
        self.ends_line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn finds_what_a_plain_search_finds(
            bytes in prop::collection::vec(
                prop_oneof![3 => any::<u8>(), 1 => Just(b'\r'), 1 => Just(b'\n'), 1 => Just(0x0b)],
                0..64,
            )
        ) {
            let plain = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            prop_assert_eq!(cr_or_lf(&bytes), plain);
            prop_assert_eq!(lf(&bytes), bytes.iter().position(|&byte| byte == b'\n'));
        }

        #[test]
        fn the_watch_agrees_with_a_plain_look(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'a'), Just(b'\r'), Just(b'\n')], 0..40),
            split in 0usize..40,
        ) {
            let mut watch = LineEndWatch::default();
            let split = split.min(bytes.len());
            watch.see(&bytes[..split]);
            watch.see(&bytes[split..]);
            watch.end();
            let bare_cr = (0..bytes.len())
                .any(|i| bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
            let bare_lf = (0..bytes.len())
                .any(|i| bytes[i] == b'\n' && (i == 0 || bytes[i - 1] != b'\r'));
            prop_assert_eq!((watch.bare_cr, watch.bare_lf), (bare_cr, bare_lf));
            prop_assert_eq!(watch.ends_line(), bytes.ends_with(b"\r\n"));
        }
    }
}
