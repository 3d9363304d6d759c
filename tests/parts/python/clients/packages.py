"""Makes small packages of either kind in a folder, and says what they are: wheels, a source distribution, packages for Node."""

import base64
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])


def wheel(name, body, more=None):
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(more or {}),
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


def package(name, scripts, files, **more):
    """A package for Node; `more` goes into its package.json."""
    about = {"name": name, "version": "1.0.0", "main": "index.js", "scripts": scripts, **more}
    files = {"package.json": json.dumps(about), **files}
    return archive(folder / f"{name}-1.0.0.tgz", {f"package/{path}": text for path, text in files.items()})


def source(name, make):
    """A source distribution that `kiln` builds."""
    return archive(
        folder / f"{name}-1.0.tar.gz",
        {
            f"{name}-1.0/PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{name}-1.0/pyproject.toml": "[build-system]\nrequires = ['kiln']\nbuild-backend = 'kiln'\n",
            f"{name}-1.0/make.py": make,
        },
    )


def archive(path, files):
    with tarfile.open(path, "w:gz") as packed:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            packed.addfile(entry, io.BytesIO(text.encode()))
    return path


# Builds wheels of packages that have a make.py, which says what is in them.
KILN = """
import base64, hashlib, os, runpy, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = next(line.split(": ")[1] for line in open("PKG-INFO").read().splitlines() if line.startswith("Name: "))
    info = f"{name}-1.0.dist-info"
    files = runpy.run_path("make.py")["files"]
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: kiln\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    wheel = f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel
"""

# Tries what a package's code has no business to do, changes another package, and leaves a process behind.
CLAY = """
import os, subprocess, urllib.request
import moon

def tried(what):
    try:
        what()
        return "done"
    except OSError:
        return "refused"

NONE = subprocess.DEVNULL
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
told = {
    "index": tried(lambda: urllib.request.urlopen(os.environ["UV_DEFAULT_INDEX"] + "/moon/")),
    "elsewhere": tried(lambda: urllib.request.urlopen("http://elsewhere.example/")),
    "address": tried(lambda: direct.open("http://203.0.113.9/")),
    "models": tried(lambda: direct.open("http://gateway/openai/v1/models")),
    "machine": tried(lambda: open("/usr/mark", "w")),
    "setuid": tried(lambda: os.chmod("make.py", 0o4755)),
    "process": str(subprocess.Popen(["sleep", "86399.25"], stdout=NONE, stderr=NONE, start_new_session=True).poll()),
}
with open(moon.__file__, "w") as other:
    other.write("phase = 'fired'\\n")
files = {"clay/__init__.py": f"told = {told!r}\\n"}
"""

# The same for Node.
RAVEL = """
const fs = require('fs'), http = require('http'), { spawn } = require('child_process');
const tried = what => { try { what(); return 'done'; } catch { return 'refused'; } };
const asked = address => new Promise(answer => {
  const proxy = new URL(process.env.http_proxy);
  const request = http.get({ host: proxy.hostname, port: proxy.port, path: address, headers: { host: new URL(address).host } });
  request.on('response', response => { response.resume(); answer(response.statusCode < 400 ? 'done' : 'refused'); });
  request.on('error', () => answer('refused'));
});
(async () => {
  const left = spawn('sleep', ['86399.75'], { detached: true, stdio: 'ignore' });
  left.unref();
  const told = {
    index: await asked(process.env.npm_config_registry + '/files/ravel-1.0.0.tgz'),
    elsewhere: await asked('http://elsewhere.example/'),
    machine: tried(() => fs.writeFileSync('/usr/mark', '')),
    setuid: tried(() => fs.chmodSync('install.js', 0o4755)),
    process: typeof left.pid,
  };
  fs.writeFileSync('told.json', JSON.stringify(told));
})();
"""

# Leaves what package.json of the project says, which nobody can keep.
SNARE = """
const fs = require('fs'), { execSync } = require('child_process');
const traps = {
  fifo: () => execSync('mkfifo here'),
  link: () => fs.symlinkSync('/etc/passwd', 'here'),
  swap: () => { fs.renameSync('/agent/input/node_modules', '/agent/away'); fs.symlinkSync('/etc', '/agent/input/node_modules'); },
  deep: () => execSync('python3 -c "import os\\nfor _ in range(5000): os.mkdir(chr(100)); os.chdir(chr(100))"'),
  names: () => execSync('python3 -c "import os\\nfor _ in range(15): os.mkdir(chr(110) * 240); os.chdir(chr(110) * 240)\\nfor at in range(18000): os.close(os.open(chr(110) * 234 + str(at), 65))"'),
  hole: () => { fs.writeFileSync('hole', ''); fs.truncateSync('hole', 4 * 2 ** 40); },
  large: () => { for (let at = 0; ; at++) fs.writeFileSync('large' + at, Buffer.alloc(1 << 20)); },
  failing: () => { console.error('the snare says no'); process.exit(7); },
};
traps[require('/agent/input/package.json').snare]();
"""

FLINT = """
#include <node_api.h>
static napi_value init(napi_env env, napi_value exports) {
  napi_value spark;
  napi_create_string_utf8(env, "spark", NAPI_AUTO_LENGTH, &spark);
  return spark;
}
NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
"""

RAN = "require('fs').existsSync(__dirname + '/ran')"

made = [
    wheel("moon", "phase = 'waxing'\n"),
    wheel("bulk", "data = '" + "x" * 4_000_000 + "'\n"),
    wheel("eager", "mark = 1\n", {"eager.pth": "import os; open(os.environ.get('EAGER', '/agent/python/ran'), 'a').close()\n"}),
    wheel("tide", "import moon\nlevel = 'high, ' + moon.phase\n"),
    archive(
        folder / "sunny-1.0.tar.gz",
        {
            "sunny-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: sunny\nVersion: 1.0\n",
            "sunny-1.0/setup.py": "open('/agent/input/ran', 'w')\nfrom setuptools import setup\nsetup(name='sunny', version='1.0')\n",
        },
    ),
    wheel("kiln", KILN),
    source("clay", CLAY),
    source("brick", "files = {'brick/__init__.py': ''}\n"),
    package(
        "comet",
        {"postinstall": "node -e \"require('fs').writeFileSync('ran', 'it ran')\""},
        {"index.js": f"module.exports = 'tail' + ({RAN} ? ' ran' : '');\n"},
    ),
    package("belt", {}, {"index.js": "module.exports = require('comet');\n"}, dependencies={"comet": "1.0.0"}),
    package("meteor", {"install": "echo it ran > ran"}, {"index.js": f"module.exports = {RAN};\n"}),
    package("ravel", {"install": "node install.js"}, {"install.js": RAVEL, "index.js": "module.exports = require('./told.json');\n"}),
    package("snare", {"preinstall": "node install.js"}, {"install.js": SNARE, "index.js": ""}),
    package(
        "flint",
        {},
        {
            "binding.gyp": "{'targets': [{'target_name': 'flint', 'sources': ['flint.c']}]}",
            "flint.c": FLINT,
            "index.js": "module.exports = require('./build/Release/flint.node');\n",
        },
    ),
]

print(
    json.dumps(
        {
            path.name: {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "sha512": base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode(),
                "size": path.stat().st_size,
            }
            for path in made
        }
    )
)
