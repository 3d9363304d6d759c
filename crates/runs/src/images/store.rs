//! The images of a node, on its disk.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use ringfence_json::{Limits, Object, Value, parse};

use super::document::{Config, Described};
use super::layer::{Room, unpack};
use super::place::Place;
use super::pull::{Found, Registry};
use super::{Image, ImageError, ImageName, is_digest};
use crate::limits::IMAGE_DOCUMENT_BYTES_MAX;

const PINS: &str = "pins.json";
const ROOTFS: &str = "rootfs";
const CONFIG: &str = "image.json";

/// What is being made has no digest for a name, so that nobody takes it for whole.
const UNFINISHED: &str = "unfinished-";

/// All images of a node. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Images(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Images that are used, by digest.
    used: Mutex<HashMap<String, Weak<()>>>,
    /// One is pulled at a time, and none is removed meanwhile.
    one: tokio::sync::Mutex<()>,
}

// === impl Images ===

impl Images {
    /// Those in a folder, which need not be there yet. What a node that went down left unfinished is removed.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Self(Arc::new(Inner { folder, used: Mutex::default(), one: tokio::sync::Mutex::default() }))
    }

    /// The digest that a name stands for, where that is known.
    pub fn pinned(&self, name: &ImageName) -> Option<String> {
        match name.digest() {
            Some(digest) => Some(digest.to_owned()),
            None => self.pins().remove(&name.to_string()),
        }
    }

    /// An image, which is pulled if it is not there.
    ///
    /// # Errors
    /// [`ImageError`]; nothing of it is kept then.
    pub async fn get(&self, name: &ImageName) -> Result<Image, ImageError> {
        let _one = self.0.one.lock().await;
        let pinned = self.pinned(name);
        if let Some(image) = pinned.as_deref().and_then(|digest| self.kept(digest)) {
            return Ok(image);
        }
        let registry = Registry::of(name);
        let found = registry.find(pinned.as_deref()).await?;
        if self.kept(&found.digest).is_none() {
            self.pull(name, &registry, &found).await?;
        }
        if name.digest().is_none() {
            self.pin(name, &found.digest)?;
        }
        self.kept(&found.digest).ok_or_else(|| registry.wrong("it cannot be read again"))
    }

    /// Removes all images that nobody uses, and no configuration names.
    pub async fn prune(&self, named: &[ImageName]) {
        let _one = self.0.one.lock().await;
        let pins = self.pins();
        let stays: BTreeMap<String, String> = pins
            .into_iter()
            .filter(|(pinned, _)| named.iter().any(|name| name.to_string() == *pinned))
            .collect();
        let digests: Vec<&str> =
            named.iter().filter_map(ImageName::digest).chain(stays.values().map(String::as_str)).collect();
        for entry in fs::read_dir(&self.0.folder).into_iter().flatten().flatten() {
            let Some(digest) = digest_in(&entry.file_name().to_string_lossy()) else { continue };
            let used = self.0.used.lock().get(&digest).is_some_and(|used| used.strong_count() > 0);
            if !used && !digests.contains(&digest.as_str()) {
                // What cannot be removed now is tried again.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        // A pin that stays too long only keeps a name what it was.
        let _ = self.write_pins(&stays);
    }

    /// One that is on the disk, whole.
    fn kept(&self, digest: &str) -> Option<Image> {
        let folder = self.0.folder.join(folder_of(digest)?);
        let value = read(&folder.join(CONFIG))?;
        let pairs = value.get("environment").and_then(Value::as_object)?;
        let environment =
            pairs.iter().filter_map(|(name, value)| Some((name.to_string(), value.as_str()?.to_owned())));
        let environment = environment.collect();
        let used = {
            let mut all = self.0.used.lock();
            let used = all.get(digest).and_then(Weak::upgrade).unwrap_or_default();
            all.insert(digest.to_owned(), Arc::downgrade(&used));
            used
        };
        Some(Image { digest: digest.to_owned(), rootfs: folder.join(ROOTFS), environment, used })
    }

    async fn pull(&self, name: &ImageName, registry: &Registry<'_>, found: &Found) -> Result<(), ImageError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| ImageError::Disk { path, source }
        };
        let folder_name = folder_of(&found.digest).ok_or_else(|| registry.wrong("no digest"))?;
        let work = self.0.folder.join(format!("{UNFINISHED}{folder_name}"));
        // Not taken over from a pull that was given up: what it left is not known to be whole.
        match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(&work)(error)),
            _ => {}
        }
        let unfinished = Unfinished(work.clone());
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700).create(work.join(ROOTFS)).map_err(disk(&work))?;
        let config = registry.config(&found.manifest).await?;
        let mut room = Room::default();
        for (index, layer) in found.manifest.layers.iter().enumerate() {
            let blob = work.join("layer");
            registry.layer(layer, &blob).await?;
            let expected = config.unpacked.get(index).cloned();
            room =
                unpacked(&work, layer, expected, room).await.map_err(|error| failed(name, &work, error))?;
        }
        let _ = fs::remove_file(work.join("layer"));
        write(&work.join(CONFIG), &described(name, found, &config)).map_err(disk(&work))?;
        let whole = self.0.folder.join(folder_name);
        fs::rename(&work, &whole).map_err(disk(&whole))?;
        drop(unfinished);
        tracing::info!(image = %name, digest = %found.digest, "an image was pulled");
        Ok(())
    }

    fn pins(&self) -> BTreeMap<String, String> {
        let value = read(&self.0.folder.join(PINS));
        let pins = value.as_ref().and_then(Value::as_object);
        let pins = pins.into_iter().flat_map(Object::iter);
        pins.filter_map(|(name, digest)| {
            let digest = digest.as_str().filter(|digest| is_digest(digest))?;
            Some((name.to_string(), digest.to_owned()))
        })
        .collect()
    }

    fn pin(&self, name: &ImageName, digest: &str) -> Result<(), ImageError> {
        let mut pins = self.pins();
        pins.insert(name.to_string(), digest.to_owned());
        self.write_pins(&pins).map_err(|source| ImageError::Disk { path: self.0.folder.clone(), source })
    }

    fn write_pins(&self, pins: &BTreeMap<String, String>) -> io::Result<()> {
        let all =
            pins.iter().fold(Object::new(), |all, (name, digest)| all.with(name.as_str(), digest.as_str()));
        if !self.0.folder.exists() {
            return Ok(());
        }
        write(&self.0.folder.join(PINS), &all.into())
    }
}

