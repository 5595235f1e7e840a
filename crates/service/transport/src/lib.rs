//! Accepting, categorising, delivering, bouncing: the transport actors.
