//! admin

pub mod client;
pub mod mask;
pub mod peer;
pub mod problem;
pub mod until;
