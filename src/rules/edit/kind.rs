//! What can be edited by name: the word of its tables, its collection on the admin socket, and where a first one is written.

/// One kind of named object.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// `[time_frame.X]`; with a colon it names an object: `time_frame:open`.
    pub table: &'static str,
    /// `/v1/domains/{domain}/time-frames`
    pub collection: &'static str,
    /// The file of the first one, where no other file suggests itself.
    pub home: &'static str,
}

const fn kind(table: &'static str, collection: &'static str, home: &'static str) -> Kind {
    Kind { table, collection, home }
}

/// All of them.
pub static KINDS: [Kind; 20] = [
    kind("user", "users", "users.toml"),
    kind("device", "devices", "devices.toml"),
    kind("number", "numbers", "numbers.toml"),
    kind("list", "lists", "lists.toml"),
    kind("time_frame", "time-frames", "time.toml"),
    kind("calendar", "calendars", "time.toml"),
    kind("trunk", "trunks", "outbound.toml"),
    kind("class", "classes", "outbound.toml"),
    kind("site", "sites", "sites.toml"),
    kind("role", "roles", "roles.toml"),
    kind("hunt", "hunts", "services.toml"),
    kind("queue", "queues", "services.toml"),
    kind("attendant", "attendants", "services.toml"),
    kind("conference", "conferences", "services.toml"),
    kind("directory", "directories", "services.toml"),
    kind("mailbox", "mailboxes", "services.toml"),
    kind("announce", "announcements", "services.toml"),
    kind("moh", "moh", "services.toml"),
    kind("callback", "callbacks", "emergency.toml"),
    kind("location", "locations", "emergency.toml"),
];

impl Kind {
    /// By the word of its tables; `time-frame` will do for `time_frame`.
    #[must_use]
    pub fn of_table(word: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|k| k.table == word.replace('-', "_"))
    }

    #[must_use]
    pub fn of_collection(word: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|k| k.collection == word)
    }

    /// For people: `time frame`.
    #[must_use]
    pub fn spoken(&self) -> String {
        self.table.replace('_', " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::edit::shape::{FILE, FREE};

    #[test]
    fn every_kind_has_its_own_words_and_a_shape() {
        for (nth, kind) in KINDS.iter().enumerate() {
            let others = KINDS.iter().skip(nth + 1);
            assert!(others.clone().all(|o| o.table != kind.table && o.collection != kind.collection));
            assert!(!std::ptr::eq(FILE.under(kind.table), &FREE), "{} has no order of keys", kind.table);
            assert_eq!(Kind::of_table(kind.table), Some(kind));
            assert_eq!(Kind::of_collection(kind.collection), Some(kind));
        }
    }
}
