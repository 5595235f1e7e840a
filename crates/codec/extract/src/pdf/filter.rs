//! How streams are packed.

use super::document::Document;
use super::object::{Dict, Object, hex_pair, is_blank};
use crate::Outcome;
use crate::inflate::{End, inflate_zlib};
use crate::job::Job;

/// How many times a stream may be packed.
const FILTERS_MAX: usize = 8;

/// The longest row of a table that was made smaller by differences, in bytes.
const ROW_BYTES_MAX: usize = 1 << 20;

/// A stream's bytes; what there is of them where it is damaged or too long.
pub(super) fn decode(
    job: &mut Job<'_>,
    document: &Document<'_>,
    dict: &Dict,
    packed: &[u8],
) -> Vec<u8> {
    let filters = list(document, dict, b"Filter", b"F");
    let parameters = list(document, dict, b"DecodeParms", b"DP");
    if filters.len() > FILTERS_MAX {
        job.mark(Outcome::Exceeded);
        return Vec::new();
    }
    let taken = packed.len().min(job.unpack_left());
    let mut bytes = packed.get(..taken).unwrap_or_default().to_vec();
    if filters.is_empty() {
        job.unpacked(taken);
        if taken < packed.len() {
            job.mark(Outcome::Exceeded);
        }
        return bytes;
    }
    for (number, filter) in filters.iter().enumerate() {
        let Object::Name(filter) = document.resolve(filter) else { return Vec::new() };
        let limit = job.unpack_left();
        let (unpacked, end) = match &filter[..] {
            b"FlateDecode" | b"Fl" => {
                let inflated = inflate_zlib(&bytes, limit);
                (inflated.bytes, inflated.end)
            }
            b"LZWDecode" | b"LZW" => lzw(&bytes, limit),
            b"ASCIIHexDecode" | b"AHx" => (hex(&bytes), End::Whole),
            b"ASCII85Decode" | b"A85" => (ascii85(&bytes), End::Whole),
            b"RunLengthDecode" | b"RL" => run_length(&bytes, limit),
            // Pictures.
            _ => return Vec::new(),
        };
        job.unpacked(unpacked.len());
        // Many writers leave the end out; what could be read is read.
        if end == End::Limit {
            job.mark(Outcome::Exceeded);
        }
        let parameters = parameters.get(number).map(|one| document.resolve(one));
        bytes = match parameters {
            Some(Object::Dict(parameters)) => predicted(parameters, unpacked),
            _ => unpacked,
        };
    }
    bytes
}

/// One value or a list of some, under a key or its short form.
fn list<'o>(
    document: &'o Document<'_>,
    dict: &'o Dict,
    key: &[u8],
    short: &[u8],
) -> Vec<&'o Object> {
    match document.value(dict, key).or_else(|| document.value(dict, short)) {
        Some(Object::Array(list)) => list.iter().collect(),
        Some(Object::Null) | None => Vec::new(),
        Some(one) => vec![one],
    }
}

/// Undoes differences between rows, as PNG makes them; others are for pictures.
fn predicted(parameters: &Dict, bytes: Vec<u8>) -> Vec<u8> {
    let number =
        |key: &[u8], default: usize| parameters.get(key).and_then(Object::count).unwrap_or(default);
    if number(b"Predictor", 1) < 10 {
        return bytes;
    }
    let bits = number(b"Colors", 1).saturating_mul(number(b"BitsPerComponent", 8));
    let row_bits = number(b"Columns", 1).saturating_mul(bits);
    let (pixel, row) = ((bits / 8).max(1), row_bits.div_ceil(8));
    if row == 0 || row > ROW_BYTES_MAX || pixel > row {
        return Vec::new();
    }
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut above = vec![0_u8; row];
    for line in bytes.chunks(row + 1) {
        let Some((kind, line)) = line.split_first() else { break };
        let mut current = vec![0_u8; row];
        for (place, byte) in line.iter().enumerate() {
            let left = place.checked_sub(pixel);
            let (a, c) = left.map_or((0, 0), |left| (current[left], above[left]));
            let b = above[place];
            let base = match kind {
                1 => a,
                2 => b,
                3 => ((u16::from(a) + u16::from(b)) / 2) as u8,
                4 => paeth(a, b, c),
                _ => 0,
            };
            current[place] = byte.wrapping_add(base);
        }
        out.extend_from_slice(current.get(..line.len()).unwrap_or_default());
        above = current;
    }
    out
}

fn paeth(a: u8, b: u8, c: u8) -> u8 {
    let guess = i16::from(a) + i16::from(b) - i16::from(c);
    let far = |from: u8| (guess - i16::from(from)).abs();
    if far(a) <= far(b) && far(a) <= far(c) {
        a
    } else if far(b) <= far(c) {
        b
    } else {
        c
    }
}

