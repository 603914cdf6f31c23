//! What texts look like that are more than words, in the specification: cursors, codes, months, keys. One table, by name,
//! because the same name means the same thing everywhere. And which methods a path has.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder};

const CURSOR: &str = "^[A-Za-z0-9_-]{21}[AQgw]$";
/// Of a list whose lines have numbers: the lists of notices and of stars.
const LINE_CURSOR: &str = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$";
const AREA_CODE: &str = "^([0-9]{6}|[0-9]{9}|[0-9]{12}|[0-9]{15}|[0-9]{18})$";
const MONTH: &str = "^[0-9]{4}-(0[1-9]|1[0-2])$";
const TIME: &str = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$";

/// Parameters wherever they stand.
const PARAMETERS: [(&str, &str); 8] = [
    ("Idempotency-Key", "^[!#-~]{1,128}$"),
    ("If-Match", "^(\\*|\"?[0-9]{1,18}\"?)$"),
    ("areaCode", AREA_CODE),
    ("by", "^(team|grid|village|township)$"),
    ("cursor", CURSOR),
    ("month", MONTH),
    ("scope", "^(all|own|team|area)$"),
    ("status", "^(placed|dispatched|accepted|in_service|waiting|completed|rated|closed|cancelled|merged)$"),
];

/// Properties of bodies, by body and name.
const PROPERTIES: [(&str, &str, &str); 13] = [
    ("CloseBody", "month", MONTH),
    ("OpenBody", "areaCode", AREA_CODE),
    ("PlaceBody", "channel", "^(scan|app|hotline|patrol)$"),
    ("PlaceBody", "urgency", "^(urgent|priority|normal|complex)$"),
    ("ProposeBody", "areaCode", AREA_CODE),
    ("QuietJson", "from", TIME),
    ("QuietJson", "to", TIME),
    ("RecordBody", "areaCode", AREA_CODE),
    ("RecordBody", "format", "^(csv|json)$"),
    ("RecordBody", "part", "^(people|teams|projects|training|awards|hours|ratings)$"),
    ("RevisitBody", "outcome", "^(solved|unsolved|unreachable)$"),
    ("ShiftJson", "from", TIME),
    ("ShiftJson", "to", TIME),
];

/// Says what each of them looks like.
pub(crate) struct Shapes;

impl utoipa::Modify for Shapes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for operation in operations_mut(item) {
                for parameter in operation.parameters.iter_mut().flatten() {
                    if let RefOr::T(parameter) = parameter {
                        shape_parameter(path, parameter);
                    }
                }
                add_refusals(operation);
            }
        }
        let Some(components) = &mut document.components else { return };
        for (body, name, pattern) in PROPERTIES {
            let Some(RefOr::T(Schema::Object(body))) = components.schemas.get_mut(body) else { continue };
            if let Some(RefOr::T(Schema::Object(property))) = body.properties.get_mut(name) {
                property.pattern = Some(pattern.to_owned());
            }
        }
    }
}

fn shape_parameter(path: &str, parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else { return };
    // There is no null in a header: one that is not sent is absent.
    if parameter.parameter_in == ParameterIn::Header {
        schema.schema_type = SchemaType::Type(Type::String);
    }
    let shape = PARAMETERS.iter().find(|(name, _)| *name == parameter.name);
    if let Some((name, pattern)) = shape.filter(|_| is_text(schema)) {
        let numbered = *name == "cursor" && path.ends_with("/lines");
        schema.pattern = Some(if numbered { LINE_CURSOR } else { *pattern }.to_owned());
    }
}

/// What may be refused wherever somebody is logged in, and wherever a key may be given.
fn add_refusals(operation: &mut Operation) {
    let keyed = operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "Idempotency-Key"));
    let mut add = |status: &str, codes: &str| {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(codes)));
    };
    if keyed {
        add("400", "idempotency_key_invalid");
        add("422", "idempotency_key_reused");
    }
    if operation.request_body.is_some() {
        add("408", "request_timeout");
        add("413", "payload_too_large");
    }
    if operation.security.is_some() {
        add("403", "second_factor_required");
    }
}

