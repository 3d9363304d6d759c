//! Images and documents inside a message: data URLs on one side, sources on the other.

use ringfence_json::Object;

use super::fault::Fault;
use super::node::{At, Node};

/// What Anthropic takes as an image (`Base64ImageSource.media_type`).
pub(super) const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// What it takes as a document (`Base64PDFSource.media_type`).
pub(super) const PDF: &str = "application/pdf";

/// An image's `url` at OpenAI as a `source` at Anthropic. A remote URL stays remote: whether the agent may send one is not
/// for a translation to say.
pub(super) fn image_source(url: &str, at: &At) -> Result<Object, Fault> {
    if is_remote(url) {
        return Ok(Object::new().with("type", "url").with("url", url));
    }
    let (media_type, data) = data_url(url, at)?;
    if !IMAGE_TYPES.contains(&media_type) {
        return Err(at.fault("this model's provider takes JPEG, PNG, GIF and WebP images"));
    }
    Ok(base64_source(media_type, data))
}

/// A file's `file_data` at OpenAI as a `source` at Anthropic.
pub(super) fn document_source(url: &str, at: &At) -> Result<Object, Fault> {
    match data_url(url, at)? {
        (PDF, data) => Ok(base64_source(PDF, data)),
        _ => Err(at.fault("this model's provider takes PDF files: write `data:application/pdf;base64,…`")),
    }
}

fn is_remote(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// A `source` at Anthropic, which must be of one of these types, as a URL at OpenAI.
pub(super) fn source_url(source: &Node<'_>, types: &[&str]) -> Result<String, Fault> {
    match source.text("type")? {
        "base64" => {
            source.only(&["type", "media_type", "data"])?;
            let (media_type, data) = (source.text("media_type")?, source.text("data")?);
            if !types.contains(&media_type) {
                return Err(source.fault("media_type", format!("must be one of: {}", types.join(", "))));
            }
            is_base64(data, &source.at.member("data"))?;
            Ok(format!("data:{media_type};base64,{data}"))
        }
        "url" => {
            source.only(&["type", "url"])?;
            let url = source.text("url")?;
            if !is_remote(url) {
                return Err(source.fault("url", "must begin with https:// or http://"));
            }
            Ok(url.to_owned())
        }
        _ => {
            Err(source.fault("type", "cannot be read by this model's provider: send the content as `base64`"))
        }
    }
}

fn base64_source(media_type: &str, data: &str) -> Object {
    Object::new().with("type", "base64").with("media_type", media_type).with("data", data)
}

/// Media type and content of `data:TYPE;base64,CONTENT` (RFC 2397).
fn data_url<'a>(url: &'a str, at: &At) -> Result<(&'a str, &'a str), Fault> {
    let parts = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let (media_type, data) =
        parts.ok_or_else(|| at.fault("must be a data URL: write `data:TYPE;base64,CONTENT`"))?;
    is_base64(data, at)?;
    Ok((media_type, data))
}

/// Checks the alphabet (RFC 4648 §4) without decoding.
fn is_base64(data: &str, at: &At) -> Result<(), Fault> {
    let content = data.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if content.is_empty() || data.len() - content.len() > 2 || !content.bytes().all(fits) {
        return Err(at.fault("must be Base64 with something in it"));
    }
    Ok(())
}
