//! From a registry to the disk: <https://github.com/opencontainers/distribution-spec>. Everything that comes is held against
//! the digest by which it was asked for, before it is read.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, digest};
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;

use super::document::{self, Config, Described, Document, INDEXES, MANIFESTS, Manifest, document};
use super::store::hex;
use super::{ImageError, ImageName};
use crate::limits::{IMAGE_DOCUMENT_BYTES_MAX, IMAGE_PULL_TIMEOUT, IMAGE_PULLED_BYTES_MAX};

/// Without a word for so long, a registry is given up.
const SILENCE: Duration = Duration::from_secs(30);

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

// === impl Registry ===

impl<'a> Registry<'a> {
    pub(super) fn of(name: &'a ImageName) -> Self {
        // There is one source of cryptography in this program; who came first is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let near = name.is_near().then(|| name.reference().resolve_registry().to_owned());
        let config = ClientConfig {
            protocol: match near {
                // What goes over no network needs no TLS.
                Some(host) => ClientProtocol::HttpsExcept(vec![host]),
                None => ClientProtocol::Https,
            },
            read_timeout: Some(SILENCE),
            connect_timeout: Some(SILENCE),
            user_agent: concat!("ringfence/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Self { client: Client::new(config), name }
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
            let name = self.name.to_string();
            return Err(ImageError::TooMuch {
                name,
                what: "more bytes of layers",
                most: IMAGE_PULLED_BYTES_MAX,
            });
        }
        Ok(Found { digest, manifest })
    }

    pub(super) async fn config(&self, manifest: &Manifest) -> Result<Config, ImageError> {
        let most = IMAGE_DOCUMENT_BYTES_MAX as u64;
        if manifest.config.bytes > most {
            let name = self.name.to_string();
            return Err(ImageError::TooMuch { name, what: "a larger configuration", most });
        }
        let mut bytes = Vec::new();
        self.blob(&manifest.config, &mut bytes).await?;
        document::config(&bytes).map_err(|why| self.wrong(why))
    }

    /// Writes a layer to a file.
    pub(super) async fn layer(&self, layer: &Described, path: &Path) -> Result<(), ImageError> {
        let disk = |source| ImageError::Disk { path: path.to_owned(), source };
        let mut file = tokio::fs::File::create(path).await.map_err(disk)?;
        self.blob(layer, &mut file).await?;
        file.flush().await.map_err(disk)
    }

    async fn document(&self, digest: Option<&str>, lists: bool) -> Result<(String, Document), ImageError> {
        let reference = match digest {
            Some(digest) => self.name.reference().clone_with_digest(digest.to_owned()),
            None => self.name.reference().clone(),
        };
        let mut accepted = MANIFESTS.to_vec();
        accepted.extend(if lists { &INDEXES[..] } else { &[] });
        let asked = self.client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &accepted);
        let (bytes, _) = self.in_time(asked).await?;
        let own = digest_of(&bytes);
        if digest.is_some_and(|digest| digest != own) {
            return Err(self.wrong(format!("the registry gave {own} for it")));
        }
        Ok((own, document(&bytes).map_err(|why| self.wrong(why))?))
    }

    /// Takes a part as it comes, no more of it than it is said to be.
    async fn blob(
        &self,
        part: &Described,
        mut into: impl tokio::io::AsyncWrite + Unpin,
    ) -> Result<(), ImageError> {
        let descriptor = OciDescriptor {
            media_type: part.kind.clone(),
            digest: part.digest.clone(),
            size: part.bytes.cast_signed(),
            ..OciDescriptor::default()
        };
        let mut stream =
            self.in_time(self.client.pull_blob_stream(self.name.reference(), &descriptor)).await?.stream;
        let (mut context, mut left) = (Context::new(&SHA256), part.bytes);
        while let Some(piece) = self.within(stream.next()).await? {
            let piece = piece.map_err(|error| self.refused(error.to_string()))?;
            let count = piece.len() as u64;
            left = left
                .checked_sub(count)
                .ok_or_else(|| self.wrong("a part is longer than it is said to be"))?;
            context.update(&piece);
            let written = into.write_all(&piece).await;
            written.map_err(|source| ImageError::Disk { path: "the folder of images".into(), source })?;
        }
        let digest = format!("sha256:{}", hex(context.finish().as_ref()));
        if left != 0 || digest != part.digest {
            return Err(self.wrong(format!("{digest} came for {}", part.digest)));
        }
        Ok(())
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, ImageError> {
        self.within(asked).await?.map_err(|error| self.refused(said(&error)))
    }

    async fn within<T>(&self, asked: impl Future<Output = T>) -> Result<T, ImageError> {
        timeout(IMAGE_PULL_TIMEOUT, asked)
            .await
            .map_err(|_| self.refused("the registry takes too long".to_owned()))
    }

    fn refused(&self, why: String) -> ImageError {
        ImageError::Pull { name: self.name.to_string(), why }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> ImageError {
        ImageError::Wrong { name: self.name.to_string(), why: why.into() }
    }
}

/// With the causes below it: the outermost of a network's errors says only that there was one.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(digest(&SHA256, bytes).as_ref()))
}
