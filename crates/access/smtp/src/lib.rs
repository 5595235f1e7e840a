//! SMTP sessions: server and submission.
