//! How much of a message is kept, whatever the sender does.

/// Bounds of one scan. Beyond a bound the message is still accepted and every octet is still
/// reachable as part of an enclosing body; only the description becomes coarser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parts described; later ones stay inside the body of their multipart.
    pub parts: usize,
    /// Levels of multiparts and embedded messages; deeper ones are opaque octets.
    pub depth: usize,
    /// Octets kept of the fields of the message's own header.
    pub root_header_bytes: usize,
    /// The same for every embedded message.
    pub part_header_bytes: usize,
    /// Octets kept of one Content-… field.
    pub content_field_bytes: usize,
    /// Octets kept of all headers together.
    pub kept_bytes: usize,
    /// Elements of all address lists together.
    pub addresses: usize,
    /// Parameters of one Content-Type or Content-Disposition.
    pub parameters: usize,
}

/// A digest of a busy list or a spam report may have hundreds of parts; thousands are an attack.
pub const PARTS: usize = 10_000;
/// People's longest forward chains stay below 30. Every level is a stack frame when the value is
/// dropped or serialised, and 100 of them fit into the smallest thread stack we use.
pub const DEPTH: usize = 100;
/// 5,000 recipients of 50 octets.
pub const ROOT_HEADER_BYTES: usize = 256 * 1024;
/// An embedded message's header is shown in ENVELOPE only.
pub const PART_HEADER_BYTES: usize = 64 * 1024;
/// The longest genuine Content-Type carries a file name of some 3,000 octets, percent-encoded.
pub const CONTENT_FIELD_BYTES: usize = 16 * 1024;
/// 400 octets for each of 10,000 parts: the value stays below a store transaction.
pub const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// More than any genuine message has; about 130 octets of memory each.
pub const ADDRESSES: usize = 20_000;
/// A message has one author, seldom a handful; From may be copied to Sender and Reply-To.
pub const AUTHORS: usize = 100;
/// An RFC 2231 file name of 3,000 octets takes 50 pieces.
pub const PARAMETERS: usize = 100;
/// RFC 2046 §5.1.1 allows 70; senders exceed it. Longer ones count as missing.
pub const BOUNDARY_BYTES: usize = 200;
/// Ids kept of References and In-Reply-To; the oldest go first when a thread grows beyond.
pub const REFERENCES: usize = 200;
/// Language tags kept of a part.
pub const LANGUAGES: usize = 20;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            parts: PARTS,
            depth: DEPTH,
            root_header_bytes: ROOT_HEADER_BYTES,
            part_header_bytes: PART_HEADER_BYTES,
            content_field_bytes: CONTENT_FIELD_BYTES,
            kept_bytes: KEPT_BYTES,
            addresses: ADDRESSES,
            parameters: PARAMETERS,
        }
    }
}
