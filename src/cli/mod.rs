//! The command line: one file a verb. Exit codes are promises: 0 done, 1 the answer is no, 2 the input is wrong, 3 the daemon
//! can't be reached, 70 a fault of ours.

mod apply;
mod blast_radius;
mod calendar;
mod calls;
mod change;
mod check;
mod check_sync;
mod daemon;
mod events;
mod explain;
mod explanation;
mod export;
mod fmt;
mod hangup;
mod history;
mod import;
mod object;
mod offline;
mod out;
mod plan;
mod registrations;
mod replay;
mod resync;
mod route;
mod rules_dir;
mod run;
mod tree;
mod trunks;
mod who_reaches;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// How a verb ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// A golden test failed, nothing was found.
    No = 1,
    /// A diagnostic was printed.
    Input = 2,
    /// The daemon can't be reached.
    Unreachable = 3,
    /// A fault of ours.
    Fault = 70,
}

/// Why a verb did not do what it was asked: a line for the operator, and the exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    line: String,
}

impl Failure {
    fn input(line: impl ToString) -> Failure {
        Failure { exit: Exit::Input, line: line.to_string() }
    }
    fn no(line: impl ToString) -> Failure {
        Failure { exit: Exit::No, line: line.to_string() }
    }
    fn fault(line: impl ToString) -> Failure {
        Failure { exit: Exit::Fault, line: line.to_string() }
    }
}

#[derive(Parser)]
#[command(name = "ringtree", version, about, long_about = LONG, after_help = AFTER, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const LONG: &str = "A call-routing engine: registers phones, holds calls as a back-to-back user agent, relays media, and explains \
every decision.\n\nThe rules are TOML files, a directory a domain. `check`, `fmt`, `import`, `route --rules` and `tree --rules` need \
no daemon; the other verbs speak to a running one over its Unix socket.";

const AFTER: &str = "Exit codes: 0 done; 1 the answer is no (a golden test failed, nothing was found); 2 the input is wrong, and a \
diagnostic says where; 3 the daemon can't be reached; 70 a fault of ours.\n\nThe daemon is found by --socket, else RINGTREE_SOCKET, \
else `[admin] socket` of ./ringtree.toml, else ./ringtree-data/admin.sock, else /run/ringtree/admin.sock.";

#[derive(Subcommand)]
enum Verb {
    Run(run::Run),
    Check(check::Check),
    Fmt(fmt::Fmt),
    Import(import::Import),
    Route(route::Route),
    Tree(tree::Tree),
    Calendar(calendar::Calendar),
    WhoReaches(who_reaches::WhoReaches),
    BlastRadius(blast_radius::BlastRadius),
    Plan(plan::Plan),
    Replay(replay::Replay),
    Apply(apply::Apply),
    Export(export::Export),
    Diff(history::Diff),
    History(history::History),
    Rollback(history::Rollback),
    Confirm(history::Confirm),
    Blame(history::Blame),
    /// People: rules, extensions, and live status (dnd, forward, rule, queues)
    #[command(subcommand)]
    User(check_sync::WithPhones),
    /// Phones, and who is logged in to a hot-desk phone
    #[command(subcommand)]
    Device(check_sync::WithPhones),
    /// Numbers that come in from outside, and where each leads
    #[command(subcommand)]
    Number(object::Object),
    /// Lists of numbers that rules refer to
    #[command(subcommand)]
    List(object::Object),
    /// Time frames, and forcing one on or off
    #[command(subcommand)]
    TimeFrame(object::Object),
    /// Trunks: the way out and in
    #[command(subcommand)]
    Trunk(object::Object),
    /// Classes of dialled numbers
    #[command(subcommand)]
    Class(object::Object),
    /// Sites: zone, country, caller ID, emergency, restrictions
    #[command(subcommand)]
    Site(object::Object),
    /// Roles and what they may
    #[command(subcommand)]
    Role(object::Object),
    /// Hunt groups
    #[command(subcommand)]
    Hunt(object::Object),
    /// Queues
    #[command(subcommand)]
    Queue(object::Object),
    /// Auto-attendants
    #[command(subcommand)]
    Attendant(object::Object),
    /// Conference rooms
    #[command(subcommand)]
    Conference(object::Object),
    /// Dial-by-name directories
    #[command(subcommand)]
    Directory(object::Object),
    /// Mailboxes of no user
    #[command(subcommand)]
    Mailbox(resync::WithMessages),
    /// Announcements
    #[command(subcommand)]
    Announce(object::Object),
    /// Music on hold
    #[command(subcommand)]
    Moh(object::Object),
    /// Call-back identities of emergency calls
    #[command(subcommand)]
    Callback(object::Object),
    /// Civic addresses of emergency calls
    #[command(subcommand)]
    Location(object::Object),
    /// Calendars of holidays (`calendar EXT` shows which rule is active when)
    #[command(subcommand)]
    CalendarDays(object::Object),
    Calls(calls::Calls),
    Hangup(hangup::Hangup),
    Registrations(registrations::Registrations),
    Trunks(trunks::Trunks),
    Explain(explain::Explain),
    Events(events::Events),
}

