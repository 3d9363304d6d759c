//! The models of both providers.

use super::{CREATED, list};
use crate::said::quoted;

/// The list, in the words of the provider that the client takes this for.
pub fn models(names: &[String], anthropic: bool) -> String {
    if !anthropic {
        let data = list(names.iter().map(|name| {
            format!(r#"{{"id":{},"object":"model","created":{CREATED},"owned_by":"mock"}}"#, quoted(name))
        }));
        return format!(r#"{{"object":"list","data":{data}}}"#);
    }
    let data = list(names.iter().map(|name| {
        let name = quoted(name);
        format!(r#"{{"type":"model","id":{name},"display_name":{name},"created_at":"2025-10-09T08:53:20Z"}}"#)
    }));
    let name = |name: Option<&String>| name.map_or_else(|| "null".to_owned(), |name| quoted(name));
    let (first, last) = (name(names.first()), name(names.last()));
    format!(r#"{{"data":{data},"has_more":false,"first_id":{first},"last_id":{last}}}"#)
}
