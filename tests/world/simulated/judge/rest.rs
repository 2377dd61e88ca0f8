//! What has to hold when all have gone.

use super::{Invariant, Judge, Verdict, violated};
use ringtree::switch::Census;

impl Judge {
    /// What has to hold when all have hung up and nothing is on its way any more.
    pub fn at_rest(&self, census: &Census<'_>) -> Verdict {
        if let Some((name, count)) = census.left().next() {
            return violated(Invariant::NothingLeft, format!("{count} {name} are left"));
        }
        if !self.relays.is_empty() {
            return violated(Invariant::NothingLeft, format!("relays are left: {:?}", self.relays.keys()));
        }
        if let Some(id) = self.started.difference(&self.ended).next() {
            return violated(Invariant::RecordIsTrue, format!("call {id} left no record"));
        }
        let mut asked: Vec<_> = self.asked.iter().filter(|(_, asked)| asked.life == self.life).collect();
        asked.sort_by(|a, b| a.0.cmp(b.0));
        for ((from, branch, method), asked) in asked {
            let answered =
                matches!(method.as_str(), "INVITE" | "BYE" | "CANCEL" | "REGISTER" | "OPTIONS" | "REFER");
            if answered && asked.status < 200 {
                let what = format!("the {method} {branch} of {from} got no final response");
                return violated(Invariant::OneFinalResponse, what);
            }
            if asked.fresh_invite && (200..300).contains(&asked.status) && !asked.acknowledged {
                let what = format!("the 200 to {branch} of {from} was neither acknowledged nor ended");
                return violated(Invariant::EverySuccessAcknowledged, what);
            }
        }
        self.legs_at_rest()
    }

    fn legs_at_rest(&self) -> Verdict {
        let mut legs: Vec<_> =
            self.legs.iter().filter(|(_, leg)| leg.life == self.life && !leg.within).collect();
        legs.sort_by(|a, b| a.0.cmp(b.0));
        for ((to, branch), leg) in legs {
            for answer in leg.answers.iter().filter(|answer| answer.sure) {
                if !answer.acknowledged {
                    let what = format!("the 200 of {to} to {branch} at {} was not acknowledged", answer.at);
                    return violated(Invariant::EverySuccessAcknowledged, what);
                }
                if !answer.byed {
                    let what = format!("{to} still holds the dialog {} {}", leg.call_id, answer.tag);
                    return violated(Invariant::EverySuccessAcknowledged, what);
                }
            }
            if leg.rang && !leg.finished && !leg.cancelled && !leg.unsure {
                return violated(Invariant::NoLegWithoutCall, format!("{to} rings for ever with {branch}"));
            }
        }
        Ok(())
    }
}
