//! Answer confirmation: whoever answers an outside leg is asked to press a key before they get the call, so that no mailbox of a
//! mobile network takes it.

use crate::rules::model::Confirm;
use crate::voice::Sound;
use crate::voice::digit::Digit;
use std::sync::Arc;
use std::time::Duration;

/// Whoever answers needs a moment to get the phone to the ear.
const LEAD: Duration = Duration::from_millis(800);
/// How long they have to press it before they are asked again.
const PAUSE: Duration = Duration::from_secs(3);

/// What is asked, again and again.
#[must_use]
pub fn question(domain: &Arc<str>, confirm: Confirm) -> Arc<[Sound]> {
    let name = match confirm {
        Confirm::One => "confirm",
        Confirm::Any => "confirm-any",
    };
    Arc::from([Sound::Pause(LEAD), Sound::Prompt { domain: domain.clone(), name }, Sound::Pause(PAUSE)])
}

/// Whether this key takes the call.
#[must_use]
pub fn accepts(confirm: Confirm, digit: Digit) -> bool {
    match confirm {
        Confirm::One => digit.char() == '1',
        Confirm::Any => true,
    }
}
