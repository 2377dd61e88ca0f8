//! Every arrow of the figures of RFC 3261 §17 and RFC 6026, on virtual time, through the layer's own door.

mod bench;
mod clients;
mod large;
mod layer;
mod random;
mod servers;
