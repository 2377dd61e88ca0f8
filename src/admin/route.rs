//! `POST /v1/route`: a call that never was, decided with live state as it is. And the trees that decide.

use super::Admin;
use super::figure::Figure;
use super::problem::Problem;
use crate::rules::model::Given;
use crate::rules::route::{Query, route as decide};
use crate::rules::{Explanation, Live, given};
use crate::switch::Switch;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The body: the flags of `ringtree route`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Asked {
    /// `None`: the only domain there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What is otherwise live, in the shape of `given` in `[[expect]]`; several merge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<toml::Table>,
    #[serde(flatten)]
    pub query: serde_json::Map<String, serde_json::Value>,
}

/// `POST /v1/route`
pub(super) async fn route(
    State(admin): State<Arc<Admin>>,
    body: Bytes,
) -> Result<Json<Explanation>, Problem> {
    let asked: Asked =
        serde_json::from_slice(&body).map_err(|e| Problem::malformed(format!("the question: {e}")))?;
    let query: Query = serde_json::from_value(asked.query.into())
        .map_err(|e| Problem::malformed(format!("the question: {e}")))?;
    let mut given = Given::default();
    for table in &asked.given {
        given::merge_given(&mut given, table).map_err(|why| Problem::invalid(format!("`given` {why}")))?;
    }
    let name = match asked.domain {
        Some(name) => name,
        None => only_domain(&admin)?,
    };
    let question = move |switch: &mut Switch, now: crate::clock::Now| {
        let domain = switch.ruleset().domain(&name).cloned().ok_or_else(|| no_domain(&name))?;
        let live = switch.office().live(&domain, now, None);
        decide(&domain, &query, &given, Some(&live), now.wall).map_err(|e| Problem::invalid(e.to_string()))
    };
    let answer = admin.plane.query(question).await.ok_or_else(Problem::no_answer)?;
    answer.map(Json)
}

/// `GET /v1/domains/{domain}/trees/{ext}`
pub(super) async fn tree(
    State(admin): State<Arc<Admin>>,
    Path((domain, ext)): Path<(String, String)>,
) -> Result<Json<Figure>, Problem> {
    let missing = Problem::not_found(format!("{domain} has no tree for `{ext}`"));
    let live = admin.domain(&domain)?;
    let (name, extension) = (live.domain.name().clone(), ext.clone());
    // Asked where the status is, so that the tree and what is folded into it are of one moment.
    let folded = move |switch: &mut Switch, now: crate::clock::Now| {
        let domain = switch.ruleset().domain(&name)?.clone();
        let user = domain.user_of_extension(&extension)?.name.clone();
        let live = switch.office().live(&domain, now, None);
        Some(Figure::folded(&domain, &extension, live.folded(&user)?))
    };
    let figure = match admin.plane.query(folded).await.ok_or_else(Problem::no_answer)? {
        Some(folded) => Some(folded),
        None => Figure::of(&live.domain, &ext),
    };
    figure.map(Json).ok_or(missing)
}

fn only_domain(admin: &Admin) -> Result<String, Problem> {
    match admin.generations.all().as_slice() {
        [one] => Ok(one.stored.domain.to_string()),
        [] => Err(Problem::not_found("there is no domain yet")),
        many => {
            let names: Vec<_> = many.iter().map(|l| &*l.stored.domain).collect();
            Err(Problem::invalid(format!("which domain? There are {}", names.join(", "))))
        }
    }
}

fn no_domain(name: &str) -> Problem {
    Problem::not_found(format!("there is no domain `{name}`"))
}
