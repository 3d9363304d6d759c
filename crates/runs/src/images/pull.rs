//! From a registry to the disk: <https://github.com/opencontainers/distribution-spec>. Everything that comes is held against
//! the digest by which it was asked for, before it is read.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;
use reqwest::Response;
use tokio::io::AsyncWriteExt as _;

use super::document::{self, Config, Described, Document, INDEXES, MANIFESTS, Manifest, document};
use super::http::Client;
use super::until::Until;
use super::{ImageError, ImageName, hex};
use crate::limits::{IMAGE_DOCUMENT_BYTES_MAX, IMAGE_PULLED_BYTES_MAX};
use crate::sparing::Floor;

/// One image at its registry.
pub(super) struct Registry<'a> {
    client: Client,
    name: &'a ImageName,
}

/// An image whose parts are known by their digests.
#[derive(Debug)]
pub(super) struct Found {
    /// The digest that its name stands for.
    pub(super) digest: String,
    pub(super) manifest: Manifest,
}

/// A part that comes, no more of it than it is said to be.
struct Part<'a> {
    registry: &'a Registry<'a>,
    answer: Response,
    context: Context,
    left: u64,
    digest: &'a str,
}

// === impl Registry ===

impl<'a> Registry<'a> {
    pub(super) fn of(name: &'a ImageName, until: Until) -> Result<Self, ImageError> {
        // What goes over no network needs no TLS.
        let client = Client::new(name.reference().repository(), name.is_near(), until);
        let refused = |why| ImageError::Pull { name: name.to_string(), why };
        Ok(Self { client: client.map_err(refused)?, name })
    }

    /// What the name stands for: `pinned`, where that is known already.
    pub(super) async fn find(&self, pinned: Option<&str>) -> Result<Found, ImageError> {
        let (digest, first) = self.document(pinned.or(self.name.digest()), true).await?;
        let manifest = match first {
            Document::Manifest(manifest) => manifest,
            Document::Index(own) => match self.document(Some(&own), false).await?.1 {
                Document::Manifest(manifest) => manifest,
                Document::Index(_) => return Err(self.wrong("a list of images names another list")),
            },
        };
        let pulled = manifest.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.bytes));
        if pulled.is_none_or(|sum| sum > IMAGE_PULLED_BYTES_MAX) {
            return Err(self.too_much("more bytes of layers", IMAGE_PULLED_BYTES_MAX));
        }
        Ok(Found { digest, manifest })
    }

    pub(super) async fn config(&self, manifest: &Manifest) -> Result<Config, ImageError> {
        let most = IMAGE_DOCUMENT_BYTES_MAX as u64;
        if manifest.config.bytes > most {
            return Err(self.too_much("a larger configuration", most));
        }
        let (mut part, mut bytes) = (self.part(&manifest.config).await?, Vec::new());
        while let Some(piece) = part.next().await? {
            bytes.extend_from_slice(&piece);
        }
        document::config(&bytes).map_err(|why| self.wrong(why))
    }

    /// Writes a layer to a file.
    pub(super) async fn layer(
        &self,
        layer: &Described,
        path: &Path,
        floor: &mut Floor,
    ) -> Result<(), ImageError> {
        let disk = |source| ImageError::Disk { path: path.to_owned(), source };
        let mut file = tokio::fs::File::create(path).await.map_err(disk)?;
        let mut part = self.part(layer).await?;
        while let Some(piece) = part.next().await? {
            floor.take(&file, piece.len() as u64).map_err(disk)?;
            file.write_all(&piece).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)
    }

    async fn document(&self, digest: Option<&str>, lists: bool) -> Result<(String, Document), ImageError> {
        let reference = self.name.reference();
        let meant = digest.or(reference.tag()).unwrap_or("latest");
        let lists: &[&str] = if lists { &INDEXES[..] } else { &[] };
        let accepted = [&MANIFESTS[..], lists].concat().join(", ");
        let url = self.url("manifests", meant);
        let asked = self.client.document(&url, &accepted, IMAGE_DOCUMENT_BYTES_MAX);
        let bytes = asked.await.map_err(|why| self.refused(why))?;
        let own = digest_of(&bytes);
        if digest.is_some_and(|digest| digest != own) {
            return Err(self.wrong(format!("the registry gave {own} for it")));
        }
        Ok((own, document(&bytes).map_err(|why| self.wrong(why))?))
    }

    async fn part<'b>(&'b self, part: &'b Described) -> Result<Part<'b>, ImageError> {
        let answer = self.client.get(&self.url("blobs", &part.digest), None).await;
        let answer = answer.map_err(|why| self.refused(why))?;
        let context = Context::new(&SHA256);
        Ok(Part { registry: self, answer, context, left: part.bytes, digest: &part.digest })
    }

    fn url(&self, kind: &str, meant: &str) -> String {
        let reference = self.name.reference();
        let scheme = if self.name.is_near() { "http" } else { "https" };
        let (registry, repository) = (reference.resolve_registry(), reference.repository());
        format!("{scheme}://{registry}/v2/{repository}/{kind}/{meant}")
    }

    fn refused(&self, why: String) -> ImageError {
        ImageError::Pull { name: self.name.to_string(), why }
    }

    fn too_much(&self, what: &'static str, most: u64) -> ImageError {
        ImageError::TooMuch { name: self.name.to_string(), what, most }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> ImageError {
        ImageError::Wrong { name: self.name.to_string(), why: why.into() }
    }
}

// === impl Part ===

impl Part<'_> {
    /// The next piece. There is no end before all of it came and is what it was named.
    async fn next(&mut self) -> Result<Option<Bytes>, ImageError> {
        let piece = self.registry.client.piece(&mut self.answer).await;
        let Some(piece) = piece.map_err(|why| self.registry.refused(why))? else {
            return self.judge().map(|()| None);
        };
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| self.registry.wrong("a part is longer than it is said to be"))?;
        self.context.update(&piece);
        Ok(Some(piece))
    }

    fn judge(&self) -> Result<(), ImageError> {
        let digest = format!("sha256:{}", hex(self.context.clone().finish().as_ref()));
        if self.left != 0 || digest != self.digest {
            return Err(self.registry.wrong(format!("{digest} came for {}", self.digest)));
        }
        Ok(())
    }
}

pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(digest(&SHA256, bytes).as_ref()))
}
