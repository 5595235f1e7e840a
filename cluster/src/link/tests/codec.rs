//! The bytes of frames: golden vectors, round trips, garbage.

use crate::link::error::Executed;
use crate::link::frame::*;
use crate::link::reading::FrameReader;
use crate::link::{Hello, Lane, Window, Windows};
use crate::pki::{JoinReply, JoinRequest, NodeIdentity, Roots};
use base::router::{ServiceId, Target};
use base::{BootId, Epoch, Error, Kind, NodeId, Slot};
use bytes::{Buf, Bytes};
use proptest::prelude::*;
use std::time::Duration;

fn hello() -> Hello {
    Hello {
        schemas: 1..=2,
        cluster_id: 0xc1,
        node: NodeId(7),
        boot: BootId(0xb007),
        feature_level: 3,
        windows: Windows {
            control: Window { requests: 64, bytes: 1 << 20 },
            data: Window { requests: 1024, bytes: 1 << 26 },
        },
    }
}

fn head() -> RequestHead {
    let slot = Slot::new(4095).unwrap();
    let target = Target { service: ServiceId::MAILBOX, key: 0xabcd, slot };
    RequestHead { id: 300, lane: Lane::Data, hops: 1, target, epoch: Epoch(9), deadline_ms: 5000 }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(encoded: &Encoded) -> base::Result<Frame> {
    let mut bytes = encoded.to_bytes();
    assert_eq!(bytes.get_u32() as usize, bytes.len());
    Frame::decode(bytes)
}

/// The frame has these very bytes, in both directions. Never change a line here: other nodes run
/// older versions. A new schema gets vectors of its own.
fn check(frame: Frame, golden: &str) {
    let encoded = frame.encode().unwrap();
    assert_eq!(hex(&encoded.to_bytes()), golden, "{frame:?}");
    assert_eq!(decode(&encoded).unwrap(), frame);
}

#[test]
fn golden_vectors_guard_every_frame() {
    let payload = Bytes::from_static(b"pay");
    check(
        Frame::Hello(hello()),
        "0000004f01004c524c544f00010002000000000000000000000000000000c10000000000000007\
         0000000000000000000000000000b00700000003000000400000000000100000000004000000000004000000",
    );
    check(
        Frame::Request { head: head(), payload: payload.clone() },
        "00000016020010fb2c01010101fbcdabfbff0f09fb8813706179",
    );
    check(Frame::Reply { id: 300, payload: payload.clone() }, "00000009030003fb2c01706179");
    let error = Error::new(Kind::Fenced, "moved").detail("to n3");
    check(
        Frame::Failure(FailureHead { id: 5, executed: Executed::Answered, error }),
        "0000001204000f05010a056d6f76656405746f206e33",
    );
    check(
        Frame::Hint { head: head(), payload },
        "00000016050010fb2c01010101fbcdabfbff0f09fb8813706179",
    );
    check(Frame::Cancel { id: 70_000 }, "00000008060005fc70110100");
    check(Frame::Credit { ids: vec![1, 251] }, "000000080700050201fbfb00");
    check(Frame::Ping { nonce: 1 }, "0000000408000101");
    check(Frame::Pong { nonce: 250 }, "00000004090001fa");
    check(Frame::Goodbye { why: "bye".into() }, "000000070a000403627965");
    check(Frame::Ignored { kind: 200 }, "00000003c80000");
    let request = JoinRequest {
        token_id: 2,
        secret: [7; 32],
        certificate_request: vec![0x30, 0],
        boot: BootId(1),
        profile: crate::placement::tests::profile(1),
    };
    check(
        Frame::JoinRequest(Box::new(request)),
        "0000003f0b003c020707070707070707070707070707070707070707070707070707070707070707\
         023000010d31302e302e302e313a37303030640103302e31026e31",
    );
    let reply = JoinReply {
        identity: NodeIdentity { cluster_id: 0xc1, node: NodeId(4) },
        certificate: vec![0x30, 1],
        roots: Roots { certificates: vec![vec![0x30, 2]] },
        incarnation: 5,
        members: vec![(NodeId(1), "a:1".into())],
    };
    check(
        Frame::JoinReply(Box::new(reply)),
        "000000130c0010c104023001010230020501010361\
         3a31",
    );
}

#[test]
fn a_hello_may_grow_and_versions_agree_on_the_newest() {
    let later = [&hello().encode()[..], b"of a later version"].concat();
    assert_eq!(Hello::decode(&later).unwrap(), hello());
    assert!(Hello::decode(&later[..75]).is_err());
    let agree = |ours, theirs| {
        let (one, two) = (Hello { schemas: ours, ..hello() }, Hello { schemas: theirs, ..hello() });
        assert_eq!(one.agree(&two).ok(), two.agree(&one).ok());
        one.agree(&two).ok()
    };
    assert_eq!(agree(1..=1, 1..=1), Some(1));
    assert_eq!(agree(1..=2, 2..=3), Some(2));
    assert_eq!(agree(1..=1, 1..=2), Some(1));
    assert_eq!(agree(1..=1, 2..=3), None);
}

#[test]
fn what_is_too_large_is_not_encoded() {
    let reply = |bytes| Frame::Reply { id: 1, payload: Bytes::from(vec![0; bytes]) };
    let largest = reply(PAYLOAD_BYTES_MAX).encode().unwrap();
    assert!(largest.front.len() + largest.payload.len() <= FRAME_BYTES_MAX);
    assert_eq!(reply(PAYLOAD_BYTES_MAX + 1).encode().unwrap_err().kind, Kind::Limit);
    // Errors are cut, not refused.
    let long = Error::new(Kind::Internal, "é".repeat(100_000)).detail("x".repeat(100_000));
    let long = FailureHead { id: 1, executed: Executed::No, error: long };
    let Frame::Failure(cut) = decode(&Frame::Failure(long).encode().unwrap()).unwrap() else {
        panic!("another frame");
    };
    assert!(cut.error.text.len() <= 4096 && cut.error.detail.len() == 4096);
}

#[test]
fn a_slot_that_does_not_exist_is_refused() {
    let good = Frame::Hint { head: head(), payload: Bytes::new() }.encode().unwrap().to_bytes();
    let at = good.windows(3).position(|w| w == [0xfb, 0xff, 0x0f]).unwrap();
    let mut bad = good.to_vec();
    bad[at + 2] = 0x10;
    assert!(Frame::decode(good.slice(4..)).is_ok());
    assert_eq!(Frame::decode(Bytes::from(bad).slice(4..)).unwrap_err().kind, Kind::Invalid);
}

fn any_head() -> impl Strategy<Value = RequestHead> {
    let parts = (any::<u64>(), any::<bool>(), any::<u8>(), any::<u16>(), any::<u128>());
    (parts, 0..Slot::COUNT, any::<u64>(), any::<u32>()).prop_map(
        |((id, control, hops, service, key), slot, epoch, deadline_ms)| {
            let slot = Slot::new(slot).unwrap();
            let target = Target { service: ServiceId(service), key, slot };
            let lane = if control { Lane::Control } else { Lane::Data };
            RequestHead { id, lane, hops, target, epoch: Epoch(epoch), deadline_ms }
        },
    )
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..6000).prop_map(Bytes::from);
    prop_oneof![
        (any_head(), bytes()).prop_map(|(head, payload)| Frame::Request { head, payload }),
        (any_head(), bytes()).prop_map(|(head, payload)| Frame::Hint { head, payload }),
        (any::<u64>(), bytes()).prop_map(|(id, payload)| Frame::Reply { id, payload }),
        (any::<u64>(), any::<String>()).prop_map(|(id, text)| {
            let error = Error::new(Kind::NotFound, text.clone()).detail(text);
            Frame::Failure(FailureHead { id, executed: Executed::No, error })
        }),
        any::<u64>().prop_map(|id| Frame::Cancel { id }),
        prop::collection::vec(any::<u64>(), 0..200).prop_map(|ids| Frame::Credit { ids }),
        any::<u64>().prop_map(|nonce| Frame::Ping { nonce }),
        any::<String>().prop_map(|why| Frame::Goodbye { why }),
    ]
}

