//! Packets: a length, a command, data.

use crate::outcome::Trouble;
use base::env::Stream;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use contract_transport::scanner::scanning::plain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The largest packet that is read: a value of a field that a milter adds is smaller by far.
const PACKET_BYTES_MAX: usize = 128 * 1024;

/// What a milter says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub(super) command: u8,
    pub(super) data: Bytes,
}

pub(super) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    pub(super) async fn send(&mut self, command: u8, data: &[u8]) -> Result<(), Trouble> {
        let length = u32::try_from(data.len() + 1);
        let length = length.map_err(|_| Trouble::Nonsense("too much at once".to_owned()))?;
        let mut packet = BytesMut::with_capacity(5 + data.len());
        packet.put_u32(length);
        packet.put_u8(command);
        packet.extend_from_slice(data);
        self.stream.write_all(&packet).await?;
        Ok(self.stream.flush().await?)
    }

    pub(super) async fn receive(&mut self) -> Result<Packet, Trouble> {
        loop {
            if let Some(packet) = parse(&mut self.input)? {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(Trouble::Ended);
            }
        }
    }
}

/// The next packet, if all of it is there.
pub(super) fn parse(input: &mut BytesMut) -> Result<Option<Packet>, Trouble> {
    let Some(length) = input.get(..4).and_then(|bytes| bytes.try_into().ok()) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > PACKET_BYTES_MAX {
        let begun = String::from_utf8_lossy(&input[..4]).into_owned();
        return Err(Trouble::Nonsense(plain(&format!("a packet of {length} bytes ({begun})"))));
    }
    if input.len() < 4 + length {
        return Ok(None);
    }
    input.advance(4);
    let mut packet = input.split_to(length).freeze();
    let command = packet.get_u8();
    Ok(Some(Packet { command, data: packet }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_cut_where_they_end() {
        let mut input = BytesMut::from(&b"\0\0\0\x01c\0\0\0\x04yabcrest"[..]);
        let next = |input: &mut BytesMut| {
            parse(input).map(|found| found.map(|packet| (packet.command, packet.data.to_vec())))
        };
        assert_eq!(next(&mut input), Ok(Some((b'c', vec![]))));
        assert_eq!(next(&mut input), Ok(Some((b'y', b"abc".to_vec()))));
        assert!(matches!(next(&mut input), Err(Trouble::Nonsense(_))), "rest is a length, too");
        for wrong in [&b"\0\0\0\0"[..], b"HTTP", b"\0\x02\0\x01c", b"\xff\xff\xff\xff"] {
            let found = parse(&mut BytesMut::from(wrong));
            assert!(matches!(found, Err(Trouble::Nonsense(_))), "{wrong:?}: {found:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_are_packets_or_nonsense(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            zeros in 0_usize..4,
        ) {
            let mut input = BytesMut::from(&[vec![0; zeros], bytes].concat()[..]);
            loop {
                let before = input.len();
                match parse(&mut input) {
                    Ok(Some(packet)) => {
                        prop_assert_eq!(before, input.len() + 5 + packet.data.len());
                    }
                    Ok(None) | Err(_) => {
                        prop_assert_eq!(input.len(), before);
                        break;
                    }
                }
            }
        }
    }
}
