//! Items: trees, attachments, versions, search folders.
