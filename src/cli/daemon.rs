//! Reaching the daemon: where its socket is, and what its answers mean for an exit code.

use super::{Exit, Failure};
use crate::admin::client::{Answer, Ask, Client, ClientError};
use crate::daemon::config::{Config, FILE_NAME};
use clap::Args;
use hyper::{Method, StatusCode};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::future::Future;
use std::path::{Path, PathBuf};

/// Where `ringtree run` makes its socket without a configuration, and where the system's service has it.
const USUAL: [&str; 2] = ["ringtree-data/admin.sock", "/run/ringtree/admin.sock"];

#[derive(Args)]
pub struct Daemon {
    /// The daemon's admin socket
    #[arg(long, value_name = "PATH", env = "RINGTREE_SOCKET", global = true)]
    socket: Option<PathBuf>,
}

impl Daemon {
    fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.find()?))
    }

    fn find(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let here = Path::new(FILE_NAME);
        if here.exists() {
            return Ok(Config::read(here).map_err(Failure::input)?.admin.socket);
        }
        let [local, system] = USUAL.map(PathBuf::from);
        Ok(if !local.exists() && system.exists() { system } else { local })
    }

    /// Asks, and takes anything but success for a failure.
    pub fn ask(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let answer = self.answer(ask)?;
        if answer.status.is_success() { Ok(answer) } else { Err(failure(&answer)) }
    }

    /// Asks, and leaves the judgement to the caller.
    pub fn answer(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let client = self.client()?;
        block_on(client.ask(ask))?.map_err(unreachable)
    }

    /// Asks for JSON.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        parse(&self.ask(Ask::new(Method::GET, path))?)
    }

    /// Follows the event stream.
    pub fn follow(&self, each: impl FnMut(&str, &str) -> std::ops::ControlFlow<()>) -> Result<(), Failure> {
        let client = self.client()?;
        match block_on(client.follow("/v1/events", || {}, each))?.map_err(unreachable)? {
            None => Ok(()),
            Some(answer) => Err(failure(&answer)),
        }
    }

    /// The time zone of a domain, by which people are told of times; UTC where the daemon doesn't say.
    pub fn zone(&self, domain: &str) -> Result<TimeZone, Failure> {
        let domains = self.get("/v1/domains")?;
        let of = |one: &&Value| text(one, "name").eq_ignore_ascii_case(domain);
        let found = domains.as_array().into_iter().flatten().find(of);
        Ok(found.and_then(|one| TimeZone::get(text(one, "zone")).ok()).unwrap_or(TimeZone::UTC))
    }

    /// The domain that is named, else the only one there is.
    pub fn domain(&self, named: Option<&str>) -> Result<String, Failure> {
        if let Some(domain) = named {
            return Ok(domain.to_owned());
        }
        let domains = self.get("/v1/domains")?;
        let names: Vec<&str> =
            domains.as_array().into_iter().flatten().filter_map(|d| d.get("name")?.as_str()).collect();
        match names.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(Failure::no("the daemon has no domain yet: `ringtree apply DIR` brings one")),
            many => Err(Failure::input(format!("which domain? Name one with --domain: {}", many.join(", ")))),
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(Failure::fault)?.block_on(future))
}

fn unreachable(error: ClientError) -> Failure {
    Failure { exit: Exit::Unreachable, line: error.to_string() }
}

/// The JSON of an answer.
pub fn parse(answer: &Answer) -> Result<Value, Failure> {
    serde_json::from_slice(&answer.body)
        .map_err(|e| Failure::fault(format!("the daemon's answer is no JSON: {e}")))
}

/// What a problem document says, and the exit code that it means.
pub fn failure(answer: &Answer) -> Failure {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let detail = problem
        .get("detail")
        .and_then(Value::as_str)
        .map_or_else(|| format!("the daemon answered {}", answer.status), str::to_owned);
    let exit = match answer.status {
        StatusCode::NOT_FOUND => Exit::No,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Exit::Unreachable,
        status if status.is_client_error() => Exit::Input,
        _ => Exit::Fault,
    };
    Failure { exit, line: detail }
}

/// A text member of a JSON value, or nothing.
pub fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
