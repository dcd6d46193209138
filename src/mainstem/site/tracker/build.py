"""Makes `t.min.js` from `t.js`: `python -m mainstem.site.tracker.build`, with Node's npx on the PATH.

The first line of the result names the source it was made from, so that a test finds a forgotten build
without Node. Run by people who change the tracker, never by the server.
"""

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("t.js")
BUILT: Final = Path(__file__).with_name("t.min.js")
_TERSER: Final = (
    "npx",
    "--yes",
    "terser@5",
    "--compress",
    "passes=3,ecma=2020,unsafe_arrows",
    "--mangle",
    "--ecma",
    "2020",
)


def banner(source: bytes) -> bytes:
    """Return the first line of what is built from this source."""
    return b"/* Mainstem t.js " + sha256(source).hexdigest()[:12].encode() + b" */\n"


def build() -> None:
    """Minify the source. Raises CalledProcessError when terser refuses it, FileNotFoundError without npx."""
    source = SOURCE.read_bytes()
    minified = subprocess.run(_TERSER, input=source, capture_output=True, check=True).stdout
    BUILT.write_bytes(banner(source) + minified.strip() + b"\n")


if __name__ == "__main__":
    build()
