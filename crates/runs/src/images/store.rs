//! The images of a node, on its disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use ringfence_json::{Limits, Object, Value, parse};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::document::Config;
use super::pull::{Found, Registry};
use super::until::{CALLED_OFF, Until};
use super::work::Work;
use super::{Image, ImageError, ImageName, is_digest};
use crate::limits::{IMAGE_DOCUMENT_BYTES_MAX, IMAGE_PULL_TIME_MAX, IMAGE_PULLS_AT_ONCE};
use crate::tree::remove_tree;

const PINS: &str = "pins.json";
pub(super) const ROOTFS: &str = "rootfs";
pub(super) const CONFIG: &str = "image.json";

/// What is being made or removed has no digest for a name, so that nobody takes it for whole.
const UNFINISHED: &str = "unfinished-";

/// Room on the stack of a thread that removes; what is removed takes none of it for its depth.
const REMOVER_STACK_BYTES: usize = 256 << 10;

/// All images of a node. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Images(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// How long one may be pulled.
    time_max: Duration,
    /// Images that are used, by digest.
    used: Mutex<HashMap<String, Weak<()>>>,
    /// Held, never for long, while it is looked at or changed what is there and what names mean.
    shelf: Mutex<()>,
    /// Those that are being pulled.
    pulls: Mutex<HashMap<ImageName, Weak<Pull>>>,
    /// One for each that is.
    pulling: Semaphore,
    /// How many folders were named so far.
    folders: AtomicU64,
}

/// What became of a pull.
type Pulled = Option<Result<Image, Arc<ImageError>>>;

/// A pull under way. It is called off when everybody who waits for it has gone.
#[derive(Debug)]
struct Pull {
    pulled: watch::Receiver<Pulled>,
    _stop: DropGuard,
}

// === impl Images ===

