//! Hunts, queues, attendants and feature codes: calls that wait for nobody, members whose white list refuses every caller, keys
//! that lead nowhere new.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{At, Destination, Name, TargetTo, WhiteListed};
use super::rights::no_route;
use super::ringing;
use super::survey::Survey;

/// All of them.
pub(super) fn services(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    hunts(survey, found);
    queues(survey, found);
    attendants(survey, found);
    codes(survey, found);
}

fn hunts(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for (name, hunt) in &survey.model.services.hunts {
        let mut short = None;
        ringing::list(survey, &hunt.ring, None, found, &mut short);
        found.extend(short);
        found.extend(ringing::too_long(survey, &hunt.ring));
        if hunt.on_failure.is_none() {
            found.push(dead_end(
                hunt.span,
                &format!("calls that nobody of the hunt `{name}` takes"),
                "on_failure",
            ));
        }
        for to in hunt.ring.targets.iter().flat_map(|target| &target.to) {
            match &to.value {
                TargetTo::Destination(Destination::User(user)) => {
                    found.extend(refused(
                        survey,
                        user,
                        to.span,
                        &WhiteListed::Hunt(name.clone()),
                        &format!("hunt:{name}"),
                    ));
                }
                TargetTo::Destination(Destination::Tel(number)) => {
                    found.extend(no_route(survey, number, None, to.span))
                }
                _ => {}
            }
        }
        found.extend(hunt.on_failure.as_ref().and_then(|to| outside(survey, to)));
    }
}

fn queues(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for (name, queue) in &survey.model.services.queues {
        match &queue.overflow {
            Some(to) => found.extend(outside(survey, to)),
            None => found.push(dead_end(
                queue.span,
                &format!("calls that wait too long in the queue `{name}`"),
                "overflow",
            )),
        }
        if queue.agents.is_empty() {
            let message = format!("the queue `{name}` has no agent: every call overflows at once");
            found.push(
                Diagnostic::warning("no-agents", queue.span, message).help("add `agents = [\"user:...\"]`"),
            );
        }
        for agent in &queue.agents {
            let listed = WhiteListed::Queue(name.clone());
            found.extend(refused(survey, &agent.value, agent.span, &listed, &format!("queue:{name}")));
        }
    }
}

fn attendants(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for (name, attendant) in &survey.model.services.attendants {
        if attendant.no_input.is_none() {
            let what = format!("callers who press nothing at the attendant `{name}`");
            found.push(dead_end(attendant.span, &what, "no_input"));
        }
        let others = attendant.no_input.iter().chain(&attendant.invalid);
        for to in attendant.keys.values().chain(others) {
            found.extend(outside(survey, to));
        }
    }
}

/// `dead-end` of a service.
fn dead_end(span: Span, what: &str, key: &str) -> Diagnostic {
    Diagnostic::warning("dead-end", span, format!("{what} end with 480"))
        .help(format!("add `{key} = \"...\"`: a mailbox, a user, another destination"))
}

/// `no-route` of a destination.
fn outside(survey: &Survey<'_>, to: &At<Destination>) -> Option<Diagnostic> {
    match &to.value {
        Destination::Tel(number) => no_route(survey, number, None, to.span),
        _ => None,
    }
}

/// `white-list-refuses`: a member is judged against the caller, unless its list names the hunt or queue; outside callers are on
/// no list of ours.
fn refused(
    survey: &Survey<'_>,
    user: &Name,
    span: Span,
    listed: &WhiteListed,
    what: &str,
) -> Option<Diagnostic> {
    let user_table = survey.model.users.get(user)?;
    let first = user_table.white_list.first().filter(|_| user_table.white_list_covers_all)?;
    if user_table.white_list.iter().any(|entry| entry.value == *listed) {
        return None;
    }
    let message =
        format!("`{user}` never rings here for callers from outside: their white list refuses them");
    Some(
        Diagnostic::warning("white-list-refuses", span, message)
            .related(first.span, "their white list")
            .help(format!("add `{what}` to the `white_list` of `{user}`, or leave them out here")),
    )
}

