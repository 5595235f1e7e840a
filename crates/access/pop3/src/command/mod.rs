//! One file for each command: what it asks of the contracts and what it tells the client.

pub(crate) mod apop;
pub(crate) mod auth;
pub(crate) mod capa;
pub(crate) mod dele;
pub(crate) mod lang;
pub(crate) mod list;
pub(crate) mod noop;
pub(crate) mod pass;
pub(crate) mod quit;
pub(crate) mod retr;
pub(crate) mod rset;
mod sign_in;
pub(crate) mod stat;
pub(crate) mod stls;
pub(crate) mod top;
pub(crate) mod uidl;
pub(crate) mod user;
pub(crate) mod utf8;
