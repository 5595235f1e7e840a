//! DEFLATE (RFC 1951), into memory, up to a limit.

/// What came of unpacking.
#[derive(Debug)]
pub(crate) struct Inflated {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes of the input belong to it.
    pub(crate) used_bytes: usize,
    pub(crate) end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// It is all there.
    Whole,
    /// The input is cut off or none.
    Damaged,
    /// There is more than the limit.
    Limit,
}

/// Unpacks at most so many bytes.
pub(crate) fn inflate(input: &[u8], limit: usize) -> Inflated {
    let mut bits = Bits { input, at: 0, buffer: 0, count: 0 };
    let mut out = Vec::new();
    let end = match blocks(&mut bits, &mut out, limit) {
        Ok(()) => End::Whole,
        Err(end) => end,
    };
    Inflated { bytes: out, used_bytes: bits.used_bytes(), end }
}

/// Unpacks with a header of zlib in front where there is one (RFC 1950 §2.2), as PDFs have it.
pub(crate) fn inflate_zlib(input: &[u8], limit: usize) -> Inflated {
    let has_header = match input {
        [first, second, ..] => {
            let word = u32::from(*first) << 8 | u32::from(*second);
            first & 0x0f == 8 && word.is_multiple_of(31) && second & 0x20 == 0
        }
        _ => false,
    };
    inflate(if has_header { input.get(2..).unwrap_or_default() } else { input }, limit)
}

/// The input, bit by bit, lowest first.
struct Bits<'a> {
    input: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 56
            && let Some(byte) = self.input.get(self.at)
        {
            self.buffer |= u64::from(*byte) << self.count;
            self.count += 8;
            self.at += 1;
        }
    }

    fn take(&mut self, count: u32) -> Result<usize, End> {
        if self.count < count {
            self.fill();
        }
        if self.count < count {
            return Err(End::Damaged);
        }
        let value = self.buffer & ((1 << count) - 1);
        self.buffer >>= count;
        self.count -= count;
        Ok(value as usize)
    }

    /// Leaves out the rest of a byte.
    fn align(&mut self) {
        let rest = self.count % 8;
        self.buffer >>= rest;
        self.count -= rest;
    }

    fn used_bytes(&self) -> usize {
        self.at.saturating_sub(self.count as usize / 8)
    }
}

/// Codes up to this length are looked up at once.
const FAST_BITS: u32 = 10;

/// A Huffman code (RFC 1951 §3.2.2).
struct Codes {
    /// By the next bits: the symbol and, in the lowest four bits, the length of its code; 0 where
    /// the code is longer, or none.
    fast: Vec<u16>,
    /// How many codes there are of each length.
    counts: [u16; 16],
    /// The symbols in the order of their codes.
    symbols: Vec<u16>,
}

impl Codes {
    fn new(lengths: &[u8]) -> Result<Self, End> {
        let mut counts = [0_u16; 16];
        for length in lengths {
            counts[usize::from(*length & 15)] += 1;
        }
        counts[0] = 0;
        let mut left = 1_i32;
        let (mut offsets, mut next) = ([0_usize; 16], [0_u32; 16]);
        let mut code = 0_u32;
        for length in 1..16 {
            left = left * 2 - i32::from(counts[length]);
            if left < 0 {
                return Err(End::Damaged);
            }
            offsets[length] = offsets[length - 1] + usize::from(counts[length - 1]);
            code = (code + u32::from(counts[length - 1])) << 1;
            next[length] = code;
        }
        let mut symbols = vec![0; lengths.len()];
        let mut fast = vec![0; 1 << FAST_BITS];
        for (symbol, length) in (0_u16..).zip(lengths).filter(|(_, length)| **length > 0) {
            let place = usize::from(*length & 15);
            symbols[offsets[place]] = symbol;
            offsets[place] += 1;
            let code = next[place];
            next[place] += 1;
            let bits = u32::from(*length);
            if bits <= FAST_BITS {
                let reversed = code.reverse_bits() >> (32 - bits);
                for entry in (reversed as usize..1 << FAST_BITS).step_by(1 << bits) {
                    fast[entry] = symbol << 4 | u16::from(*length);
                }
            }
        }
        Ok(Self { fast, counts, symbols })
    }

    fn next(&self, bits: &mut Bits<'_>) -> Result<usize, End> {
        bits.fill();
        let entry = self.fast[(bits.buffer & ((1 << FAST_BITS) - 1)) as usize];
        let length = u32::from(entry & 15);
        if length > 0 {
            if bits.count < length {
                return Err(End::Damaged);
            }
            bits.buffer >>= length;
            bits.count -= length;
            return Ok(usize::from(entry >> 4));
        }
        self.next_long(bits)
    }

    fn next_long(&self, bits: &mut Bits<'_>) -> Result<usize, End> {
        let (mut code, mut first, mut place) = (0_i32, 0_i32, 0_usize);
        for length in 1..16 {
            code |= bits.take(1)? as i32;
            let count = i32::from(self.counts[length]);
            if code - count < first {
                let symbol = place + usize::try_from(code - first).map_err(|_| End::Damaged)?;
                return self.symbols.get(symbol).map(|one| usize::from(*one)).ok_or(End::Damaged);
            }
            place += usize::from(self.counts[length]);
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(End::Damaged)
    }
}

fn blocks(bits: &mut Bits<'_>, out: &mut Vec<u8>, limit: usize) -> Result<(), End> {
    loop {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(bits, out, limit)?,
            1 => {
                let (literals, distances) = fixed()?;
                compressed(bits, out, limit, &literals, &distances)?;
            }
            2 => {
                let (literals, distances) = dynamic(bits)?;
                compressed(bits, out, limit, &literals, &distances)?;
            }
            _ => return Err(End::Damaged),
        }
        if is_last {
            return Ok(());
        }
    }
}

