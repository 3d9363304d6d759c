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


def archive(path, files):
    with tarfile.open(path, "w:gz") as packed:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            packed.addfile(entry, io.BytesIO(text.encode()))
    return path


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
    archive(
        folder / "comet-1.0.0.tgz",
        {
            "package/package.json": json.dumps(
                {
                    "name": "comet",
                    "version": "1.0.0",
                    "main": "index.js",
                    "scripts": {"postinstall": "node -e \"require('fs').writeFileSync('ran', 'it ran')\""},
                }
            ),
            "package/index.js": "module.exports = 'tail' + (require('fs').existsSync(__dirname + '/ran') ? ' ran' : '');\n",
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
