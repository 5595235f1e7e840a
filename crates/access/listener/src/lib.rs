//! The only owner of client sockets: accept loops, TLS, limits, line and byte streams.
