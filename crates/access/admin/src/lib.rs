//! Administration: the API under `/api/v1/`, served on the node's local socket, and the health and
//! metrics port.
//!
//! Whoever can open the socket is the operator of the machine; the file's mode decides who that
//! is (0600). Nouns and verbs mirror the Exchange cmdlets. Every change can be asked for with
//! `?what_if=true`: it is checked and described, nothing is done.

pub mod api;
mod control;
mod health;
mod socket;
mod view;

pub use api::{Admin, NodeLogs, router};
pub use control::{
    CertificateView, CopyOrder, JobState, ListenerView, NodeAbout, NodeControl, StoreJob,
};
pub use health::{Health, Probe, health_router};
pub use socket::{SOCKET_PATH_BYTES_MAX, check_socket_path, serve_socket, serve_tcp};
pub use view::{ClusterView, MovesView, NodeView};
