//! Calls: the back-to-back user agent.

pub mod record;
