//! The stand-in, driven through its C functions.

mod api;
mod faults;
mod names;
mod player;
mod processes;
mod stress;
mod vectors;
