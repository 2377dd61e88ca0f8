//! ringtree: a call-routing engine. `ARCHITECTURE.md` says which room a line belongs in; in short, the modules stand in
//! layers, and a lower one never names a higher one.
//!
//! - layer 0, bytes and values: [`sip`], [`sdp`], [`rtp`], [`number`], [`clock`], [`deadlines`], [`ids`]
//! - layer 1, machines, `now` in and actions out: [`transaction`], [`dialog`], [`registrar`], [`rules`], [`call`],
//!   [`subscription`], [`relay`]
//! - layer 2, the pure core: [`switch`]
//! - layer 3, the only async, clock, randomness and disk: [`net`], [`store`], [`admin`], [`daemon`], [`cli`]

#![forbid(unsafe_code)]

pub mod clock;
pub mod deadlines;
pub mod ice;
pub mod ids;
pub mod number;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod srtp;

pub mod call;
pub mod dialog;
pub mod pager;
pub mod registrar;
pub mod relay;
pub mod rules;
pub mod service;
pub mod subscription;
pub mod transaction;
pub mod trunk;
pub mod voice;

pub mod switch;

pub mod admin;
pub mod cli;
pub mod daemon;
pub mod net;
pub mod store;
