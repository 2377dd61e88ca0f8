//! What ears and voice tell, given to the call whose relay it is about.

use super::Switch;
use crate::call::media::call_of;
use crate::clock::Now;
use crate::voice::Report;

impl Switch {
    pub(super) fn voice(&mut self, now: Now, report: Report) {
        if matches!(report, Report::Recorded { result: Err(_), .. }) {
            self.counters.recordings_failed_total += 1;
        }
        let key = call_of(report.relay());
        self.with_call(key, |call, office| call.heard_by_voice(office, now, report));
    }
}
