//! Bytes that must not be seen.

use std::fmt;

/// A password or a SASL response.
///
/// Prints as `[redacted]`, compares in a time that tells only the length, and is overwritten when
/// it is dropped. The overwrite is a courtesy, not a promise: without unsafe code nothing reaches
/// copies that a growing buffer left behind, so build it from a vector that never grew.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(bytes)
    }

    /// The bytes, for the one who checks or sends them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from removing a store that nobody reads.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |seen, (a, b)| seen | (a ^ b));
        self.0.len() == other.0.len() && std::hint::black_box(differences) == 0
    }
}

impl Eq for Secret {}
