//! What can be asked about rules that are live: which rule answers when, what reaches an extension, what hangs on an object.

use super::problem::Problem;
use super::{Admin, blocking};
use crate::net::clock;
use crate::rules::agenda::{Agenda, Period, agenda};
use crate::rules::reach::blast::{Blast, blast_radius};
use crate::rules::reach::who::{Reach, who_reaches};
use crate::rules::reach::{Graph, Object};
use crate::switch::Switch;
use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::civil::Date;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct Asked {
    week: Option<Date>,
    year: Option<bool>,
}

/// `GET /v1/domains/{domain}/calendar/{ext}?week=DATE`, or `?year=true`: which rule is active when.
pub(super) async fn calendar(
    State(admin): State<Arc<Admin>>,
    Path((domain, ext)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Json<Agenda>, Problem> {
    let live = admin.domain(&domain)?;
    let name = live.stored.domain.clone();
    let missing = Problem::not_found(format!("{domain} has no rules for `{ext}`"));
    let question = move |switch: &mut Switch, now: crate::clock::Now| {
        let domain = switch.ruleset().domain(&name).cloned()?;
        let state = switch.office().live(&domain, now, None);
        let today = asked.week.unwrap_or_else(|| domain.today(now.wall));
        let period = if asked.year == Some(true) { Period::Year(today) } else { Period::Week(today) };
        agenda(&domain, &ext, period, Some(&state))
    };
    let answer = admin.plane.query(question).await.ok_or_else(Problem::no_answer)?;
    answer.map(Json).ok_or(missing)
}

/// `GET /v1/domains/{domain}/who-reaches/{ext}`: by which ways calls come to it.
pub(super) async fn reaches(
    State(admin): State<Arc<Admin>>,
    Path((domain, ext)): Path<(String, String)>,
) -> Result<Json<Reach>, Problem> {
    let live = admin.domain(&domain)?;
    let found = blocking(move || {
        let missing = || Problem::not_found(format!("{domain} has no `{ext}`"));
        let model = live.model()?;
        who_reaches(&model, &Graph::of(&model), &ext).ok_or_else(missing)
    });
    found.await?.map(Json)
}

/// `GET /v1/domains/{domain}/blast-radius/{object}`: what refers to it, and what would change without it.
pub(super) async fn blast(
    State(admin): State<Arc<Admin>>,
    Path((domain, object)): Path<(String, String)>,
) -> Result<Json<Blast>, Problem> {
    let live = admin.domain(&domain)?;
    let named = Object::parse(&object).ok_or_else(|| {
        Problem::invalid(format!("`{object}` is no object: write `kind:name`, as in `trunk:carrier`"))
    })?;
    let found = blocking(move || {
        let missing = || Problem::not_found(format!("{domain} has no `{object}`"));
        blast_radius(&live.model()?, &live.domain, &named, clock::now().wall).ok_or_else(missing)
    });
    found.await?.map(Json)
}
