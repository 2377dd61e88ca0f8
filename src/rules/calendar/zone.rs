//! A time zone by its name, looked up once. Serialised as the name and looked up again when decoded.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An IANA zone: `America/New_York`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: Arc<str>,
    time_zone: TimeZone,
}

impl Zone {
    /// The zone of this name, unless there is none in the system's database nor in the one that is built in.
    #[must_use]
    pub fn named(name: &str) -> Option<Zone> {
        let time_zone = TimeZone::get(name).ok()?;
        Some(Zone { name: name.into(), time_zone })
    }

    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name == other.name
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Zone, String> {
        Zone::named(&name).ok_or_else(|| format!("no time zone {name}"))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name.as_ref().into()
    }
}
