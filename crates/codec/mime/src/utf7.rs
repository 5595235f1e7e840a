//! UTF-7 (RFC 2152) to UTF-8. encoding_rs leaves it out because browsers were attacked through
//! it; mail still has it, and here its output is only text.

use crate::decode::base64_value;

#[derive(Default)]
pub(crate) struct Utf7 {
    shifted: Option<Shifted>,
}

/// Between `+` and the end of a base64 run.
#[derive(Default)]
struct Shifted {
    bits: u32,
    bit_count: u32,
    any: bool,
    high_surrogate: Option<u16>,
}

impl Utf7 {
    pub(crate) fn push(&mut self, bytes: &[u8], text: &mut String) {
        for byte in bytes {
            match &mut self.shifted {
                None if *byte == b'+' => self.shifted = Some(Shifted::default()),
                None if byte.is_ascii() => text.push(char::from(*byte)),
                None => text.push(char::REPLACEMENT_CHARACTER),
                Some(shifted) => match base64_value(*byte) {
                    Some(value) => shifted.sextet(value, text),
                    None => self.unshift(*byte, text),
                },
            }
        }
    }

    pub(crate) fn finish(&mut self, text: &mut String) {
        if let Some(shifted) = self.shifted.take() {
            shifted.end(text);
        }
    }

    fn unshift(&mut self, byte: u8, text: &mut String) {
        let empty = self.shifted.take().is_some_and(|shifted| {
            let empty = !shifted.any;
            shifted.end(text);
            empty
        });
        match byte {
            b'-' if empty => text.push('+'),
            b'-' => {}
            _ => self.push(&[byte], text),
        }
    }
}

impl Shifted {
    fn sextet(&mut self, value: u8, text: &mut String) {
        self.any = true;
        self.bits = self.bits << 6 | u32::from(value);
        self.bit_count += 6;
        if self.bit_count >= 16 {
            self.bit_count -= 16;
            let unit = (self.bits >> self.bit_count) as u16;
            self.bits &= (1 << self.bit_count) - 1;
            self.unit(unit, text);
        }
    }

    fn unit(&mut self, unit: u16, text: &mut String) {
        let pending = self.high_surrogate.take();
        if (0xD800..0xDC00).contains(&unit) {
            if pending.is_some() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            self.high_surrogate = Some(unit);
            return;
        }
        let units = pending.into_iter().chain([unit]);
        text.extend(
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
    }

    fn end(self, text: &mut String) {
        if self.high_surrogate.is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