impl Verb {
    fn carry_out(self) -> Result<Exit, Failure> {
        match self {
            Verb::Run(verb) => verb.carry_out(),
            Verb::Check(verb) => verb.carry_out(),
            Verb::Fmt(verb) => verb.carry_out(),
            Verb::Import(verb) => verb.carry_out(),
            Verb::Route(verb) => verb.carry_out(),
            Verb::Tree(verb) => verb.carry_out(),
            Verb::Calendar(verb) => verb.carry_out(),
            Verb::WhoReaches(verb) => verb.carry_out(),
            Verb::BlastRadius(verb) => verb.carry_out(),
            Verb::Plan(verb) => verb.carry_out(),
            Verb::Replay(verb) => verb.carry_out(),
            Verb::Apply(verb) => verb.carry_out(),
            Verb::Export(verb) => verb.carry_out(),
            Verb::Diff(verb) => verb.carry_out(),
            Verb::History(verb) => verb.carry_out(),
            Verb::Rollback(verb) => verb.carry_out(),
            Verb::Confirm(verb) => verb.carry_out(),
            Verb::Blame(verb) => verb.carry_out(),
            Verb::User(verb) => verb.carry_out("user"),
            Verb::Device(verb) => verb.carry_out("device"),
            Verb::Number(verb) => verb.carry_out("number"),
            Verb::List(verb) => verb.carry_out("list"),
            Verb::TimeFrame(verb) => verb.carry_out("time_frame"),
            Verb::Trunk(verb) => verb.carry_out("trunk"),
            Verb::Class(verb) => verb.carry_out("class"),
            Verb::Site(verb) => verb.carry_out("site"),
            Verb::Role(verb) => verb.carry_out("role"),
            Verb::Hunt(verb) => verb.carry_out("hunt"),
            Verb::Queue(verb) => verb.carry_out("queue"),
            Verb::Attendant(verb) => verb.carry_out("attendant"),
            Verb::Conference(verb) => verb.carry_out("conference"),
            Verb::Directory(verb) => verb.carry_out("directory"),
            Verb::Mailbox(verb) => verb.carry_out("mailbox"),
            Verb::Announce(verb) => verb.carry_out("announce"),
            Verb::Moh(verb) => verb.carry_out("moh"),
            Verb::Callback(verb) => verb.carry_out("callback"),
            Verb::Location(verb) => verb.carry_out("location"),
            Verb::CalendarDays(verb) => verb.carry_out("calendar"),
            Verb::Calls(verb) => verb.carry_out(),
            Verb::Hangup(verb) => verb.carry_out(),
            Verb::Registrations(verb) => verb.carry_out(),
            Verb::Trunks(verb) => verb.carry_out(),
            Verb::Explain(verb) => verb.carry_out(),
            Verb::Events(verb) => verb.carry_out(),
        }
    }
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let why = panic.payload().downcast_ref::<String>().map(String::as_str);
        let why =
            why.or_else(|| panic.payload().downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        eprintln!("ringtree: a fault of ours at {place}: {why}");
    }));
    let exit = match std::panic::catch_unwind(|| arguments.verb.carry_out()) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            eprintln!("ringtree: {}", failure.line);
            failure.exit
        }
        // The hook has said what.
        Err(_) => Exit::Fault,
    };
    ExitCode::from(exit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent_and_every_verb_and_flag_has_help() {
        let mut command = Arguments::command();
        command.build();
        command.clone().debug_assert();
        let mut todo = vec![command];
        while let Some(command) = todo.pop() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    command.get_name(),
                    argument.get_id()
                );
            }
            todo.extend(command.get_subcommands().cloned());
        }
    }
}
