//! Items as trees: making, changing, marking and removing them, for MAPI, EWS, ActiveSync and DAV.
//!
//! An item that has a UID can always be fetched. One that came as a message shows that message for
//! ever; one that was authored as a tree shows a plain message made from its properties
//! ([`render`]), which is stored with the UID that shows it: where an edit changes it, the item
//! gets a new UID in the same transaction.

mod content;
mod create;
mod delete;
mod edit;
mod import;
mod limits;
mod render;
mod reserve;
mod set_read;
mod versions;

pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use edit::edit;
pub(crate) use import::stored as stored_predecessors;
pub(super) use reserve::reserve;
pub(super) use set_read::set_read;
