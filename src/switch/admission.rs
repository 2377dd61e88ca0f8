//! Who is let in at the door: before anything of a message is read, and after its credentials were looked at (RFC 3261 §26.1.5, §26.3.2.4).

use super::strangers::ShutOut;
use super::{Event, Switch};
use crate::clock::Now;
use crate::registrar::digest::Verdict;
use crate::sip::Flow;

impl Switch {
    /// Whether a message that came by this flow is to be looked at. The edge asks before it reads one, so that what is refused costs
    /// a look-up. Responses are messages too: whom we call is registered, or a trunk.
    pub fn admits(&mut self, now: Now, flow: &Flow) -> bool {
        if self.office.location.knows(flow) || self.certified.is_trunk(flow) {
            return true;
        }
        let (rules, office) = (&self.rules, &self.office);
        let vouched = || {
            let trunks = || office.lines.leads_to(flow.remote.ip());
            rules.is_known_source(flow.remote) || trunks()
        };
        let admitted = self.strangers.admits(now.mono, flow.remote.ip(), vouched);
        self.counters.stranger_drops_total += u64::from(!admitted);
        admitted
    }

    /// What a stranger's credentials were counts for or against where they came from.
    pub(super) fn judged(&mut self, now: Now, flow: &Flow, verdict: &Verdict) {
        if self.office.location.knows(flow) {
            return;
        }
        let ip = flow.remote.ip();
        let out = match verdict {
            Verdict::Missing => self.strangers.challenged(now.mono, ip),
            Verdict::Stale => {
                self.strangers.answered(now.mono, ip);
                None
            }
            Verdict::Verified(_) => {
                self.strangers.verified(now.mono, ip);
                None
            }
            Verdict::Wrong | Verdict::Malformed => self.strangers.failed(now.mono, ip),
        };
        let Some(ShutOut { source, lasts }) = out else { return };
        if self.rules.is_known_source(flow.remote) {
            return self.strangers.pardon(ip);
        }
        self.counters.shut_outs_total += 1;
        self.told.push(Event::StrangerShutOut { source: source.to_string(), for_s: lasts.as_secs() });
    }
}
