//! A request or reply on its way: still the value it was packed from, or its encoded bytes.
//!
//! Whoever packs and whoever opens need not know which. Between actors of one node the value
//! itself travels in a box and nothing is encoded; only a link to another node asks for bytes.

use crate::error::{Error, Result};
use crate::wire;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::any::{Any, type_name};
use std::fmt;

/// What can be sent to an actor that may be on another node.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// A request or reply. See the module's words.
pub struct Parcel(Content);

enum Content {
    Typed(Box<dyn Typed>),
    Bytes(Bytes),
}

/// A message whose type is forgotten, but not how to encode it.
trait Typed: Send {
    fn encode(&self) -> Result<Bytes>;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    fn type_name(&self) -> &'static str;
}

impl<T: Message> Typed for T {
    fn encode(&self) -> Result<Bytes> {
        wire::encode(self)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn type_name(&self) -> &'static str {
        type_name::<T>()
    }
}

impl Parcel {
    /// Packs a value without encoding it.
    pub fn typed<T: Message>(value: T) -> Self {
        Self(Content::Typed(Box::new(value)))
    }

    /// Packs bytes that came from another node.
    pub fn bytes(encoded: Bytes) -> Self {
        Self(Content::Bytes(encoded))
    }

    /// Takes the value out.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) if a value of another type was packed,
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) if the bytes are no such value.
    pub fn open<T: Message>(self) -> Result<T> {
        match self.0 {
            Content::Bytes(encoded) => wire::decode(&encoded),
            Content::Typed(value) => {
                let found = (*value).type_name();
                match value.into_any().downcast::<T>() {
                    Ok(value) => Ok(*value),
                    Err(_) => Err(Error::internal(format!(
                        "a parcel holds {found} where {} is expected",
                        type_name::<T>()
                    ))),
                }
            }
        }
    }

    /// The encoded form, for a link to another node.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) if the value cannot be encoded, for example
    /// because it is larger than [`wire::VALUE_BYTES_MAX`].
    pub fn into_bytes(self) -> Result<Bytes> {
        match self.0 {
            Content::Bytes(encoded) => Ok(encoded),
            Content::Typed(value) => (*value).encode(),
        }
    }

    /// The encoded form of a parcel that stays: a spare copy of a request that may have to be sent
    /// again. Costs an encoding of a value, nothing for bytes.
    ///
    /// # Errors
    /// As [`Parcel::into_bytes`].
    pub fn to_bytes(&self) -> Result<Bytes> {
        match &self.0 {
            Content::Bytes(encoded) => Ok(encoded.clone()),
            Content::Typed(value) => (**value).encode(),
        }
    }

    /// A second parcel with the same content, for a request that may have to be sent again. Both
    /// hold bytes afterwards, which they share.
    ///
    /// # Errors
    /// As [`Parcel::into_bytes`].
    pub fn twice(self) -> Result<(Self, Self)> {
        let encoded = self.into_bytes()?;
        Ok((Self::bytes(encoded.clone()), Self::bytes(encoded)))
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Typed(value) => write!(f, "Parcel({})", (**value).type_name()),
            Content::Bytes(encoded) => write!(f, "Parcel({} bytes)", encoded.len()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Kind;
    use proptest::prelude::*;

    #[test]
    fn a_typed_parcel_hands_over_the_very_value() {
        let text = String::from("the same buffer");
        let address = text.as_ptr();
        let opened: String = Parcel::typed(text).open().unwrap();
        assert_eq!(opened.as_ptr(), address);
    }

    #[test]
    fn a_wrong_type_is_an_error_that_names_both() {
        let error = Parcel::typed(7u32).open::<String>().unwrap_err();
        assert_eq!(error.kind, Kind::Internal);
        assert!(error.detail.contains("u32") && error.detail.contains("String"), "{error}");
        let error = Parcel::bytes(Bytes::from_static(&[1, 2, 3])).open::<u8>().unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
    }

    #[test]
    fn what_is_too_large_to_travel_is_refused() {
        let large = Parcel::typed(vec![0u8; wire::VALUE_BYTES_MAX + 1]).into_bytes();
        // bincode's limit holds when reading; what could not be read must not be sent.
        assert!(large.and_then(|b| Parcel::bytes(b).open::<Vec<u8>>()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bytes_and_values_open_alike(value: (u64, String, Option<Vec<i32>>, bool)) {
            let typed: (u64, String, Option<Vec<i32>>, bool) =
                Parcel::typed(value.clone()).open().unwrap();
            prop_assert_eq!(&typed, &value);
            let kept = Parcel::typed(value.clone());
            let spare = kept.to_bytes().unwrap();
            prop_assert_eq!(&spare, &wire::encode(&value).unwrap());
            prop_assert_eq!(Parcel::bytes(spare.clone()).to_bytes().unwrap(), spare);
            let kept: (u64, String, Option<Vec<i32>>, bool) = kept.open().unwrap();
            prop_assert_eq!(&kept, &value);
            let (one, two) = Parcel::typed(value.clone()).twice().unwrap();
            prop_assert_eq!(one.into_bytes().unwrap(), wire::encode(&value).unwrap());
            let decoded: (u64, String, Option<Vec<i32>>, bool) = two.open().unwrap();
            prop_assert_eq!(&decoded, &value);
        }
    }
}