impl Images {
    /// Those in a folder, which need not be there yet. What a node that went down left unfinished is removed meanwhile.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let left = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED));
        let left: Vec<PathBuf> = left.map(|entry| entry.path()).collect();
        if !left.is_empty() {
            // It may take minutes, for which no start waits; without a thread for it, it is there at the next one.
            let remover =
                thread::Builder::new().name("images-left".to_owned()).stack_size(REMOVER_STACK_BYTES);
            let _ = remover.spawn(|| remove_all(left));
        }
        Self::with_time(folder, IMAGE_PULL_TIME_MAX)
    }

    pub(super) fn with_time(folder: PathBuf, time_max: Duration) -> Self {
        Self(Arc::new(Inner {
            folder,
            time_max,
            used: Mutex::default(),
            shelf: Mutex::default(),
            pulls: Mutex::default(),
            pulling: Semaphore::new(IMAGE_PULLS_AT_ONCE),
            folders: AtomicU64::default(),
        }))
    }

    /// The digest that a name stands for, where that is known.
    pub fn pinned(&self, name: &ImageName) -> Option<String> {
        match name.digest() {
            Some(digest) => Some(digest.to_owned()),
            None => self.pins().remove(&name.to_string()),
        }
    }

    /// An image, which is pulled if it is not there. Who waits for one does not wait for any other.
    ///
    /// # Errors
    /// [`ImageError`]; nothing of it is kept then.
    pub async fn get(&self, name: &ImageName) -> Result<Image, Arc<ImageError>> {
        if let Some(image) = self.there(name) {
            return Ok(image);
        }
        let pull = self.join(name);
        let mut pulled = pull.pulled.clone();
        let pulled = pulled.wait_for(Option::is_some).await.map(|pulled| pulled.clone());
        pulled.ok().flatten().unwrap_or_else(|| {
            // Whoever pulled it has gone without a word.
            Err(Arc::new(ImageError::Pull { name: name.to_string(), why: "it was called off".to_owned() }))
        })
    }

    /// Removes all images that nobody uses, and no configuration names.
    pub async fn prune(&self, named: &[ImageName]) {
        let away = self.put_away(named);
        let _ = tokio::task::spawn_blocking(|| remove_all(away)).await;
    }

    /// Takes images out of the way: nobody finds them any more.
    fn put_away(&self, named: &[ImageName]) -> Vec<PathBuf> {
        let _shelf = self.0.shelf.lock();
        let pins = self.pins();
        let stays: BTreeMap<String, String> = pins
            .into_iter()
            .filter(|(pinned, _)| named.iter().any(|name| name.to_string() == *pinned))
            .collect();
        let digests: Vec<&str> =
            named.iter().filter_map(ImageName::digest).chain(stays.values().map(String::as_str)).collect();
        let mut away = Vec::new();
        for entry in fs::read_dir(&self.0.folder).into_iter().flatten().flatten() {
            let Some(digest) = digest_in(&entry.file_name().to_string_lossy()) else { continue };
            let used = self.0.used.lock().get(&digest).is_some_and(|used| used.strong_count() > 0);
            if !used && !digests.contains(&digest.as_str()) {
                let gone = self.unfinished();
                // What cannot be moved now is tried again.
                away.extend(fs::rename(entry.path(), &gone).is_ok().then_some(gone));
            }
        }
        // A pin that stays too long only keeps a name what it was.
        let _ = self.write_pins(&stays);
        away
    }

    /// The pull of this image: one that is under way, or a new one.
    fn join(&self, name: &ImageName) -> Arc<Pull> {
        let mut pulls = self.0.pulls.lock();
        pulls.retain(|_, pull| pull.strong_count() > 0);
        if let Some(pull) = pulls.get(name).and_then(Weak::upgrade) {
            return pull;
        }
        let (tell, pulled) = watch::channel(None);
        let stop = CancellationToken::new();
        let pull = Arc::new(Pull { pulled, _stop: stop.clone().drop_guard() });
        pulls.insert(name.clone(), Arc::downgrade(&pull));
        let (images, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            let done = images.pull_in_line(&name, stop).await;
            tell.send_replace(Some(done.map_err(Arc::new)));
        });
        pull
    }

    /// Pulls it, once not too many others are pulled. Its time begins when it does.
    async fn pull_in_line(&self, name: &ImageName, stop: CancellationToken) -> Result<Image, ImageError> {
        let one = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            one = self.0.pulling.acquire() => one.ok(),
        };
        let Some(_one) = one else {
            return Err(ImageError::Pull { name: name.to_string(), why: CALLED_OFF.to_owned() });
        };
        self.pull(name, Until::new(stop, self.0.time_max)).await
    }

    async fn pull(&self, name: &ImageName, until: Until) -> Result<Image, ImageError> {
        let registry = Registry::of(name, until.clone())?;
        let found = registry.find(self.pinned(name).as_deref()).await?;
        if let Some(image) = self.shelved(name, &found.digest)? {
            return Ok(image);
        }
        let work = Work::in_folder(self.unfinished())?;
        let filled = work.fill(name, &registry, &found, &until).await;
        let put = filled.and_then(|()| self.put(&work, &found.digest));
        let (put, torn) = match put {
            Ok((image, torn)) => (Ok(image), torn),
            Err(error) => (Err(error), None),
        };
        // Removing what came of a pull that failed takes a while.
        let removing = tokio::task::spawn_blocking(move || {
            drop(work);
            remove_all(torn);
        });
        let _ = removing.await;
        // Held, so that it is not removed before its name means it.
        let _image = put?;
        tracing::info!(image = %name, digest = %found.digest, "an image was pulled");
        self.shelved(name, &found.digest)?.ok_or_else(|| registry.wrong("it cannot be read again"))
    }

    /// An image that is there by its name.
    fn there(&self, name: &ImageName) -> Option<Image> {
        let _shelf = self.0.shelf.lock();
        self.kept(&self.pinned(name)?)
    }

    /// An image that is there, which its name means from now on.
    fn shelved(&self, name: &ImageName, digest: &str) -> Result<Option<Image>, ImageError> {
        let _shelf = self.0.shelf.lock();
        let image = self.kept(digest);
        if image.is_some() && name.digest().is_none() {
            self.pin(name, digest)?;
        }
        Ok(image)
    }

    /// Gives what was made its name, unless another pull was faster. What is not whole and has that name is put away, to be
    /// removed.
    fn put(&self, work: &Work, digest: &str) -> Result<(Option<Image>, Option<PathBuf>), ImageError> {
        let whole = self.0.folder.join(folder_of(digest).unwrap_or_default());
        let _shelf = self.0.shelf.lock();
        if let Some(image) = self.kept(digest) {
            return Ok((Some(image), None));
        }
        let torn = self.unfinished();
        let torn = fs::rename(&whole, &torn).is_ok().then_some(torn);
        let placed = fs::rename(work.path(), &whole).and_then(|()| File::open(&self.0.folder)?.sync_all());
        placed.map_err(|source| ImageError::Disk { path: whole, source })?;
        Ok((self.kept(digest), torn))
    }

    /// A folder that is not there yet, whatever could not be removed.
    fn unfinished(&self) -> PathBuf {
        loop {
            let number = self.0.folders.fetch_add(1, Ordering::Relaxed);
            let path = self.0.folder.join(format!("{UNFINISHED}{number}"));
            if fs::symlink_metadata(&path).is_err() {
                return path;
            }
        }
    }

    /// One that is on the disk, whole. Whoever asks holds the shelf.
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

/// Removes what nobody looks for. What cannot be removed now is, at the next start.
fn remove_all(folders: impl IntoIterator<Item = PathBuf>) {
    for folder in folders {
        if let Err(error) = remove_tree(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "what is left of an image cannot be removed");
        }
    }
}

/// What is written beside an image.
pub(super) fn described(name: &ImageName, found: &Found, config: &Config) -> Value {
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
pub(super) fn write(path: &Path, value: &Value) -> io::Result<()> {
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
