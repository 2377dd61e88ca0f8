//! The description of the admin socket (OpenAPI 3.1): what `openapi.json` says, and the routes of objects, which are the same for
//! every kind. A test below holds it against the routes that there are.

use crate::rules::edit::Kind;
use crate::rules::edit::kind::KINDS;
use serde_json::{Value, json};

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap_or_default();
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        for kind in &KINDS {
            let all = format!("/v1/domains/{{domain}}/{}", kind.collection);
            paths.insert(format!("{all}/{{name}}"), one(kind));
            paths.insert(all, list(kind));
        }
    }
    document
}

fn problem(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } })
}

fn domain() -> Value {
    json!({ "name": "domain", "in": "path", "required": true, "description": "the domain's name", "schema": { "type": "string" } })
}

fn list(kind: &Kind) -> Value {
    let objects = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Object" } });
    json!({ "get": {
        "summary": format!("Every {} of the domain; the generation as ETag", kind.spoken()),
        "parameters": [domain()],
        "responses": {
            "200": { "description": "done", "content": { "application/json": { "schema": objects } } },
            "404": problem("nothing of that name"),
        },
    } })
}

fn one(kind: &Kind) -> Value {
    let spoken = kind.spoken();
    let name = json!({ "name": "name", "in": "path", "required": true, "schema": { "type": "string" },
        "description": if kind.table == "user" { "its name, or an extension of it" } else { "its name" } });
    let if_match = json!({ "name": "If-Match", "in": "header", "required": false, "schema": { "type": "string" },
        "description": "the generation that the change is made to, such as \"12\"" });
    let object = json!({ "type": "object", "description": format!("the keys of a {spoken}, as in the rules; dates as text") });
    let changes = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Change" } });
    let patch = json!({ "oneOf": [object.clone(), changes],
        "description": "a merge patch (RFC 7396; an object in a list of tables names its elements), or a list of changes" });
    let body =
        |schema: &Value| json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    let write = |summary: String, parameters: &[Value], conflict: &str| {
        let applied = json!({ "$ref": "#/components/schemas/Applied" });
        json!({ "summary": summary, "parameters": parameters, "responses": {
            "200": { "description": "the generation, also as ETag", "content": { "application/json": { "schema": applied } } },
            "404": problem("nothing of that name"),
            "409": problem(conflict),
            "412": problem("the domain is at another generation"),
            "422": problem("the rules would be wrong, or a golden test fails: nothing has changed"),
        } })
    };
    let parameters = [domain(), name.clone(), if_match];
    let trial = "a file that it changes is on trial";
    let mut put = write(format!("Make a {spoken}, or give it these keys and no others"), &parameters, trial);
    let mut change =
        write(format!("Change a {spoken} in its text; comments and order stay"), &parameters, trial);
    let referred = "others refer to it (`referrers` lists them), or its file is on trial";
    let delete = write(format!("Remove a {spoken}"), &parameters, referred);
    for (operation, schema) in [(&mut put, &object), (&mut change, &patch)] {
        if let Value::Object(operation) = operation {
            operation.insert("requestBody".into(), body(schema));
        }
    }
    let shown = json!({ "$ref": "#/components/schemas/Object" });
    let get = json!({ "summary": format!("One {spoken} as it is written, and what is live of it; the generation as ETag"),
        "parameters": [domain(), name],
        "responses": {
            "200": { "description": "done", "content": { "application/json": { "schema": shown } } },
            "404": problem("nothing of that name"),
        } });
    json!({ "get": get, "put": put, "patch": change, "delete": delete })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every `.route("PATH", method(...)...)` of the router's source, as `method PATH`.
    fn routes() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let source: String = include_str!("mod.rs").split_whitespace().collect();
        for route in source.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').unwrap();
            // Up to the next route or the end of the statement, only the methods of this one.
            let methods = rest.split(".route(").next().unwrap().split(';').next().unwrap();
            for method in ["get", "put", "post", "patch", "delete"] {
                if methods.contains(&format!(",{method}(")) || methods.contains(&format!(").{method}(")) {
                    found.insert(format!("{method} {path}"));
                }
            }
        }
        for kind in &KINDS {
            found.insert(format!("get /v1/domains/{{domain}}/{}", kind.collection));
            for method in ["get", "put", "patch", "delete"] {
                found.insert(format!("{method} /v1/domains/{{domain}}/{}/{{name}}", kind.collection));
            }
        }
        found
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys().filter(|m| *m != "parameters") {
                described.insert(format!("{method} {path}"));
            }
        }
        assert_eq!(described.symmetric_difference(&routes()).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn every_operation_says_what_it_is_and_every_schema_that_is_named_is_there() {
        let document = document();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
                let named = path.matches('{').count();
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                assert_eq!(parameters.filter(|p| p["in"] == "path").count(), named, "{method} {path}");
            }
        }
        for name in document.to_string().split("#/components/schemas/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
