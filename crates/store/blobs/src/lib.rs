//! The blob contract over any store: chunks, manifests, references, collection.