fn problem(codes: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
    ResponseBuilder::new().description(codes).content("application/problem+json", content).build()
}

fn is_text(schema: &Object) -> bool {
    matches!(&schema.schema_type, SchemaType::Type(Type::String)) && schema.format.is_none()
}

/// Names each operation by its method and path, as clients that are made from the specification call it: the names of our
/// functions repeat from file to file.
pub(crate) struct Names;

impl utoipa::Modify for Names {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let methods = [
                ("get", &mut item.get),
                ("put", &mut item.put),
                ("post", &mut item.post),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in methods {
                if let Some(operation) = operation {
                    operation.operation_id = Some(name_of(method, path));
                }
            }
        }
    }
}

/// `GET /api/v1/orders/{id}/events` is `get_orders_id_events`.
fn name_of(method: &str, path: &str) -> String {
    let plain = path.strip_prefix("/api/v1").unwrap_or(path).replace(['{', '}'], "");
    format!("{method}{}", plain.replace(['/', '-', '.'], "_"))
}

/// The operations of a path.
pub(crate) fn operations_mut(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
}

/// Paths with their methods, from the specification as it is committed: a unit test compares it with the operations.
static PATHS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    #[derive(serde::Deserialize)]
    struct Paths {
        paths: BTreeMap<String, BTreeMap<String, serde::de::IgnoredAny>>,
    }
    let read: Paths = serde_json::from_str(crate::SPECIFICATION).expect("the specification is JSON");
    read.paths.into_iter().map(|(path, item)| (path, methods(|method| item.contains_key(method)))).collect()
});

/// A path that is written out and also fits one with an id has no methods but its own: another method is not taken for a
/// question about something of that id. To be configured before the operations.
pub(crate) fn serve_written_out(config: &mut ServiceConfig) {
    for (path, methods) in PATHS.iter() {
        let is_shadowed = PATHS.iter().any(|(other, _)| other != path && fits(other, path));
        if path.contains('{') || !is_shadowed {
            continue;
        }
        let another = move |request: &GuardContext<'_>| {
            let asked = request.head().method.as_str();
            methods.split(", ").all(|method| method != asked)
        };
        let nothing = web::to(crate::problem::nothing_here);
        config.service(web::resource(path.as_str()).guard(fn_guard(another)).default_service(nothing));
    }
}

/// The methods of a path, as the header `Allow` names them; none for a path that is not there.
pub(crate) fn methods_of(path: &str) -> Option<String> {
    // Of two that fit, the one that is written out: `/orders/similar` before `/orders/{id}`.
    let fitting = PATHS.iter().filter(|(pattern, _)| fits(pattern, path));
    fitting.min_by_key(|(pattern, _)| pattern.matches('{').count()).map(|(_, methods)| methods.clone())
}

