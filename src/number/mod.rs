//! Numbers that people dial: E.164 numbers, the patterns of the rule language, and the one normaliser.
//!
//! Pure text in, text out. Not here: which number belongs to whom, and classes (those are rules).

mod country;
mod emergency;
mod normalise;
mod pattern;

pub use country::{COUNTRIES, Country, country};
pub use emergency::emergency_numbers;
pub use normalise::{Locale, is_e164, normalise};
pub use pattern::Pattern;
