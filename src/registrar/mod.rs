//! The registrar (RFC 3261 §10.3): which contacts each device has, what they say beyond it (RFC 3327, RFC 5626, RFC 5627, RFC 8599), and
//! the digest that guards them.

pub mod binding;
pub mod contact;
mod devices;
pub mod digest;
pub mod extensions;
mod flows;
pub mod gruu;
pub mod location;
mod nonce;
mod texts;

pub use binding::{Binding, BindingKey};
pub use location::{Change, Location};
