//! A request that can be sent more than once.

use base::Result;
use base::router::Parcel;
use bytes::Bytes;

/// See the module's words.
pub(super) enum Request {
    /// Nobody was given it yet.
    Whole(Parcel),
    /// Its encoded form.
    Encoded(Bytes),
    /// It cannot be encoded, and was given to this node's host.
    Gone,
}

impl Request {
    /// For a host on this node: the value itself the first time, its encoded form from then on.
    /// `None` if there is nothing left to send.
    pub(super) fn for_here(&mut self) -> Option<Parcel> {
        match std::mem::replace(self, Self::Gone) {
            Self::Whole(parcel) => {
                if let Ok(encoded) = parcel.to_bytes() {
                    *self = Self::Encoded(encoded);
                }
                Some(parcel)
            }
            Self::Encoded(encoded) => {
                *self = Self::Encoded(encoded.clone());
                Some(Parcel::bytes(encoded))
            }
            Self::Gone => None,
        }
    }

    /// How long its encoded form is, as far as is known.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Encoded(encoded) => encoded.len(),
            Self::Whole(_) | Self::Gone => 0,
        }
    }

    /// For another node.
    ///
    /// # Errors
    /// As [`Parcel::into_bytes`].
    pub(super) fn for_there(&mut self) -> Result<Option<Bytes>> {
        let encoded = match std::mem::replace(self, Self::Gone) {
            Self::Whole(parcel) => parcel.into_bytes()?,
            Self::Encoded(encoded) => encoded,
            Self::Gone => return Ok(None),
        };
        *self = Self::Encoded(encoded.clone());
        Ok(Some(encoded))
    }
}
