"""What a file says, however it is packed: the texts in which a mark or a path could stand."""

import base64
import binascii
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet

DEPTH = 5
BINARY = 4096  # a null among the first bytes: no text
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}){6,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
PNG, ZLIB = b"\x89PNG\r\n\x1a\n", re.compile(rb"\x78[\x01\x5e\x9c\xda]")
COMPRESSED_TEXT = (b"zTXt", b"iTXt", b"iCCP")
STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
KERNING = re.compile(rb"\)\s*-?[\d.]+\s*\(")  # between the letters of a word, in a page of a PDF


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file and of all that is packed in it, to a depth of five."""
    content = path.read_bytes()
    yield path.name.encode()
    yield from unpacked(content)


def unpacked(content: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The content, and what its zip members, compressed parts, base64 and columns hold."""
    yield content
    if content.startswith(b"%PDF"):
        yield from (KERNING.sub(b"", part) for part in _inflated(STREAM.findall(content)))
        return
    if depth:
        for part in _parts(content):
            yield from unpacked(part, depth - 1)


def _parts(content: bytes) -> Iterator[bytes]:
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif content.startswith((b"\x1f\x8b", b"\x78")):
        yield from _inflated([content])
    elif content.startswith(b"PAR1"):
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        yield repr(table.schema.metadata).encode()
        yield table.to_pandas().to_csv().encode()
    elif content.startswith(PNG):
        yield from _texts_of_png(content)
    elif b"\0" not in content[:BINARY]:
        for found in BASE64.findall(content):
            try:
                yield base64.b64decode(found)
            except binascii.Error:
                continue


def _inflated(parts: list[bytes]) -> Iterator[bytes]:
    """What zlib and gzip make of each part; nothing of what they cannot read."""
    for part in parts:
        try:
            yield zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(part)
        except zlib.error:
            continue


def _texts_of_png(content: bytes) -> Iterator[bytes]:
    """Compressed texts; plain ones stand in the bytes of the file."""
    place = len(PNG)
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        if kind in COMPRESSED_TEXT and (start := ZLIB.search(body)):
            yield from _inflated([body[start.start() :]])
        place += length + 12
