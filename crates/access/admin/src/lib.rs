//! Administration over the local socket, and the health and metrics port.
