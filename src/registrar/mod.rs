//! The registrar (RFC 3261 §10.3): which contacts each device has, and the digest that guards them.

pub mod binding;
pub mod digest;
pub mod location;

pub use binding::{Binding, BindingKey};
pub use location::{Change, Location};
