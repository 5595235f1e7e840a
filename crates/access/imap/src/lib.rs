//! IMAP4rev1 sessions.
