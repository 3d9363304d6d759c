//! An index of packages on this machine: for Python as PEP 503 has it, and for Node; with packages made for it, or with those
//! that `cargo xtask install` has fetched.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Html;
use axum::routing::get;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::parts::{self, Fetched};

/// An index that answers until it is dropped.
pub struct Index {
    /// Where it is, without a slash at the end.
    pub url: String,
    shared: Arc<Shared>,
    made: Value,
    serving: tokio::task::JoinHandle<()>,
}

/// What an index has.
struct Stock {
    folder: PathBuf,
    of: Option<TempDir>,
    fetched: Option<Fetched>,
    /// The digests of what was made for it.
    made: Value,
}

struct Shared {
    folder: PathBuf,
    /// Removed with it, where the packages were made for it.
    _made: Option<TempDir>,
    fetched: Option<Fetched>,
    /// Where its pages say that files are.
    files_at: String,
    asked: AtomicUsize,
    is_open: watch::Sender<bool>,
}

impl Index {
    /// One that has its files itself.
    pub async fn start() -> Self {
        Self::start_with_files_at(None).await
    }

    /// One whose pages lead elsewhere for files.
    pub async fn start_with_files_at(elsewhere: Option<&Self>) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let python =
            if std::path::Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
        let made = Command::new(python).arg(parts::script("packages.py")).arg(folder.path()).output();
        let made = made.unwrap_or_else(|error| panic!("no packages: {error}"));
        assert!(made.status.success(), "no packages: {}", String::from_utf8_lossy(&made.stderr));
        let made =
            serde_json::from_slice(&made.stdout).unwrap_or_else(|error| panic!("no packages: {error}"));
        let path = folder.path().to_owned();
        Self::serve(Stock { folder: path, of: Some(folder), fetched: None, made }, elsewhere).await
    }

    /// One that has what real agents name: the wheels and the packages for Node of `tests/parts/built`.
    pub async fn start_with_fetched() -> Self {
        let fetched = Fetched::find();
        let stock =
            Stock { folder: fetched.wheels.clone(), of: None, fetched: Some(fetched), made: Value::Null };
        Self::serve(stock, None).await
    }

    async fn serve(stock: Stock, elsewhere: Option<&Self>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
        let port = listener.local_addr().unwrap_or_else(|error| panic!("{error}")).port();
        let url = format!("http://127.0.0.1:{port}");
        let shared = Arc::new(Shared {
            folder: stock.folder,
            _made: stock.of,
            fetched: stock.fetched,
            files_at: elsewhere.map_or_else(|| url.clone(), |index| index.url.clone()),
            asked: AtomicUsize::new(0),
            is_open: watch::Sender::new(true),
        });
        let router = Router::new()
            .route("/simple/{name}/", get(page))
            .route("/files/{file}", get(file))
            .fallback(package)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, shared, made: stock.made, serving }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// How often anything was asked of it.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Leaves those who ask without an answer, or answers them.
    pub fn open(&self, is_open: bool) {
        self.shared.is_open.send_replace(is_open);
    }

    /// A package as `requirements.txt` names it.
    pub fn requirement(&self, name: &str) -> String {
        let end =
            if ["sunny", "clay", "brick"].contains(&name) { "-1.0.tar.gz" } else { "-1.0-py3-none-any.whl" };
        format!("{name}==1.0 --hash=sha256:{}\n", self.digest(&format!("{name}{end}"), "sha256"))
    }

    /// A package as `package-lock.json` has it at one place, with more of its own.
    pub fn locked(&self, place: &str, package: &str, more: &str) -> String {
        let (url, file) = (&self.url, format!("{package}-1.0.0.tgz"));
        let digest = self.digest(&file, "sha512");
        format!(
            r#""{place}":{{"version":"1.0.0","resolved":"{url}/files/{file}","integrity":"sha512-{digest}"{more}}}"#
        )
    }

    /// A digest of a file.
    pub fn digest(&self, file: &str, kind: &str) -> String {
        self.made[file][kind].as_str().unwrap_or_else(|| panic!("no file {file}")).to_owned()
    }

    /// The bytes of a file.
    pub fn size(&self, file: &str) -> u64 {
        self.made[file]["size"].as_u64().unwrap_or_else(|| panic!("no file {file}"))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Html<String>, StatusCode> {
    shared.asked().await;
    let files = std::fs::read_dir(&shared.folder).into_iter().flatten().flatten();
    let files = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let links: Vec<String> = files
        .filter(|file| file.split_once('-').is_some_and(|(package, _)| normal(package) == name))
        .map(|file| format!("<a href=\"{}/files/{file}\">{file}</a>", shared.files_at))
        .collect();
    if links.is_empty() { Err(StatusCode::NOT_FOUND) } else { Ok(Html(links.join("\n"))) }
}

async fn file(State(shared): State<Arc<Shared>>, Path(file): Path<String>) -> Result<Vec<u8>, StatusCode> {
    shared.asked().await;
    std::fs::read(shared.folder.join(file)).map_err(|_| StatusCode::NOT_FOUND)
}

/// The name of a package as it stands in the address of its page (PEP 503).
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// A package for Node, by the path of its file at any registry.
async fn package(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    shared.asked().await;
    let path = shared.fetched.as_ref().and_then(|fetched| fetched.package(uri.path()));
    path.and_then(|path| std::fs::read(path).ok()).ok_or(StatusCode::NOT_FOUND)
}

impl Shared {
    async fn asked(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut is_open = self.is_open.subscribe();
        let _ = is_open.wait_for(|is_open| *is_open).await;
    }
}
