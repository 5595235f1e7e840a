//! One chunk row: version, flag, checksum, bytes.
//!
//! The checksum covers the row's key, the flag and the bytes as they are stored, so a row in the
//! wrong place is found as well as a damaged one. A chunk is compressed if that saves a tenth.

use bytes::{Bytes, BytesMut};
use contract_store::limits::{CHUNK_BYTES, VALUE_BYTES_MAX};

/// Version, flag, CRC-32C (little-endian).
const HEADER_BYTES: usize = 6;

/// How many bytes of a blob one chunk holds; with its header it fits [`CHUNK_BYTES`].
pub(crate) const DATA_BYTES: usize = CHUNK_BYTES - HEADER_BYTES;

/// The most that a chunk of another release may hold.
pub(crate) const DATA_BYTES_READABLE: usize = VALUE_BYTES_MAX - HEADER_BYTES;

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Below this, compressing is not worth a try, in bytes.
const COMPRESS_BYTES_MIN: usize = 128;

/// Makes the row for a chunk.
pub(crate) fn encode(key: &[u8], data: &[u8]) -> Bytes {
    let room = lz4_flex::block::get_maximum_output_size(data.len());
    let mut row = BytesMut::zeroed(HEADER_BYTES + room);
    let compressed = match data.len() {
        0..COMPRESS_BYTES_MIN => None,
        _ => lz4_flex::block::compress_into(data, &mut row[HEADER_BYTES..]).ok(),
    };
    let flag = match compressed.filter(|len| len * 10 < data.len() * 9) {
        Some(len) => {
            row.truncate(HEADER_BYTES + len);
            LZ4
        }
        None => {
            row.truncate(HEADER_BYTES);
            row.extend_from_slice(data);
            PLAIN
        }
    };
    row[0] = VERSION;
    row[1] = flag;
    let sum = checksum(key, flag, &row[HEADER_BYTES..]);
    row[2..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    row.freeze()
}

/// The bytes of a chunk row, which must be `len` long. A row that is not compressed is not copied.
pub(crate) fn decode(key: &[u8], row: &Bytes, len: usize) -> Result<Bytes, &'static str> {
    let [version, flag, sum @ ..] =
        row.first_chunk::<HEADER_BYTES>().ok_or("the row is cut off")?;
    if *version != VERSION {
        return Err("unknown version");
    }
    let stored = row.slice(HEADER_BYTES..);
    if checksum(key, *flag, &stored) != u32::from_le_bytes(*sum) {
        return Err("wrong checksum");
    }
    match *flag {
        PLAIN if stored.len() == len => Ok(stored),
        LZ4 => {
            let mut data = vec![0; len];
            match lz4_flex::block::decompress_into(&stored, &mut data) {
                Ok(found) if found == len => Ok(data.into()),
                _ => Err("it does not decompress to its length"),
            }
        }
        PLAIN => Err("wrong length"),
        _ => Err("unknown compression"),
    }
}

fn checksum(key: &[u8], flag: u8, stored: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(crc32c::crc32c(key), &[flag]);
    crc32c::crc32c_append(sum, stored)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_shrinks_is_compressed_and_the_rest_is_not_copied() {
        let text = b"Received: from mx.rialto.test\r\n".repeat(1000);
        let row = encode(b"k", &text);
        assert!(row.len() < text.len() / 10, "{}", row.len());
        assert_eq!(decode(b"k", &row, text.len()).unwrap(), text);

        let noise: Vec<u8> = (0u64..8192)
            .flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[..7].to_vec())
            .collect();
        let noise = &noise[..DATA_BYTES.min(noise.len())];
        let row = encode(b"k", noise);
        assert_eq!(row.len(), noise.len() + HEADER_BYTES);
        let back = decode(b"k", &row, noise.len()).unwrap();
        assert_eq!(back.as_ptr(), row[HEADER_BYTES..].as_ptr());
        assert!(row.len() <= CHUNK_BYTES);
    }

    #[test]
    fn a_row_in_the_wrong_place_is_found() {
        let row = encode(b"here", b"data");
        assert_eq!(decode(b"there", &row, 4), Err("wrong checksum"));
        assert_eq!(decode(b"here", &row, 5), Err("wrong length"));
        assert_eq!(decode(b"here", &row.slice(..5), 4), Err("the row is cut off"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_flipped_bit_is_found(
            data in proptest::collection::vec(0u8..4, 0..600),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let row = encode(b"k", &data);
            prop_assert_eq!(&decode(b"k", &row, data.len()).unwrap()[..], &data[..]);
            let mut broken = row.to_vec();
            let at = at.index(broken.len());
            broken[at] ^= 1 << bit;
            prop_assert!(decode(b"k", &broken.into(), data.len()).is_err());
        }
    }
}
