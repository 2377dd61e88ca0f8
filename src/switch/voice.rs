//! What ears and voice tell, given to the call whose relay it is about.

use super::Switch;
use crate::call::media::call_of;
use crate::clock::Now;
use crate::voice::{Report, Subject};

impl Switch {
    pub(super) fn voice(&mut self, now: Now, report: Report) {
        if matches!(report, Report::Recorded { result: Err(_), .. }) {
            self.counters.recordings_failed_total += 1;
        }
        match (report.subject(), &report) {
            (Subject::Relay(relay), _) => {
                self.with_call(call_of(relay), |call, office| call.heard_by_voice(office, now, report));
            }
            (Subject::Room(room), Report::Recorded { result: Err(why), .. }) => {
                // Whoever is there now; those who come later learn it as they come.
                for relay in self.office.rooms.recording_failed(room, why) {
                    self.with_call(call_of(relay), |call, _| call.not_recorded(why));
                }
            }
            (Subject::Room(_), _) => {}
        }
    }
}
