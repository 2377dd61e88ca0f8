//! Loops: calls that go from user to user, hunt, number, queue and attendant and come back.
//!
//! A loop that no call can leave is refused before anybody dials into it; one that needs a condition (nobody answers, it is
//! lunch time) is a warning with the path and the conditions. What a person does on purpose, pressing a key of an attendant,
//! closes no loop. At run time the repeated pair of object and rule and the hop budget end what is left; that is `walk`'s.

use super::diagnostic::{Diagnostic, Span};
use super::model::{Destination, Forwards, Model, Name, NumberTo, TargetTo, User, When};
use rustc_hash::FxHashMap;

/// Loops by condition that are told of: who has more of them has one cause.
const LOOPS_SHOWN_MAX: usize = 20;

/// One way on from an object.
struct Edge<'m> {
    to: usize,
    span: Span,
    condition: Condition<'m>,
    /// A number that leads to itself, which no time makes right.
    to_itself: bool,
}

/// When a call takes a way. Put into words only where it closes a loop.
#[derive(Clone, Copy)]
enum Condition<'m> {
    /// Every call that comes this way.
    None,
    /// A rule of a user.
    Follows(&'m str),
    /// A rule of a number, by its name or its place.
    FollowsIts(Option<&'m str>, usize),
    CalledDirectly(&'m str),
    /// Whom a rule goes on to follow.
    OnlyLeft {
        user: &'m str,
        rule: &'m str,
    },
    /// What came of a rule.
    Outcome(&'static str, &'m str),
    Service(&'static str),
}

impl Condition<'_> {
    fn words(self) -> Option<String> {
        Some(match self {
            Condition::None => return None,
            Condition::Follows(rule) => format!("follows `{rule}`"),
            Condition::FollowsIts(Some(rule), _) => format!("follows its rule `{rule}`"),
            Condition::FollowsIts(None, place) => format!("follows its rule `{place}`"),
            Condition::CalledDirectly(rule) => format!("is called directly (`{rule}`)"),
            Condition::OnlyLeft { user, rule } => format!("has only `{user}` left to follow (`{rule}`)"),
            Condition::Outcome(outcome, rule) => format!("{outcome} (`{rule}`)"),
            Condition::Service(what) => what.to_owned(),
        })
    }
}

/// Everything that calls can come to, with its ways on.
struct Graph<'m> {
    nodes: Vec<Destination>,
    edges: Vec<Vec<Edge<'m>>>,
    /// Whether calls can end there, or leave what is looked at here.
    ends: Vec<bool>,
}

/// Users, hunts and numbers whose calls are always sent on and come back, whatever the time and whoever calls. One finding a
/// loop.
pub(super) fn unconditional(model: &Model) -> Vec<Diagnostic> {
    Graph::of(model).endless()
}

/// Those, and the loops that a condition closes.
pub(super) fn all(model: &Model) -> Vec<Diagnostic> {
    let mut graph = Graph::of(model);
    let mut found = graph.endless();
    found.extend(graph.conditional());
    found
}

impl<'m> Graph<'m> {
    fn of(model: &'m Model) -> Graph<'m> {
        let mut nodes: Vec<Destination> = Vec::new();
        nodes.extend(model.users.keys().cloned().map(Destination::User));
        nodes.extend(model.numbers.keys().cloned().map(Destination::Tel));
        nodes.extend(model.services.hunts.keys().cloned().map(Destination::Hunt));
        nodes.extend(model.services.queues.keys().cloned().map(Destination::Queue));
        nodes.extend(model.services.attendants.keys().cloned().map(Destination::Attendant));
        let index: FxHashMap<&Destination, usize> =
            nodes.iter().enumerate().map(|(at, node)| (node, at)).collect();
        let (mut edges, mut ends) = (Vec::with_capacity(nodes.len()), Vec::with_capacity(nodes.len()));
        for node in &nodes {
            let mut ways = Ways { index: &index, edges: Vec::new(), ends: false };
            match node {
                Destination::User(name) => {
                    model.users.get(name).into_iter().for_each(|user| ways.user(name, user))
                }
                Destination::Tel(name) => {
                    model.numbers.get(name).into_iter().for_each(|number| ways.number(node, &number.to));
                }
                _ => ways.service(model, node),
            }
            ends.push(ways.ends || ways.edges.is_empty());
            edges.push(ways.edges);
        }
        Graph { nodes, edges, ends }
    }

    /// Loops that no call can leave. They are taken out of the graph.
    fn endless(&mut self) -> Vec<Diagnostic> {
        let trapped = self.trapped();
        let mut found = Vec::new();
        let mut seen = vec![false; self.edges.len()];
        for start in (0..self.edges.len()).filter(|node| trapped.get(*node) == Some(&true)) {
            if let Some(way) = self.cycle_from(start, &trapped, &mut seen) {
                found.push(self.endless_finding(&way));
            }
        }
        for node in (0..self.edges.len()).filter(|node| trapped.get(*node) == Some(&false)) {
            let itself = self.edges.get(node).and_then(|edges| edges.iter().position(|edge| edge.to_itself));
            if let Some(index) = itself {
                found.push(self.endless_finding(&[(node, index)]));
            }
        }
        for (edges, trapped) in self.edges.iter_mut().zip(&trapped) {
            edges.retain(|edge| !trapped && !edge.to_itself);
        }
        found
    }

    /// Nodes from which every way leads to others of them: all, less those where calls can end, less those with a way to one
    /// of these, and so on.
    fn trapped(&self) -> Vec<bool> {
        let mut trapped: Vec<bool> = self.ends.iter().map(|ends| !ends).collect();
        let mut leaving: Vec<usize> =
            (0..trapped.len()).filter(|node| trapped.get(*node) == Some(&false)).collect();
        let back = self.backwards();
        while let Some(node) = leaving.pop() {
            for before in back.get(node).into_iter().flatten() {
                if let Some(trapped) = trapped.get_mut(*before).filter(|trapped| **trapped) {
                    *trapped = false;
                    leaving.push(*before);
                }
            }
        }
        trapped
    }

    /// The nodes with an edge to each.
    fn backwards(&self) -> Vec<Vec<usize>> {
        let mut back: Vec<Vec<usize>> = vec![Vec::new(); self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            for edge in edges {
                if let Some(list) = back.get_mut(edge.to) {
                    list.push(from);
                }
            }
        }
        back
    }

    /// The loop that is reached by following each node's first edge to one of `inside`, as (node, index of the edge); `None` if
    /// the way joins one that was walked before.
    fn cycle_from(&self, start: usize, inside: &[bool], seen: &mut [bool]) -> Option<Vec<(usize, usize)>> {
        let mut way: Vec<(usize, usize)> = Vec::new();
        let mut at = start;
        while seen.get(at) == Some(&false) {
            if let Some(seen) = seen.get_mut(at) {
                *seen = true;
            }
            let edges = self.edges.get(at)?;
            let next = edges.iter().position(|edge| inside.get(edge.to) == Some(&true))?;
            way.push((at, next));
            at = edges.get(next)?.to;
        }
        let first = way.iter().position(|(node, _)| *node == at)?;
        Some(way.split_off(first))
    }

    fn name(&self, node: usize) -> String {
        match self.nodes.get(node) {
            Some(Destination::User(name) | Destination::Tel(name)) => name.to_string(),
            other => other.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn edge(&self, (node, index): (usize, usize)) -> Option<&Edge<'m>> {
        self.edges.get(node)?.get(index)
    }

    /// `ann -> bob -> ann`.
    fn path(&self, way: &[(usize, usize)]) -> String {
        let names = way.iter().chain(way.first()).map(|(node, _)| self.name(*node));
        names.collect::<Vec<_>>().join(" -> ")
    }

    fn span(&self, step: Option<&(usize, usize)>) -> Span {
        step.and_then(|step| self.edge(*step)).map(|edge| edge.span).unwrap_or_default()
    }

    fn endless_finding(&self, way: &[(usize, usize)]) -> Diagnostic {
        let message = format!("every call goes round for ever: {}", self.path(way));
        let first = way.first().map(|(node, _)| self.name(*node)).unwrap_or_default();
        Diagnostic::error("forwarding-loop", self.span(way.last()), message)
            .related(self.span(way.first()), format!("`{first}` sends every call on here"))
            .help("let one of them ring, or forward to a mailbox")
    }

    /// Loops that a condition closes: what no loop can pass is cut away, a loop of the rest is told of, its last edge cut, and
    /// so on.
    fn conditional(&mut self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        while found.len() < LOOPS_SHOWN_MAX {
            let inside = self.in_loops();
            let mut seen = vec![false; self.edges.len()];
            let ways: Vec<_> = (0..self.edges.len())
                .filter(|node| inside.get(*node) == Some(&true))
                .filter_map(|start| self.cycle_from(start, &inside, &mut seen))
                .collect();
            if ways.is_empty() {
                break;
            }
            for way in &ways {
                found.push(self.conditional_finding(way));
            }
            for (node, index) in ways.iter().filter_map(|way| way.last().copied()) {
                if let Some(edges) = self.edges.get_mut(node).filter(|edges| index < edges.len()) {
                    edges.remove(index);
                }
            }
        }
        found
    }

    /// Nodes that have a way on to others that have one, for ever: all that is left when the ends are cut away.
    fn in_loops(&self) -> Vec<bool> {
        let mut ways: Vec<usize> = self.edges.iter().map(Vec::len).collect();
        let mut done: Vec<usize> = (0..ways.len()).filter(|node| ways.get(*node) == Some(&0)).collect();
        let back = self.backwards();
        while let Some(node) = done.pop() {
            for before in back.get(node).into_iter().flatten() {
                if let Some(count) = ways.get_mut(*before) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        done.push(*before);
                    }
                }
            }
        }
        ways.into_iter().map(|count| count > 0).collect()
    }

    fn conditional_finding(&self, way: &[(usize, usize)]) -> Diagnostic {
        let conditions: Vec<String> = way
            .iter()
            .filter_map(|step| {
                let condition = self.edge(*step)?.condition.words()?;
                Some(format!("`{}` {condition}", self.name(step.0)))
            })
            .collect();
        let message = format!("calls can go round: {}, when {}", self.path(way), conditions.join(" and "));
        Diagnostic::warning("conditional-loop", self.span(way.last()), message)
            .related(self.span(way.first()), "the way begins here")
            .help("send one of them elsewhere; at the second visit the call ends in the mailbox of the first user called")
    }
}

/// The ways on from one object while they are gathered.
struct Ways<'g, 'm> {
    index: &'g FxHashMap<&'g Destination, usize>,
    edges: Vec<Edge<'m>>,
    ends: bool,
}

impl<'m> Ways<'_, 'm> {
    /// A way on; to what is not looked at here, calls end.
    fn add(&mut self, to: &Destination, span: Span, condition: Condition<'m>) {
        match self.index.get(to) {
            Some(to) => self.edges.push(Edge { to: *to, span, condition, to_itself: false }),
            None => self.ends = true,
        }
    }

    fn user(&mut self, name: &Name, user: &'m User) {
        for rule in user.rules.iter().filter(|rule| rule.enabled) {
            let time = match (&rule.when, self.edges.is_empty() && !self.ends) {
                (When::Always, true) => Condition::None,
                _ => Condition::Follows(&rule.name),
            };
            let always = rule.forward.always.as_ref();
            if let Some(always) = always {
                let condition = match always.direct_only {
                    true => Condition::CalledDirectly(&rule.name),
                    false => time,
                };
                self.add(&always.to, always.span, condition);
            }
            if always.is_none_or(|always| always.direct_only) {
                // Its phones ring, and somebody may answer.
                self.ends = true;
                self.outcomes(&rule.name, &rule.forward);
                for target in rule.ring.targets.iter().filter(|target| target.follow.is_some()) {
                    for to in &target.to {
                        if let TargetTo::Destination(to_user @ Destination::User(other)) = &to.value
                            && other != name
                        {
                            let left = Condition::OnlyLeft { user: other, rule: &rule.name };
                            self.add(to_user, to.span, left);
                        }
                    }
                }
            }
            if rule.when == When::Always {
                break;
            }
        }
    }

    fn outcomes(&mut self, rule: &'m str, forward: &'m Forwards) {
        let Forwards { always: _, dnd, on_active, busy, no_answer, declined, offline, otherwise } = forward;
        for (outcome, forward) in [
            ("does not want to be disturbed", dnd),
            ("is in a call", on_active),
            ("is busy", busy),
            ("does not answer", no_answer),
            ("declines", declined),
            ("is offline", offline),
            ("does not take the call", otherwise),
        ] {
            if let Some(forward) = forward {
                self.add(&forward.to, forward.span, Condition::Outcome(outcome, rule));
            }
        }
    }

    fn number(&mut self, node: &Destination, to: &'m NumberTo) {
        match to {
            NumberTo::Spare => self.ends = true,
            NumberTo::To(to) => self.add(&to.value, to.span, Condition::None),
            NumberTo::Rules(rules) => {
                let several = rules.len() > 1;
                for (rule, count) in rules.iter().zip(1..) {
                    let condition = match several {
                        true => Condition::FollowsIts(rule.name.as_deref(), count),
                        false => Condition::None,
                    };
                    self.add(&rule.to.value, rule.to.span, condition);
                    if rule.to.value == *node
                        && let Some(edge) = self.edges.last_mut()
                    {
                        edge.to_itself = true;
                    }
                }
            }
        }
    }

    fn service(&mut self, model: &Model, node: &Destination) {
        let services = &model.services;
        // Somebody may answer, or hang up.
        self.ends = true;
        let (to, condition) = match node {
            Destination::Hunt(name) => {
                (services.hunts.get(name).and_then(|hunt| hunt.on_failure.as_ref()), "finds nobody")
            }
            Destination::Queue(name) => {
                (services.queues.get(name).and_then(|queue| queue.overflow.as_ref()), "overflows")
            }
            Destination::Attendant(name) => {
                let attendant = services.attendants.get(name);
                if let Some(invalid) = attendant.and_then(|attendant| attendant.invalid.as_ref()) {
                    let unknown = Condition::Service("gets a key that it does not know");
                    self.add(&invalid.value, invalid.span, unknown);
                }
                (attendant.and_then(|attendant| attendant.no_input.as_ref()), "gets no key")
            }
            _ => (None, ""),
        };
        if let Some(to) = to {
            self.add(&to.value, to.span, Condition::Service(condition));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::trial::{fires, silent};

    fn user(name: &str, ext: &str, rules: &str) -> String {
        format!(
            "[user.{name}]\next = \"{ext}\"\n[device.{name}]\nuser = \"{name}\"\nauth = {{ user = \"{name}\", secret = \"env:X\" }}\n{rules}"
        )
    }

    fn always(name: &str, keys: &str) -> String {
        format!("[[user.{name}.rule]]\nname = \"Default\"\nwhen = \"always\"\n{keys}\n")
    }

    #[test]
    fn a_loop_that_no_call_can_leave_is_refused_with_its_path() {
        let text = format!(
            "{}{}",
            user("ann", "101", &always("ann", "forward.always = \"user:bob\"")),
            user("bob", "102", &always("bob", "forward.always = «\"user:ann\"")),
        );
        fires("forwarding-loop", &text, "every call goes round for ever: ann -> bob -> ann");
        silent("forwarding-loop", &text.replace('«', "").replace("\"user:ann\"\n", "\"voicemail:ann\"\n"));
    }

    #[test]
    fn a_loop_by_several_ways_is_one_all_the_same() {
        let open = "[time_frame.open]\nweekly = [\"mon-fri 09:00-17:00\"]\n";
        let ann = "[[user.ann.rule]]\nname = \"Open\"\nwhen = \"open\"\nforward.always = \"user:bob\"\n";
        let cat = user("cat", "103", &always("cat", "forward.always = \"user:ann\""));
        let text = |back: &str| {
            let bob = user("bob", "102", &always("bob", &format!("forward.always = {back}")));
            format!(
                "{open}{}{bob}{cat}",
                user("ann", "101", &format!("{ann}{}", always("ann", "forward.always = \"user:cat\"")))
            )
        };
        fires("forwarding-loop", &text("«\"user:ann\""), "for ever: ann -> bob -> ann");
        // At night the call still goes round, and by day it rings at the desk.
        silent("forwarding-loop", &text("\"user:desk\""));
        fires(
            "conditional-loop",
            &text("\"user:desk\"").replacen(
                "forward.always = \"user:ann\"",
                "forward.always = «\"user:ann\"",
                1,
            ),
            "`ann` follows `Default`",
        );
    }

    #[test]
    fn a_loop_through_our_own_number_is_seen() {
        let text = format!(
            "[number.\"+12025550101\"]\nto = \"user:ann\"\n{}",
            user("ann", "101", &always("ann", "forward.always = \"tel:+12025550101\""))
        );
        let marked = text.replacen("to = \"user:ann\"", "to = «\"user:ann\"", 1);
        fires("forwarding-loop", &marked, "ann -> +12025550101 -> ann");
    }

    #[test]
    fn a_number_that_leads_to_itself_is_refused_whatever_the_time() {
        let open = "[time_frame.open]\nweekly = [\"mon-fri 09:00-17:00\"]\n";
        let rule = |when: &str, to: &str| {
            format!("[[number.\"+12025550101\".rule]]\nwhen = \"{when}\"\nto = {to}\n")
        };
        let text =
            format!("{open}{}{}", rule("open", "«\"tel:+12025550101\""), rule("always", "\"user:desk\""));
        fires("forwarding-loop", &text, "for ever: +12025550101 -> +12025550101");
        silent("forwarding-loop", &text.replace('«', "").replace("tel:+12025550101", "voicemail:desk"));
    }

    #[test]
    fn a_loop_that_a_condition_closes_is_told_of_with_the_condition() {
        let text = |back: &str| {
            format!(
                "{}{}",
                user("ann", "101", &always("ann", "forward.no_answer = \"user:bob\"")),
                user("bob", "102", &always("bob", &format!("forward.busy = {back}"))),
            )
        };
        fires(
            "conditional-loop",
            &text("«\"user:ann\""),
            "ann -> bob -> ann, when `ann` does not answer (`Default`) and `bob` is busy (`Default`)",
        );
        silent("conditional-loop", &text("\"voicemail:ann\""));
        silent("conditional-loop", &text("\"handset:ann\""));
    }

    #[test]
    fn a_queue_and_an_attendant_that_wait_for_each_other_are_told_of() {
        let queue =
            "[queue.support]\next = \"810\"\nagents = [\"user:desk\"]\noverflow = \"attendant:main\"\n";
        let waiting = format!("{queue}[attendant.main]\next = \"800\"\nno_input = «\"queue:support\"\n");
        let says = "queue:support -> attendant:main -> queue:support, when `queue:support` overflows and `attendant:main` gets no key";
        fires("conditional-loop", &waiting, says);
        // A key is pressed by somebody, and on purpose.
        let keys = "keys = { \"1\" = \"queue:support\" }\nno_input = \"user:desk\"\n";
        silent("conditional-loop", &format!("{queue}[attendant.main]\next = \"800\"\n{keys}"));
    }
}
