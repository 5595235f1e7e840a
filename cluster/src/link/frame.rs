//! The bytes of a link: frames, and how they are encoded and decoded.
//!
//! ```text
//! u32 length of what follows, big-endian    u8 kind    u16 length of the head    head    payload
//! ```
//!
//! The head is one small value in the form of [`base::wire`]; the payload is opaque and is never
//! copied into another buffer on its way. Kinds from 128 on may be ignored by who does not know
//! them; an unknown kind below ends the link. Golden vectors in the tests guard every byte.

use super::error::{Executed, violation};
use super::hello::Hello;
use super::window::Lane;
use crate::pki::{JoinReply, JoinRequest};
use base::router::Target;
use base::{Epoch, Error, Kind, Result, Slot, wire};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The longest frame, in bytes, all counted.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// The longest head, in bytes.
pub const HEAD_BYTES_MAX: usize = 48 << 10;

/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - HEAD_BYTES_MAX - PREFIX_BYTES;

/// The longest frame that is read from somebody who has not said hello yet.
pub const HELLO_BYTES_MAX: usize = 1 << 10;

/// What stands before the head.
pub const PREFIX_BYTES: usize = 7;

/// How much of an error's text, and of its detail, is sent.
const ERROR_TEXT_BYTES_MAX: usize = 4 << 10;

/// How many hints one frame may name.
pub const CREDITS_MAX: usize = 4096;

/// The head of a request or a hint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestHead {
    /// Names it on this link, in this direction.
    pub id: u64,
    /// Whose window it uses.
    pub lane: Lane,
    /// How many nodes have passed it on before.
    pub hops: u8,
    /// Who is asked.
    pub target: Target,
    /// The epoch of the target's slot as the sender knows it.
    pub epoch: Epoch,
    /// What is left of its deadline, in milliseconds.
    pub deadline_ms: u32,
}

/// The head of a failure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailureHead {
    /// The request.
    pub id: u64,
    /// Whether the request was executed, as far as the receiver knows.
    pub executed: Executed,
    /// What went wrong.
    pub error: Error,
}

/// What is sent over a link.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are what the variants' words name")]
pub enum Frame {
    /// Who is there; the first frame each way.
    Hello(Hello),
    /// Asks; answered by one reply or failure.
    Request { head: RequestHead, payload: Bytes },
    /// Answers a request.
    Reply { id: u64, payload: Bytes },
    /// Answers a request that could not be served.
    Failure(FailureHead),
    /// Tells; answered by its id in a later `Credit`.
    Hint { head: RequestHead, payload: Bytes },
    /// The caller of this request went away. It is answered all the same.
    Cancel { id: u64 },
    /// The receiver is done with these hints.
    Credit { ids: Vec<u64> },
    /// Is somebody there?
    Ping { nonce: u64 },
    /// Yes.
    Pong { nonce: u64 },
    /// Nothing new will be served on this link; why, for the log.
    Goodbye { why: String },
    /// A new node's request, on a connection of its own.
    JoinRequest(Box<JoinRequest>),
    /// The answer to it (or a `Failure`).
    JoinReply(Box<JoinReply>),
    /// Of a later version, to be ignored.
    Ignored { kind: u8 },
}

const HELLO: u8 = 1;
const REQUEST: u8 = 2;
const REPLY: u8 = 3;
const FAILURE: u8 = 4;
const HINT: u8 = 5;
const CANCEL: u8 = 6;
const CREDIT: u8 = 7;
const PING: u8 = 8;
const PONG: u8 = 9;
const GOODBYE: u8 = 10;
const JOIN_REQUEST: u8 = 11;
const JOIN_REPLY: u8 = 12;
const IGNORABLE: u8 = 128;

/// A frame as it is written: the payload stays the sender's own buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// Length, kind and head.
    pub front: Bytes,
    /// The payload.
    pub payload: Bytes,
}

impl Encoded {
    /// All bytes in one piece.
    pub fn to_bytes(&self) -> Bytes {
        [&self.front[..], &self.payload[..]].concat().into()
    }
}