fn methods(is_there: impl Fn(&str) -> bool) -> String {
    let all = [("GET", "get"), ("PUT", "put"), ("POST", "post"), ("DELETE", "delete")];
    let there: Vec<&str> =
        all.into_iter().filter(|(_, name)| is_there(name)).map(|(method, _)| method).collect();
    there.join(", ")
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(given)) if part == given || (part.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi;

    use super::*;
    use crate::Document;

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let mut document = Document::openapi();
        let mut names = std::collections::HashSet::new();
        for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
            let name = operation.operation_id.clone().expect("a name");
            assert!(names.insert(name.clone()), "{name} twice");
        }
        assert!(names.contains("post_orders_id_accept"));
    }

    #[test]
    fn every_shape_is_of_something_that_is_there() {
        let mut document = Document::openapi();
        let mut names = std::collections::HashSet::new();
        for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
            for parameter in operation.parameters.iter().flatten() {
                let RefOr::T(parameter) = parameter else { continue };
                let Some(RefOr::T(Schema::Object(schema))) = &parameter.schema else { continue };
                names.extend(schema.pattern.is_some().then(|| parameter.name.clone()));
            }
        }
        for (name, _) in PARAMETERS {
            assert!(names.contains(name), "no parameter is called {name}");
        }
        let schemas = &document.components.as_ref().expect("components").schemas;
        for (body, name, pattern) in PROPERTIES {
            let Some(RefOr::T(Schema::Object(body))) = schemas.get(body) else { panic!("no {body}") };
            let Some(RefOr::T(Schema::Object(property))) = body.properties.get(name) else {
                panic!("no property {name}")
            };
            assert_eq!(property.pattern.as_deref(), Some(pattern));
        }
    }

    /// Of two structures that are called the same the specification would describe one.
    #[test]
    fn every_schema_has_a_name_of_its_own() {
        let mut found = std::collections::HashMap::new();
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("the sources");
        for file in files.map(|file| file.expect("a file").path()) {
            let text = std::fs::read_to_string(&file).expect("its text");
            let mut described = false;
            for line in text.lines().map(str::trim_start) {
                described |= line.starts_with("#[derive(") && line.contains("ToSchema");
                let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
                if described && matches!(words.next(), Some("struct" | "enum")) {
                    described = false;
                    let name = words.next().expect("a name").split(['<', '(', ';']).next().expect("a name");
                    let before = found.insert(name.to_owned(), file.clone());
                    assert!(
                        before.is_none(),
                        "{name} in {} and {}",
                        file.display(),
                        before.expect("one").display()
                    );
                }
            }
        }
        assert!(found.contains_key("PlaceBody") && found.contains_key("PartParam"), "{found:?}");
    }

    /// A number without bounds may be larger than what the program can read.
    #[test]
    fn every_number_of_a_request_has_bounds() {
        let mut document = Document::openapi();
        let mut numbers = Vec::new();
        let mut bodies = Vec::new();
        for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
            for parameter in operation.parameters.iter().flatten() {
                let RefOr::T(parameter) = parameter else { continue };
                let Some(RefOr::T(Schema::Object(schema))) = &parameter.schema else { continue };
                numbers.push((parameter.name.clone(), schema.clone()));
            }
            let Some(RefOr::T(body)) = &operation.request_body else { continue };
            for content in body.content.values() {
                let RefOr::T(content) = content else { continue };
                let Some(RefOr::Ref(body)) = &content.schema else { continue };
                bodies.push(body.ref_location.rsplit('/').next().expect("a name").to_owned());
            }
        }
        bodies.extend(["ContactRequest", "QuietJson", "ShiftJson"].map(str::to_owned));
        let schemas = &document.components.as_ref().expect("components").schemas;
        for body in &bodies {
            let Some(RefOr::T(Schema::Object(body))) = schemas.get(body) else { panic!("no {body}") };
            for (name, property) in &body.properties {
                let RefOr::T(Schema::Object(property)) = property else { continue };
                numbers.push((name.clone(), property.clone()));
            }
        }
        let is_number = |schema: &Object| match &schema.schema_type {
            SchemaType::Type(kind) => matches!(kind, Type::Integer | Type::Number),
            SchemaType::Array(kinds) => kinds.iter().any(|kind| matches!(kind, Type::Integer | Type::Number)),
            SchemaType::AnyValue => false,
        };
        numbers.retain(|(_, schema)| is_number(schema));
        assert!(numbers.len() > 20, "only {} numbers", numbers.len());
        for (name, schema) in numbers {
            assert!(schema.minimum.is_some() && schema.maximum.is_some(), "{name} has no bounds");
        }
    }

    #[test]
    fn a_path_knows_its_methods() {
        assert_eq!(methods_of("/api/v1/orders").as_deref(), Some("GET, POST"));
        assert_eq!(methods_of("/api/v1/orders/similar").as_deref(), Some("GET"));
        assert_eq!(methods_of("/api/v1/orders/x/accept").as_deref(), Some("POST"));
        for nothing in
            ["/", "/api/v1", "/api/v1/orders/", "/api/v1/orders/x/none", "/api/v1/orders/x/accept/"]
        {
            assert_eq!(methods_of(nothing), None, "{nothing}");
        }
    }
}
