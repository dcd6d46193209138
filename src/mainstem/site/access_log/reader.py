"""Reads the lines of a log file or stream: plain or gzip, in bounded memory, each line with its identity.

The identity of a line is its content and its ordinal among the equal lines before it. It does not depend on
the file's name, on where a read began to be of interest, or on what is appended later; so the same file read
again, or grown, gives every old line the same identity.
"""

import io
import zlib
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self

from mainstem.platform.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

MAX_LINE_BYTES: Final = 32_768
ORDINAL_WINDOW_LINES: Final = 131_072
_BUFFER_BYTES: Final = 262_144
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 16 + zlib.MAX_WBITS


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    """1-based, blank lines counted."""
    text: str
    """Without its line end; bytes that are not UTF-8 and NUL are U+FFFD."""
    message_id: str
    complete: bool
    """False for a last line without a line end, and for one cut at MAX_LINE_BYTES."""


class Ordinals:
    """Counts equal lines, remembering at least the last `window` different ones.

    Equal lines carry the same second, so they stand close together; further apart than the window, a
    repeated line is a repeated copy (files joined by mistake) and gets its old identity.
    """

    def __init__(self, window: int = ORDINAL_WINDOW_LINES) -> None:
        """Start with nothing seen."""
        self._window = window
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def take(self, digest: bytes) -> int:
        """Return how many equal lines came before this one, and count it."""
        seen = self._recent.get(digest)
        if seen is None:
            seen = self._older.get(digest, 0)
        self._recent[digest] = seen + 1
        if len(self._recent) >= self._window:
            self._older, self._recent = self._recent, {}
        return seen


class LineReader:
    """An open log: `read()` gives its lines in order. Used as a context manager; blocking, one thread at a time."""

    def __init__(self, source: BinaryIO | Path) -> None:
        """Open the file, or take over the stream without owning it. Raises OSError when it can't be opened."""
        stream = source.open("rb") if isinstance(source, Path) else source
        self._owned = stream if isinstance(source, Path) else None
        self._counted = _Counted(stream)
        self.total_bytes = source.stat().st_size if isinstance(source, Path) else None
        self._lines = _decompressed(io.BufferedReader(self._counted, _BUFFER_BYTES))
        self._ordinals = Ordinals()
        self._number = 0

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the source so far, compressed where the source is."""
        return self._counted.count

    def read(self, limit: int) -> list[Line]:
        """Return the next lines, at most `limit`; none at the end.

        Raises BadRequestError when the compressed stream is damaged or ends early, after every line before the
        damage was returned.
        """
        lines: list[Line] = []
        try:
            while len(lines) < limit and (raw := self._lines.readline(MAX_LINE_BYTES)):
                self._number += 1
                if content := raw.rstrip(b"\r\n"):
                    lines.append(self._line(raw, content))
        except (EOFError, zlib.error) as error:
            # met again by the next call
            if not lines:
                detail = f"The gzip stream is damaged or ends early after line {self._number:,}: {error}."
                raise BadRequestError(detail, field="file") from error
        return lines

    def _line(self, raw: bytes, content: bytes) -> Line:
        complete = raw.endswith(b"\n")
        if not complete and len(raw) == MAX_LINE_BYTES:
            while (rest := self._lines.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        digest = sha256(content).digest()[:16]
        ordinal = self._ordinals.take(digest)
        message_id = f"{digest.hex()}:{ordinal}" if ordinal else digest.hex()
        return Line(self._number, content.decode(errors="replace").replace("\0", "\ufffd"), message_id, complete)

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file that was opened here; a stream stays open."""
        if self._owned is not None:
            self._owned.close()


class _Counted(io.RawIOBase):
    """A raw view of a binary stream that counts the bytes taken from it."""

    def __init__(self, source: BinaryIO) -> None:
        # what a pipe has now, not a full buffer: lines of a followed log come through at once
        self._read: Callable[[int], bytes] = getattr(source, "read1", source.read)
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        self.count += len(data)
        return len(data)


class _Inflated(io.RawIOBase):
    """A raw view of what a gzip stream holds, member after member (RFC 1952, 2.2), up to the very damage."""

    def __init__(self, source: io.BufferedReader) -> None:
        self._source = source
        self._member = zlib.decompressobj(_GZIP)
        self._input = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer)
        while True:
            if not self._input:
                self._input = self._source.read1(_BUFFER_BYTES)
            if self._member.eof and not self._next_member():
                return 0
            if not self._input:
                msg = "the end is missing"
                raise EOFError(msg)
            data = self._member.decompress(self._input, len(view))
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if data:
                view[: len(data)] = data
                return len(data)

    def _next_member(self) -> bool:
        # tape and block devices pad with zeros
        while not (rest := self._input.lstrip(b"\0")):
            self._input = self._source.read1(_BUFFER_BYTES)
            if not self._input:
                return False
        self._input = rest
        self._member = zlib.decompressobj(_GZIP)
        return True


def _decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    if stream.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)] != _GZIP_MAGIC:
        return stream
    return io.BufferedReader(_Inflated(stream), _BUFFER_BYTES)
