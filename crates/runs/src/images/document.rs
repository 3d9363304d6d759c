//! What a registry says of an image: <https://github.com/opencontainers/image-spec>.

use ringfence_json::{Limits, Value, parse};

use super::is_digest;
use crate::limits::{IMAGE_DOCUMENT_BYTES_MAX, IMAGE_LAYERS_MAX};

/// A list of images for several machines.
pub(super) const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// One image.
pub(super) const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// What is named by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) digest: String,
    pub(super) bytes: u64,
    pub(super) kind: String,
}

/// An image: its configuration and its layers, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) config: Described,
    pub(super) layers: Vec<Described>,
}

/// Of a configuration, what is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The digests of the layers, unpacked.
    pub(super) unpacked: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

/// Either of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// The digest of the manifest for this machine.
    Index(String),
    Manifest(Manifest),
}

/// Reads what a name stands for.
pub(super) fn document(bytes: &[u8]) -> Result<Document, String> {
    let value = read(bytes)?;
    if value.get("manifests").is_some() {
        return of_this_machine(&value).map(Document::Index);
    }
    let layers = value.get("layers").and_then(Value::as_array).ok_or("its manifest has no layers")?;
    if layers.len() > IMAGE_LAYERS_MAX {
        return Err(format!("it has {} layers; at most {IMAGE_LAYERS_MAX} are taken", layers.len()));
    }
    let config = described(value.get("config").ok_or("its manifest has no configuration")?)?;
    let layers = layers.iter().map(described).collect::<Result<_, _>>()?;
    Ok(Document::Manifest(Manifest { config, layers }))
}

/// Reads the configuration of an image.
pub(super) fn config(bytes: &[u8]) -> Result<Config, String> {
    let value = read(bytes)?;
    let texts = |pointer: &str| -> Vec<String> {
        let list = value.pointer(pointer).and_then(Value::as_array).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let pairs = texts("/config/Env").into_iter();
    let pairs = pairs.filter_map(|pair| pair.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())));
    Ok(Config { unpacked: texts("/rootfs/diff_ids"), environment: pairs.collect() })
}

fn read(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > IMAGE_DOCUMENT_BYTES_MAX {
        return Err(format!(
            "a document of {} bytes; at most {IMAGE_DOCUMENT_BYTES_MAX} are read",
            bytes.len()
        ));
    }
    let limits = Limits { bytes: IMAGE_DOCUMENT_BYTES_MAX, ..Limits::default() };
    parse(bytes, &limits).map_err(|error| format!("a document is no JSON: {error}"))
}

fn described(value: &Value) -> Result<Described, String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let digest = text("digest");
    if !is_digest(digest) {
        return Err("a digest is not `sha256:` and 64 digits".to_owned());
    }
    let bytes = value.get("size").and_then(Value::as_u64).ok_or("a part without its size")?;
    Ok(Described { digest: digest.to_owned(), bytes, kind: text("mediaType").to_owned() })
}

fn of_this_machine(value: &Value) -> Result<String, String> {
    let architecture = architecture();
    let all = value.get("manifests").and_then(Value::as_array).unwrap_or_default();
    let fits = |one: &&Value| {
        let is = |pointer, what| one.pointer(pointer).and_then(Value::as_str) == Some(what);
        is("/platform/os", "linux") && is("/platform/architecture", architecture)
    };
    let digest = all.iter().find(fits).and_then(|one| one.get("digest")).and_then(Value::as_str);
    match digest {
        Some(digest) if is_digest(digest) => Ok(digest.to_owned()),
        _ => Err(format!("it has no image for linux on {architecture}")),
    }
}

/// As images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