/// The folder of an image that is being made; dropped before it got its name, it is removed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks one layer, away from whoever serves.
async fn unpacked(
    work: &Path,
    layer: &Described,
    expected: Option<String>,
    mut room: Room,
) -> io::Result<Room> {
    let (rootfs, blob) = (work.join(ROOTFS), work.join("layer"));
    let zipped = match layer.kind.as_str() {
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => true,
        "application/vnd.oci.image.layer.v1.tar" => false,
        kind => {
            let what =
                format!("a layer is of the kind {kind}; plain ones and those packed by gzip are taken");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
    };
    let unpacking = tokio::task::spawn_blocking(move || {
        let place = Place::open(&rootfs)?;
        let digest = unpack(&place, File::open(blob)?, zipped, &mut room)?;
        if expected.as_deref() != Some(&digest) {
            let what = format!("a layer unpacks to {digest}, which is not what its configuration says");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(room)
    });
    unpacking.await.map_err(io::Error::other)?
}

fn failed(name: &ImageName, work: &Path, error: io::Error) -> ImageError {
    match error.raw_os_error() {
        // The disk's, and not the archive's.
        Some(_) => ImageError::Disk { path: work.to_owned(), source: error },
        None => ImageError::Wrong { name: name.to_string(), why: error.to_string() },
    }
}

fn described(name: &ImageName, found: &Found, config: &Config) -> Value {
    let environment = config.environment.iter();
    let environment =
        environment.fold(Object::new(), |all, (name, value)| all.with(name.as_str(), value.as_str()));
    Object::new()
        .with("name", name.to_string())
        .with("digest", found.digest.as_str())
        .with("environment", environment)
        .into()
}

fn read(path: &Path) -> Option<Value> {
    let limits = Limits { bytes: IMAGE_DOCUMENT_BYTES_MAX, ..Limits::default() };
    parse(&fs::read(path).ok()?, &limits).ok()
}

/// Whole or not at all, whenever the node goes down.
fn write(path: &Path, value: &Value) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, value.to_bytes())?;
    File::open(&new)?.sync_all()?;
    fs::rename(new, path)
}

fn folder_of(digest: &str) -> Option<String> {
    is_digest(digest).then(|| digest.replacen(':', "-", 1))
}

fn digest_in(folder: &str) -> Option<String> {
    let digest = folder.replacen('-', ":", 1);
    is_digest(&digest).then_some(digest)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