impl Frame {
    /// The bytes of the frame. (There is one schema as yet; with a second one this and
    /// [`Frame::decode`] are told which was agreed on.)
    ///
    /// # Errors
    /// [`Kind::Limit`] for a payload or head that is too long.
    pub fn encode(&self) -> Result<Encoded> {
        let none = Bytes::new();
        let (kind, head, payload) = match self {
            Self::Hello(hello) => (HELLO, hello.encode(), none),
            Self::Request { head, payload } => (REQUEST, wire::encode(head)?, payload.clone()),
            Self::Reply { id, payload } => (REPLY, wire::encode(id)?, payload.clone()),
            Self::Failure(head) => (FAILURE, wire::encode(&head.shortened())?, none),
            Self::Hint { head, payload } => (HINT, wire::encode(head)?, payload.clone()),
            Self::Cancel { id } => (CANCEL, wire::encode(id)?, none),
            Self::Credit { ids } => (CREDIT, wire::encode(ids)?, none),
            Self::Ping { nonce } => (PING, wire::encode(nonce)?, none),
            Self::Pong { nonce } => (PONG, wire::encode(nonce)?, none),
            Self::Goodbye { why } => (GOODBYE, wire::encode(&shortened(why))?, none),
            Self::JoinRequest(request) => (JOIN_REQUEST, wire::encode(request)?, none),
            Self::JoinReply(reply) => (JOIN_REPLY, wire::encode(reply)?, none),
            Self::Ignored { kind } => (*kind, none.clone(), none),
        };
        if payload.len() > PAYLOAD_BYTES_MAX || head.len() > HEAD_BYTES_MAX {
            return Err(too_large(payload.len().max(head.len())));
        }
        let mut front = BytesMut::with_capacity(PREFIX_BYTES + head.len());
        front.put_u32((PREFIX_BYTES - 4 + head.len() + payload.len()) as u32);
        front.put_u8(kind);
        front.put_u16(head.len() as u16);
        front.put_slice(&head);
        Ok(Encoded { front: front.freeze(), payload })
    }

    /// Reads what follows the length of a frame.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if it is no frame: the link must end.
    pub fn decode(mut rest: Bytes) -> Result<Self> {
        if rest.len() < PREFIX_BYTES - 4 {
            return Err(violation("a frame without kind and head"));
        }
        let (kind, head_length) = (rest.get_u8(), usize::from(rest.get_u16()));
        if head_length > rest.len() || head_length > HEAD_BYTES_MAX {
            return Err(violation(format!("a head of {head_length} bytes in {}", rest.len())));
        }
        let head = rest.split_to(head_length);
        let frame = match kind {
            HELLO => Self::Hello(Hello::decode(&head)?),
            REQUEST => Self::Request { head: request_head(&head)?, payload: owned(&mut rest) },
            REPLY => Self::Reply { id: read(&head)?, payload: owned(&mut rest) },
            FAILURE => Self::Failure(read(&head)?),
            HINT => Self::Hint { head: request_head(&head)?, payload: owned(&mut rest) },
            CANCEL => Self::Cancel { id: read(&head)? },
            CREDIT => Self::Credit { ids: credits(&head)? },
            PING => Self::Ping { nonce: read(&head)? },
            PONG => Self::Pong { nonce: read(&head)? },
            GOODBYE => Self::Goodbye { why: read(&head)? },
            JOIN_REQUEST => Self::JoinRequest(read(&head)?),
            JOIN_REPLY => Self::JoinReply(read(&head)?),
            IGNORABLE.. => return Ok(Self::Ignored { kind }),
            _ => return Err(violation(format!("a frame of the unknown kind {kind}"))),
        };
        if !rest.is_empty() {
            return Err(violation(format!("{} bytes of payload in kind {kind}", rest.len())));
        }
        Ok(frame)
    }
}

/// What a payload that is too large is answered with.
pub(super) fn too_large(bytes: usize) -> Error {
    Error::new(Kind::Limit, "The request is larger than can be sent to another node")
        .detail(format!("{bytes} bytes"))
}

fn read<T: DeserializeOwned>(head: &[u8]) -> Result<T> {
    wire::decode(head).map_err(|error| violation(error.detail))
}

fn request_head(head: &[u8]) -> Result<RequestHead> {
    let head: RequestHead = read(head)?;
    match Slot::new(head.target.slot.number()) {
        Some(_) => Ok(head),
        None => Err(violation(format!("a request for {}", head.target.slot))),
    }
}

fn credits(head: &[u8]) -> Result<Vec<u64>> {
    let ids: Vec<u64> = read(head)?;
    if ids.len() > CREDITS_MAX { Err(violation("too many credits at once")) } else { Ok(ids) }
}

/// The payload. A short one is copied, because as a part of the connection's buffer it would keep
/// all of that buffer alive.
fn owned(rest: &mut Bytes) -> Bytes {
    const SHORT_BYTES: usize = 4 << 10;
    let payload = std::mem::take(rest);
    if payload.len() < SHORT_BYTES { Bytes::copy_from_slice(&payload) } else { payload }
}

impl FailureHead {
    fn shortened(&self) -> Self {
        let Error { kind, text, detail } = &self.error;
        let error = Error::new(*kind, shortened(text).to_owned()).detail(shortened(detail));
        Self { error, ..self.clone() }
    }
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(ERROR_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