/// RFC 1951 §3.2.4.
fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>, limit: usize) -> Result<(), End> {
    bits.align();
    let (length, complement) = (bits.take(16)?, bits.take(16)?);
    if length != !complement & 0xffff {
        return Err(End::Damaged);
    }
    // What was read ahead is taken back.
    let begin = bits.used_bytes();
    (bits.buffer, bits.count) = (0, 0);
    let there = bits.input.get(begin..).unwrap_or_default();
    let taken = length.min(there.len());
    let room = limit.saturating_sub(out.len());
    out.extend_from_slice(there.get(..taken.min(room)).unwrap_or_default());
    bits.at = begin + taken;
    if taken > room {
        return Err(End::Limit);
    }
    if taken < length { Err(End::Damaged) } else { Ok(()) }
}

/// RFC 1951 §3.2.6.
fn fixed() -> Result<(Codes, Codes), End> {
    let mut lengths = [8_u8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Ok((Codes::new(&lengths)?, Codes::new(&[5; 30])?))
}

/// RFC 1951 §3.2.7.
fn dynamic(bits: &mut Bits<'_>) -> Result<(Codes, Codes), End> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let codes = bits.take(4)? + 4;
    if literals > 286 || distances > 30 {
        return Err(End::Damaged);
    }
    let mut of_codes = [0_u8; 19];
    for place in ORDER.into_iter().take(codes) {
        of_codes[place] = bits.take(3)? as u8;
    }
    let of_codes = Codes::new(&of_codes)?;
    let mut lengths: Vec<u8> = Vec::with_capacity(literals + distances);
    while lengths.len() < literals + distances {
        let (length, times) = match of_codes.next(bits)? {
            symbol @ 0..16 => (symbol as u8, 1),
            16 => (*lengths.last().ok_or(End::Damaged)?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        if lengths.len() + times > literals + distances {
            return Err(End::Damaged);
        }
        lengths.resize(lengths.len() + times, length);
    }
    let (literals, distances) = lengths.split_at(literals);
    Ok((Codes::new(literals)?, Codes::new(distances)?))
}

/// RFC 1951 §3.2.5: where each length and distance begins, and how many bits follow.
const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

fn compressed(
    bits: &mut Bits<'_>,
    out: &mut Vec<u8>,
    limit: usize,
    literals: &Codes,
    distances: &Codes,
) -> Result<(), End> {
    loop {
        let symbol = literals.next(bits)?;
        if symbol == 256 {
            return Ok(());
        }
        if out.len() >= limit {
            return Err(End::Limit);
        }
        if symbol < 256 {
            out.push(symbol as u8);
            continue;
        }
        let (base, extra) = *LENGTHS.get(symbol - 257).ok_or(End::Damaged)?;
        let length = base + bits.take(extra)?;
        let code = distances.next(bits)?;
        if code > 29 {
            return Err(End::Damaged);
        }
        // Two codes for each power of two, from the fifth on.
        let extra = (code as u32 / 2).saturating_sub(1);
        let base = if code < 4 { code + 1 } else { ((2 + code % 2) << extra) + 1 };
        let distance = base + bits.take(extra)?;
        let start = out.len().checked_sub(distance).ok_or(End::Damaged)?;
        let room = length.min(limit - out.len());
        copy(out, start, room);
        if room < length {
            return Err(End::Limit);
        }
    }
}

/// Adds `length` bytes from `start` on, which may be more than there are by now.
fn copy(out: &mut Vec<u8>, start: usize, length: usize) {
    let mut left = length;
    while left > 0 {
        let there = (out.len() - start).min(left);
        out.extend_from_within(start..start + there);
        left -= there;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
        hex.chunks(2).map(byte).collect()
    }

    fn check(input: &[u8], limit: usize, expect: &[u8], end: End) {
        let inflated = inflate(input, limit);
        assert_eq!((&inflated.bytes[..], inflated.end), (expect, end), "{input:02x?}");
    }

    #[test]
    fn what_others_pack_is_unpacked() {
        // Python's zlib, raw: stored, with the fixed code, and with its own.
        check(&bytes("010300fcff616263"), 100, b"abc", End::Whole);
        check(&bytes("4b4c4a0600"), 100, b"abc", End::Whole);
        check(&bytes("4b4ca4100000"), 100, &[b'a'; 65], End::Whole);
        check(&bytes("4b4c4a06000000"), 100, b"abc", End::Whole);
        assert_eq!(inflate(&bytes("4b4c4a06000000"), 100).used_bytes, 5);
        let zlib = inflate_zlib(&bytes("789c4b4c4a0600024d0127"), 100);
        assert_eq!((&zlib.bytes[..], zlib.end), (&b"abc"[..], End::Whole));
    }

    #[test]
    fn what_is_none_is_damaged() {
        check(b"", 100, b"", End::Damaged);
        check(&bytes("07"), 100, b"", End::Damaged);
        check(&bytes("010300fcfe616263"), 100, b"", End::Damaged);
        check(&bytes("010300fcff6162"), 100, b"ab", End::Damaged);
        // A distance before the beginning.
        check(&bytes("4b04120000"), 100, b"a", End::Damaged);
        check(&bytes("4b4c"), 100, b"a", End::Damaged);
    }

    #[test]
    fn attack_38_no_more_is_unpacked_than_is_allowed() {
        check(&bytes("4b4ca4100000"), 10, &[b'a'; 10], End::Limit);
        check(&bytes("010300fcff616263"), 2, b"ab", End::Limit);
        check(&bytes("4b4c4a0600"), 3, b"abc", End::Whole);
    }
}
