//! The registrar (RFC 3261 §10.3): which contacts each device has, and the digest that guards them.

pub mod binding;
pub mod contact;
mod devices;
pub mod digest;
mod flows;
pub mod location;
mod nonce;
mod texts;

pub use binding::{Binding, BindingKey};
pub use location::{Change, Location};
