//! The mailbox actor: folders, items, flags, moves, searches, deliveries and submissions.
