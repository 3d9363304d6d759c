//! What a build runs, and in which sandbox.

use ringfence_sandbox::{Command, LayerName, Limits, Network, Root, Trust};

use super::building::Order;
use super::recipe::Kind;
use super::store::Draft;
use crate::limits::{BUILD_CPU_PERCENT, BUILD_MEMORY_BYTES, BUILD_PROCESSES};

/// Where the draft is inside, and in it what is made: programs remember where they were installed.
const INSIDE: &str = "/agent";

/// The proxy that leads out.
const PROXY: &str = "http://gateway:3128";

/// Where the machine's certificates and `uv` are inside.
const CERTIFICATES: &str = "/opt/ringfence/certificates.pem";
const UV: &str = "/opt/ringfence/uv";

/// What is run. Nothing of the configuration stands in it: what differs is in variables, and in `$@` the packages whose code
/// runs. Without any, none does.
///
/// What is mounted read-only cannot be compiled when it is used, so it is compiled here, by the machine's Python: that of the
/// environment would run what packages leave in `*.pth` files, and so would `uv`, which starts it. Some files of some packages
/// cannot be compiled; nobody needs that.
///
/// What is named is built last, without isolation, by what the same file has and was installed by its digest before: in an
/// environment of its own `uv` would put whatever the index has today.
const REQUIREMENTS: &str = "exec 1>&2
\"$UV\" venv --quiet --no-project --python \"$INTERPRETER\" /agent/python
install() {
\"$UV\" pip install --quiet --python /agent/python/bin/python --require-hashes --only-binary :all: \"$@\"
}
if [ $# -gt 0 ]; then
if [ -s \"$WITHOUT_NAMED\" ]; then install --no-deps --requirements \"$WITHOUT_NAMED\"; fi
for name do shift; set -- \"$@\" \"--no-binary=$name\"; done
set -- --no-build-isolation \"$@\"
fi
install --requirements /agent/input/requirements.txt \"$@\"
\"$INTERPRETER\" -I -S -m compileall -qq /agent/python/lib || true";
const UV_LOCK: &str = "exec 1>&2
cd /agent/input
sync() {
\"$UV\" sync --quiet --frozen --no-build --no-editable --no-dev --no-install-project --python \"$INTERPRETER\" \"$@\"
}
without_named() {
for name do shift; set -- \"$@\" \"--no-install-package=$name\"; done
sync \"$@\"
}
if [ $# -gt 0 ]; then
without_named \"$@\"
for name do shift; set -- \"$@\" \"--no-binary-package=$name\"; done
set -- --no-build-isolation \"$@\"
fi
sync \"$@\"
\"$INTERPRETER\" -I -S -m compileall -qq /agent/python/lib || true";
const PACKAGE_LOCK: &str = "exec 1>&2
cd /agent/input
npm ci --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier --loglevel=error
mkdir -p node_modules
if [ $# -gt 0 ]; then
npm_config_script_shell=/bin/sh npm rebuild --foreground-scripts --no-audit --no-fund --no-update-notifier --loglevel=error \"$@\"
fi";

// === impl Order ===

impl Order {
    /// What is run, in what.
    pub(super) fn command(&self, draft: &Draft) -> Command {
        let script = match self.recipe.kind() {
            Kind::Requirements => REQUIREMENTS,
            Kind::UvLock => UV_LOCK,
            Kind::PackageLock => PACKAGE_LOCK,
        };
        let mut root = Root::system().writable(draft.path(), INSIDE);
        if let Some(uv) = &self.tools.uv {
            root = root.read_only(uv, UV);
        }
        let certificates = Trust::machines().and_then(|path| path.canonicalize().ok());
        if let Some(path) = &certificates {
            root = root.read_only(path, CERTIFICATES);
        }
        let limits = Limits {
            processes: Some(BUILD_PROCESSES),
            memory_bytes: Some(BUILD_MEMORY_BYTES),
            file_bytes: Some(self.settings.bytes_max),
            // Unbounded, unless a bound is required.
            cpu_percent: self.settings.require.contains(&LayerName::CpuLimit).then_some(BUILD_CPU_PERCENT),
            ..Limits::default()
        };
        let command = Command::new("/bin/sh")
            .arguments(["-euc", script, "build"])
            .arguments(&self.ingredients.running)
            .root(root)
            .network(Network::Gateway)
            .limits(limits);
        let command = self.settings.require.iter().fold(command, |command, layer| command.require(*layer));
        let variables = self.variables(certificates.is_some());
        variables.into_iter().fold(command, |command, (name, value)| command.variable(name, value))
    }

    fn variables(&self, has_certificates: bool) -> Vec<(&'static str, String)> {
        let mut all: Vec<(&str, String)> = vec![
            ("TMPDIR", format!("{INSIDE}/tmp")),
            ("INTERPRETER", self.tools.interpreter.display().to_string()),
            ("NO_COLOR", "1".into()),
        ];
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            all.push((name, PROXY.into()));
        }
        if has_certificates {
            all.push(("SSL_CERT_FILE", CERTIFICATES.into()));
            all.push(("NODE_EXTRA_CA_CERTS", CERTIFICATES.into()));
        }
        let own: &[(&str, &str)] = match self.recipe.kind() {
            Kind::Requirements | Kind::UvLock => &[
                ("UV", UV),
                ("WITHOUT_NAMED", "/agent/input/without-named.txt"),
                ("UV_DEFAULT_INDEX", &self.settings.python_index),
                ("UV_CACHE_DIR", "/agent/cache"),
                // Cache and environment are in one file system: a file is there once.
                ("UV_LINK_MODE", "hardlink"),
                ("UV_PROJECT_ENVIRONMENT", "/agent/python"),
                ("UV_PYTHON_DOWNLOADS", "never"),
                ("UV_NO_CONFIG", "1"),
                ("UV_NO_PROGRESS", "1"),
                ("UV_KEYRING_PROVIDER", "disabled"),
            ],
            Kind::PackageLock => &[
                ("npm_config_registry", &self.settings.node_index),
                ("npm_config_cache", "/agent/cache"),
                ("npm_config_userconfig", "/agent/tmp/npmrc"),
                ("npm_config_globalconfig", "/agent/tmp/global-npmrc"),
                // Nothing starts these: no script is run before those that are named, and no package is from git. Should
                // anything, it gets nowhere.
                ("npm_config_git", "/bin/false"),
                ("npm_config_script_shell", "/bin/false"),
                // Which scripts run is the operator's statement, and not what package.json allows.
                ("npm_config_dangerously_allow_all_scripts", "true"),
                // Where `npm` is Corepack's, it takes no other version for what package.json says, and fetches none.
                ("COREPACK_ENABLE_PROJECT_SPEC", "0"),
                ("COREPACK_ENABLE_NETWORK", "0"),
                // It tries again what will not be otherwise, too.
                ("npm_config_fetch_retry_factor", "2"),
                ("npm_config_fetch_retry_mintimeout", "500"),
                ("npm_config_fetch_retry_maxtimeout", "5000"),
            ],
        };
        all.extend(own.iter().map(|(name, value)| (*name, (*value).to_owned())));
        // What compiles against Node would fetch its headers from elsewhere, and be refused.
        all.extend(self.tools.headers().map(|folder| ("npm_config_nodedir", folder.display().to_string())));
        all
    }
}
