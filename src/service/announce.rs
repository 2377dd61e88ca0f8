//! Announcements: as a destination, and as what a refused caller hears before the final response.

use crate::rules::Domain;
use crate::rules::model::Refuse;
use crate::voice::tone::Kind;
use crate::voice::{Repeat, Sound};
use std::sync::Arc;
use std::time::Duration;

/// What is in front of every announcement: media takes a moment to get through.
const LEAD: Duration = Duration::from_millis(400);
/// How long a refused caller hears a tone.
pub const TONE_LASTS: Duration = Duration::from_secs(6);
/// The longest that an announcement may keep a call.
pub const LASTS_MAX: Duration = Duration::from_secs(600);

/// What is said, and for how long at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    pub sounds: Arc<[Sound]>,
    pub repeat: Repeat,
    pub lasts_max: Duration,
}

impl Announcement {
    /// `[announce.NAME]`. A name that the rules don't have says nothing.
    #[must_use]
    pub fn named(domain: &Domain, name: &str) -> Announcement {
        let file = domain.announcement(name).map(|file| Sound::File { domain: domain.name().clone(), file });
        let sounds = [Sound::Pause(LEAD)].into_iter().chain(file).collect();
        Announcement { sounds, repeat: Repeat::Times(1), lasts_max: LASTS_MAX }
    }

    /// One of our prompts.
    #[must_use]
    pub fn prompt(domain: &Domain, name: &'static str) -> Announcement {
        let sounds = Arc::from([Sound::Pause(LEAD), Sound::Prompt { domain: domain.name().clone(), name }]);
        Announcement { sounds, repeat: Repeat::Times(1), lasts_max: LASTS_MAX }
    }

    /// What a refused caller hears; `None`: nothing but the status.
    #[must_use]
    pub fn treatment(domain: &Domain, refuse: &Refuse) -> Option<Announcement> {
        match refuse {
            Refuse::Status(_) => None,
            Refuse::Announce(name) => Some(Announcement::named(domain, name)),
            Refuse::Tone(name) => {
                let tone = Sound::Tone { kind: Kind::named(name)?, country: domain.country().clone() };
                let sounds = Arc::from([tone]);
                Some(Announcement { sounds, repeat: Repeat::Times(1), lasts_max: TONE_LASTS })
            }
        }
    }
}
