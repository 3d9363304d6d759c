//! The description of the operators' side for programs: OpenAPI 3.1, made from the table of routes.

use ringfence_json::{Object, Value};

use super::route::{AnswerKind, Field, FieldKind, Route};
use crate::Power;

/// The document.
pub(crate) fn document(routes: &[Route]) -> Object {
    let mut paths = Object::new();
    for route in routes {
        let operation = operation(route);
        let method = route.method.as_str().to_ascii_lowercase();
        match paths.get_mut(route.path).and_then(Value::as_object_mut) {
            Some(operations) => drop(operations.insert(method, operation)),
            None => drop(paths.insert(route.path, Object::new().with(method, operation))),
        }
    }
    let bearer = Object::new().with("type", "http").with("scheme", "bearer");
    Object::new()
        .with("openapi", "3.1.0")
        .with(
            "info",
            Object::new()
                .with("title", "Ringfence, operators' side")
                .with("version", env!("CARGO_PKG_VERSION"))
                .with("license", Object::new().with("name", "Apache-2.0").with("identifier", "Apache-2.0")),
        )
        .with("paths", paths)
        .with(
            "components",
            Object::new()
                .with("securitySchemes", Object::new().with("person", bearer))
                .with("schemas", Object::new().with("Problem", problem())),
        )
}

fn operation(route: &Route) -> Object {
    let security = match route.power {
        Power::None => Vec::new(),
        _ => vec![Value::Object(Object::new().with("person", Value::Array(Vec::new())))],
    };
    let named = path_parts(route.path).map(|name| parameter(name, "path", true, "Which.", FieldKind::Text));
    let asked = route
        .query
        .iter()
        .map(|field| parameter(field.name, "query", field.required, field.about, field.kind));
    let parameters: Vec<Value> = named.chain(asked).map(Value::Object).collect();
    let body = route.body.map(|fields| {
        let content =
            Object::new().with("application/json", Object::new().with("schema", object_schema(fields)));
        Object::new().with("required", fields.iter().any(|field| field.required)).with("content", content)
    });
    let mut description = format!("Needs the role {}, or admin.", route.power.role());
    if route.power == Power::None {
        "Needs no token.".clone_into(&mut description);
    }
    Object::new()
        .with("operationId", route.operation)
        .with("summary", route.summary)
        .with("description", description)
        .with("security", Value::Array(security))
        .with("parameters", Value::Array(parameters))
        .with_some("requestBody", body)
        .with("responses", responses(route))
}

fn responses(route: &Route) -> Object {
    let (kind, schema) = match route.answer {
        AnswerKind::Document => ("application/json", "object"),
        AnswerKind::Lines => ("application/x-ndjson", "string"),
        AnswerKind::Events => ("text/event-stream", "string"),
        AnswerKind::Text => ("text/plain", "string"),
        AnswerKind::Bytes => ("application/octet-stream", "string"),
    };
    let done = Object::new()
        .with("description", "Done.")
        .with("content", content(kind, Object::new().with("type", schema)));
    let reference = Object::new().with("$ref", "#/components/schemas/Problem");
    let not_done = Object::new()
        .with("description", "Not done; says why and what to do.")
        .with("content", content("application/problem+json", reference));
    Object::new().with("200", done).with("default", not_done)
}

fn content(kind: &'static str, schema: Object) -> Object {
    Object::new().with(kind, Object::new().with("schema", schema))
}

fn parameter(name: &str, place: &str, required: bool, about: &str, kind: FieldKind) -> Object {
    Object::new()
        .with("name", name)
        .with("in", place)
        .with("required", required)
        .with("description", about)
        .with("schema", Object::new().with("type", type_of(kind)))
}

fn object_schema(fields: &[Field]) -> Object {
    let member = |field: &Field| {
        let items = (field.kind == FieldKind::Texts).then(|| Object::new().with("type", "string"));
        let schema = Object::new().with("type", type_of(field.kind)).with_some("items", items);
        let schema = schema.with("description", field.about);
        (field.name.into(), Value::Object(schema))
    };
    let required =
        fields.iter().filter(|field| field.required).map(|field| Value::from(field.name)).collect();
    Object::new()
        .with("type", "object")
        .with("properties", fields.iter().map(member).collect::<Object>())
        .with("required", Value::Array(required))
        .with("additionalProperties", false)
}

fn type_of(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "string",
        FieldKind::Whole => "integer",
        FieldKind::Flag => "boolean",
        FieldKind::Object => "object",
        FieldKind::Texts => "array",
    }
}

fn problem() -> Object {
    const FIELDS: &[Field] = &[
        Field::required("type", FieldKind::Text, "As RFC 9457 has it."),
        Field::required("title", FieldKind::Text, "The status, in words."),
        Field::required("status", FieldKind::Whole, "The status."),
        Field::required("detail", FieldKind::Text, "The cause."),
        Field::new("hint", FieldKind::Text, "The way out."),
    ];
    object_schema(FIELDS)
}

/// The names in a path such as `/runs/{run}`.
pub(crate) fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
