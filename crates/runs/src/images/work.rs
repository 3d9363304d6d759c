//! An image in the making: a folder that nobody takes for whole.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::Described;
use super::layer::unpack;
use super::place::Place;
use super::pull::{Found, Registry};
use super::room::Room;
use super::store::{CONFIG, ROOTFS, described, write};
use super::until::Until;
use super::{ImageError, ImageName};
use crate::tree::remove_tree;

/// The folder of an image that is being made. Unless it got its name, it is removed when nobody works in it any more.
pub(super) struct Work(PathBuf);

// === impl Work ===

impl Work {
    /// An empty one.
    pub(super) fn in_folder(folder: PathBuf) -> Result<Arc<Self>, ImageError> {
        let work = Self(folder);
        let all = work.0.parent().unwrap_or(&work.0);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(all);
        let create = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        match made.and_then(|()| create(&work.0)).and_then(|()| create(&work.0.join(ROOTFS))) {
            Ok(()) => Ok(Arc::new(work)),
            Err(source) => Err(ImageError::Disk { path: work.0.clone(), source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Pulls all parts of an image and unpacks them here.
    pub(super) async fn fill(
        self: &Arc<Self>,
        name: &ImageName,
        registry: &Registry<'_>,
        found: &Found,
        until: &Until,
    ) -> Result<(), ImageError> {
        let config = registry.config(&found.manifest).await?;
        let (mut room, blob) = (Room::default(), self.0.join("layer"));
        for (index, layer) in found.manifest.layers.iter().enumerate() {
            registry.layer(layer, &blob, &mut room.disk).await?;
            let expected = config.unpacked.get(index).cloned();
            let unpacked = self.unpacked(layer, expected, room, until.clone()).await;
            room = unpacked.map_err(|error| self.failed(name, error))?;
        }
        let _ = fs::remove_file(blob);
        let said = write(&self.0.join(CONFIG), &described(name, found, &config));
        let written = match said {
            Ok(()) => self.synced().await,
            Err(error) => Err(error),
        };
        written.map_err(|source| ImageError::Disk { path: self.0.clone(), source })
    }

    /// Once everything is on the disk: after a power cut, what has its name is whole.
    async fn synced(self: &Arc<Self>) -> io::Result<()> {
        let work = Arc::clone(self);
        let syncing = tokio::task::spawn_blocking(move || Ok(rustix::fs::syncfs(File::open(&work.0)?)?));
        syncing.await.map_err(io::Error::other)?
    }

    /// Unpacks one layer, away from whoever serves.
    async fn unpacked(
        self: &Arc<Self>,
        layer: &Described,
        expected: Option<String>,
        mut room: Room,
        until: Until,
    ) -> io::Result<Room> {
        let zipped = is_zipped(layer)?;
        // It stays until this has ended.
        let work = Arc::clone(self);
        let unpacking = tokio::task::spawn_blocking(move || {
            let place = Place::open(&work.0.join(ROOTFS))?;
            let blob = File::open(work.0.join("layer"))?;
            let digest = unpack(&place, blob, zipped, &mut room, &until)?;
            if expected.as_deref() != Some(&digest) {
                let what = format!("a layer unpacks to {digest}, which is not what its configuration says");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            Ok(room)
        });
        unpacking.await.map_err(io::Error::other)?
    }

    fn failed(&self, name: &ImageName, error: io::Error) -> ImageError {
        let name = || name.to_string();
        match (error.raw_os_error(), error.kind()) {
            // The disk's, and not the archive's.
            (Some(_), _) | (None, io::ErrorKind::StorageFull) => {
                ImageError::Disk { path: self.0.clone(), source: error }
            }
            (None, io::ErrorKind::TimedOut) => ImageError::Pull { name: name(), why: error.to_string() },
            (None, _) => ImageError::Wrong { name: name(), why: error.to_string() },
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is at the next start; what became an image has another name.
        let _ = remove_tree(&self.0);
    }
}

fn is_zipped(layer: &Described) -> io::Result<bool> {
    match layer.kind.as_str() {
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Ok(true),
        "application/vnd.oci.image.layer.v1.tar" => Ok(false),
        kind => {
            let what =
                format!("a layer is of the kind {kind}; plain ones and those packed by gzip are taken");
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}
