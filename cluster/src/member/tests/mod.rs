//! Members in one process, over one store, in a simulated network.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "the simulation owns tokio's time")]

mod cut;
mod faults;
mod founding;
mod life;
mod toy;
mod world;