/// Bytes in hexadecimal; a last digit alone is followed by 0.
pub(super) fn hex(text: &[u8]) -> Vec<u8> {
    let plain = text.iter().take_while(|byte| **byte != b'>');
    let digits: Vec<u8> = plain.copied().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .filter_map(|two| match two {
            [one] => hex_pair(&[*one, b'0']),
            two => hex_pair(two),
        })
        .collect()
}

fn ascii85(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut group: Vec<u32> = Vec::new();
    for byte in text.iter().copied().filter(|byte| !is_blank(*byte)) {
        match byte {
            b'z' if group.is_empty() => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                group.push(u32::from(byte - b'!'));
                if group.len() == 5 {
                    out.extend_from_slice(&value85(&group));
                    group.clear();
                }
            }
            _ => break,
        }
    }
    if group.len() > 1 {
        let bytes = group.len() - 1;
        group.resize(5, 84);
        out.extend_from_slice(value85(&group).get(..bytes).unwrap_or_default());
    }
    out
}

fn value85(group: &[u32]) -> [u8; 4] {
    let value = group.iter().fold(0_u32, |all, digit| all.wrapping_mul(85).wrapping_add(*digit));
    value.to_be_bytes()
}

fn run_length(packed: &[u8], limit: usize) -> (Vec<u8>, End) {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(length) = packed.get(at).copied() {
        if out.len() > limit {
            out.truncate(limit);
            return (out, End::Limit);
        }
        match usize::from(length) {
            128 => break,
            length if length < 128 => {
                let end = (at + 2 + length).min(packed.len());
                out.extend_from_slice(packed.get(at + 1..end).unwrap_or_default());
                at = end;
            }
            length => {
                let Some(byte) = packed.get(at + 1) else { break };
                out.resize(out.len() + 257 - length, *byte);
                at += 2;
            }
        }
    }
    (out, End::Whole)
}

/// The oldest way of packing: codes of 9 to 12 bits, the highest bit first.
fn lzw(packed: &[u8], limit: usize) -> (Vec<u8>, End) {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut out: Vec<u8> = Vec::new();
    // Where in `out` the text of each code from 258 on stands.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let (mut buffer, mut count) = (0_u32, 0_u32);
    let mut last: Option<(usize, usize)> = None;
    let mut bytes = packed.iter();
    loop {
        let width = match table.len() + 258 + usize::from(last.is_some()) {
            0..511 => 9,
            511..1023 => 10,
            1023..2047 => 11,
            _ => 12,
        };
        while count < width {
            let Some(byte) = bytes.next() else { return (out, End::Whole) };
            buffer = buffer << 8 | u32::from(*byte);
            count += 8;
        }
        count -= width;
        let code = (buffer >> count) as usize & ((1 << width) - 1);
        buffer &= (1 << count) - 1;
        let begin = out.len();
        match code {
            CLEAR => {
                table.clear();
                last = None;
                continue;
            }
            END => return (out, End::Whole),
            literal @ 0..256 => out.push(literal as u8),
            code => match (table.get(code - 258).copied(), last) {
                (Some((from, length)), _) => out.extend_from_within(from..from + length),
                (None, Some((from, length))) if code - 258 == table.len() => {
                    out.extend_from_within(from..from + length);
                    out.extend_from_within(from..from + 1);
                }
                _ => return (out, End::Damaged),
            },
        }
        if let Some((from, length)) = last
            && table.len() < 4096 - 258
        {
            // What was before, and the byte behind it.
            table.push((from, length + 1));
        }
        last = Some((begin, out.len() - begin));
        if out.len() > limit {
            out.truncate(limit);
            return (out, End::Limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        assert_eq!(hex(b"48 65 6C6c 6F7>"), b"Hellop");
        assert_eq!(ascii85(b"87cUR\nD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(ascii85(b"z!!~>"), b"\0\0\0\0\0");
        assert_eq!(run_length(&[2, b'a', b'b', b'c', 254, b'd', 128, 9], 99).0, b"abcddd");
        // The example of the standard (ISO 32000-1, 7.4.4.2).
        let packed = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(lzw(&packed, 99).0, [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
    }

    #[test]
    fn attack_38_runs_end_at_the_limit() {
        let (out, end) = run_length(&[129, b'a'].repeat(1_000), 500);
        assert_eq!((out.len(), end), (500, End::Limit));
        assert_eq!(run_length(&[255], 9).0, b"");
        assert_eq!(run_length(&[9, 1], 9).0, [1]);
        assert_eq!(lzw(&[0xff; 100], 9).1, End::Damaged);
    }

    #[test]
    fn differences_between_rows_are_undone() {
        let number = |value| Object::Number(value);
        let parameters =
            Dict(vec![(b"Predictor".to_vec(), number(12.0)), (b"Columns".to_vec(), number(3.0))]);
        let rows = vec![2, 1, 2, 3, 2, 1, 1, 1, 1, 5, 1, 1];
        assert_eq!(predicted(&parameters, rows), [1, 2, 3, 2, 3, 4, 5, 6, 7]);
    }
}