/// Reads everything from bytes that arrive in pieces.
fn read_all(bytes: &[u8], piece: usize) -> (Vec<Frame>, base::Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (mut near, far) = tokio::io::duplex(piece.max(1));
        let writing = async {
            use tokio::io::AsyncWriteExt;
            // The reader may have given up.
            let _gone = near.write_all(bytes).await;
            drop(near);
        };
        let reading = async {
            let hour = Duration::from_secs(3600);
            let mut reader = FrameReader::new(far, hour, hour);
            reader.allow(FRAME_BYTES_MAX);
            let mut frames = Vec::new();
            loop {
                match reader.next().await {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => return (frames, Ok(())),
                    Err(error) => return (frames, Err(error)),
                }
            }
        };
        futures::join!(writing, reading).1
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_come_through_whole_however_they_are_cut(
        frames in prop::collection::vec(any_frame(), 1..8),
        piece in 1usize..3000,
    ) {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|frame| frame.encode().unwrap().to_bytes()).collect();
        let (found, end) = read_all(&bytes, piece);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(found, frames.clone());
        // Cut off anywhere, the whole frames still come, then an error.
        let cut = bytes.len() - 1 - piece.min(bytes.len() - 1);
        let (found, _) = read_all(&bytes[..cut], piece);
        prop_assert!(frames.starts_with(&found) && found.len() < frames.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn garbage_is_refused_without_panic(
        frame in any_frame(),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        junk in prop::collection::vec(any::<u8>(), 0..200),
        kind: u8,
    ) {
        let mut bytes = frame.encode().unwrap().to_bytes().to_vec();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(frame) = Frame::decode(Bytes::from(bytes).slice(4..)) {
            // What can be read can be written again.
            let is_credit = matches!(frame, Frame::Credit { .. });
            prop_assert!(frame.encode().is_ok() || is_credit);
        }
        let _either = Frame::decode(Bytes::from(junk.clone()));
        let _either = Hello::decode(&junk);
        let front = [kind, 0, junk.len() as u8];
        let _either = Frame::decode([&front[..], &junk[..]].concat().into());
    }
}
