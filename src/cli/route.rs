//! `ringtree route`.

use super::daemon::{Daemon, parse};
use super::offline::Offline;
use super::{Exit, Failure, explanation, out};
use crate::admin::client::Ask;
use crate::admin::route::Asked;
use crate::net::clock;
use crate::rules::Explanation;
use crate::rules::given::parse_given;
use crate::rules::route::{Query, route};
use clap::Args;
use hyper::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Say what would happen to a call: step by step, with places and alternatives
///
/// Without --rules the daemon decides, with its rules and live state: who is registered, who is in a call, who has set what. With
/// --rules the files of a directory decide, and everybody is registered and idle unless --given says otherwise. A call that is
/// rejected is a decision like any other: exit 0.
///
/// Example: ringtree route --to +12025550101 --from +12025550150 --at 2026-11-24T10:00 --rules routing-rules/harbour-dental
#[derive(Args)]
pub struct Route {
    /// What is called: an extension, a number, a destination such as user:osei, or urn:service:sos
    #[arg(long, value_name = "N")]
    to: String,
    /// Who calls: a number, an extension, `anonymous` or `unknown`; default: unknown, by a trunk
    #[arg(long, value_name = "N")]
    from: Option<String>,
    /// The caller's name
    #[arg(long, value_name = "TEXT")]
    from_name: Option<String>,
    /// The device that calls
    #[arg(long, value_name = "DEVICE")]
    from_device: Option<String>,
    /// What the call came through, such as queue:support
    #[arg(long, value_name = "DEST")]
    via: Option<String>,
    /// The domain, if there are several
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// When: civil time in the domain's zone, or RFC 3339; default: now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What is otherwise live, as TOML: 'offline=["201a"]', 'active_calls={ osei = 1 }'; may be repeated
    #[arg(long, value_name = "K=V")]
    given: Vec<String>,
    /// Decide by the rules of this directory instead of the daemon's
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Print JSON: tags, steps, legs, outcome
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Route {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let explanation = match &self.rules {
            Some(dir) => self.by_files(dir)?,
            None => self.by_daemon()?,
        };
        if self.json {
            out::json(&explanation);
        } else {
            out::text(&explanation::render(&explanation));
        }
        Ok(Exit::Done)
    }

    fn query(&self) -> Query {
        Query {
            to: self.to.clone(),
            from: self.from.clone(),
            from_name: self.from_name.clone(),
            from_device: self.from_device.clone(),
            via: self.via.clone(),
            at: self.at.clone(),
        }
    }

    fn by_files(&self, dir: &Path) -> Result<Explanation, Failure> {
        let given = parse_given(&self.given).map_err(Failure::input)?;
        let domain = Offline::one(dir, self.domain.as_deref())?;
        route(&domain, &self.query(), &given, None, clock::now().wall).map_err(Failure::input)
    }

    fn by_daemon(&self) -> Result<Explanation, Failure> {
        parse_given(&self.given).map_err(Failure::input)?;
        let given = self.given.iter().filter_map(|text| toml::from_str(text).ok()).collect();
        let query = serde_json::to_value(self.query()).map_err(Failure::fault)?;
        let Value::Object(query) = query else { return Err(Failure::fault("a question is no object")) };
        let asked = Asked { domain: self.domain.clone(), given, query };
        let answer = parse(&self.daemon.ask(Ask::new(Method::POST, "/v1/route").json(&asked))?)?;
        serde_json::from_value(answer)
            .map_err(|e| Failure::fault(format!("the explanation can't be read: {e}")))
    }
}