/// `dial-covers-code`: a dial rule that never sees a feature code.
fn codes(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
    for rule in &model.dial {
        if let Some((code, _)) =
            model.services.codes.by_code.iter().find(|(code, _)| rule.dialled.matches(code))
        {
            let message = format!("this rule never sees `{code}`: feature codes are looked at first");
            found.push(
                Diagnostic::warning("dial-covers-code", rule.span, message)
                    .help("narrow `dialled`, or choose another code"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    #[test]
    fn services_that_leave_callers_alone_are_told_of() {
        let hunt = "[hunt.x]\next = \"830\"\ntargets = [\"user:desk\"]\n";
        fires("dead-end", &format!("«{hunt}"), "nobody of the hunt `x` takes");
        silent("dead-end", &format!("{hunt}on_failure = \"voicemail:desk\"\n"));
        let queue = "[queue.x]\next = \"810\"\nagents = [\"user:desk\"]\n";
        fires("dead-end", &format!("«{queue}"), "wait too long in the queue `x`");
        silent("dead-end", &format!("{queue}overflow = \"voicemail:desk\"\n"));
        let attendant = "[attendant.x]\next = \"800\"\nkeys = { \"1\" = \"user:desk\" }\n";
        fires("dead-end", &format!("«{attendant}"), "press nothing at the attendant `x`");
        silent("dead-end", &format!("{attendant}no_input = \"user:desk\"\n"));
    }

    #[test]
    fn a_queue_without_agents_is_told_of() {
        fires(
            "no-agents",
            "«[queue.x]\next = \"810\"\noverflow = \"voicemail:desk\"\n",
            "every call overflows at once",
        );
        silent(
            "no-agents",
            "[queue.x]\next = \"810\"\nagents = [\"user:desk\"]\noverflow = \"voicemail:desk\"\n",
        );
    }

    #[test]
    fn the_ring_list_of_a_hunt_is_looked_at_as_a_users() {
        let hunt = |target: &str| {
            format!(
                "[hunt.x]\next = \"830\"\non_failure = \"voicemail:desk\"\ntimeout = \"40s\"\ntargets = [\"user:desk\", {target}]\n"
            )
        };
        fires("unconfirmed-outside", &hunt("«\"tel:+12125550173\""), "the voicemail of +12125550173");
        silent("unconfirmed-outside", &hunt("{ to = \"tel:+12125550173\", confirm = \"1\" }"));
        fires("no-route", &hunt("{ to = «\"tel:+442079460000\", confirm = \"1\" }"), "of no class");
    }

    #[test]
    fn a_member_whose_white_list_refuses_outside_callers_is_told_of() {
        let ann = |list: &str| {
            format!(
                "[device.101a]\nuser = \"ann\"\nauth = {{ user = \"101a\", secret = \"env:A\" }}\n[user.ann]\next = \"101\"\nwhite_list = [{list}]\n"
            )
        };
        let hunt = "[hunt.x]\next = \"830\"\non_failure = \"voicemail:desk\"\ntargets = [«\"user:ann\"]\n";
        let queue = "[queue.x]\next = \"810\"\nagents = [«\"user:ann\"]\noverflow = \"voicemail:desk\"\n";
        for (service, name) in [(hunt, "hunt:x"), (queue, "queue:x")] {
            fires(
                "white-list-refuses",
                &format!("{}{service}", ann("\"user:desk\"")),
                &format!("add `{name}`"),
            );
            silent(
                "white-list-refuses",
                &format!("{}{service}", ann(&format!("\"user:desk\", \"{name}\""))).replace('«', ""),
            );
            let internal = format!("{}white_list_covers = \"internal\"\n{service}", ann("\"user:desk\""));
            silent("white-list-refuses", &internal.replace('«', ""));
        }
    }

    #[test]
    fn a_dial_rule_over_a_feature_code_is_told_of() {
        let codes = "[codes]\ndnd_on = \"*78\"\n";
        fires(
            "dial-covers-code",
            &format!("{codes}«[[dial]]\ndialled = \"*7X\"\nas = \"100\"\n"),
            "never sees `*78`",
        );
        silent("dial-covers-code", &format!("{codes}[[dial]]\ndialled = \"*6X\"\nas = \"100\"\n"));
    }
}
