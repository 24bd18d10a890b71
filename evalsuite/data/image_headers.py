"""Format and size of an image, read off its first bytes by its content (never by its name), before anything is decoded.

>>> header(Path("chart.png").read_bytes())
('png', 640, 480)

Formats: PNG (W3C, IHDR), JPEG (ITU T.81, SOF markers), GIF89a, WebP (RFC 9649: VP8, VP8L, VP8X) and BMP.
"""

import struct
from collections.abc import Callable

MIME = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
}
"""Formats that are taken, with their media types."""

NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG markers between SOF0 and SOF15 that begin no frame: Huffman tables, JPG, arithmetic conditioning."""


def header(data: bytes) -> tuple[str, int, int]:
    """(format, width, height) in pixels. Raises ValueError (a few words) where it is no image of these formats, or
    ends before its size is told."""
    name = _format(data)
    try:
        width, height = SIZES[name](data)
    except (struct.error, IndexError) as error:
        raise ValueError(f"a {name.upper()} that ends inside its header") from error
    if width < 1 or height < 1:
        raise ValueError(f"a {name.upper()} of {width} x {height} pixels")
    return name, width, height


def _format(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(b"BM"):
        return "bmp"
    if not data:
        raise ValueError("an empty file")
    raise ValueError("by its content no image of a known format")


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("a PNG without its header chunk")
    return struct.unpack(">II", data[16:24])


def _gif(data: bytes) -> tuple[int, int]:
    return struct.unpack("<HH", data[6:10])


def _bmp(data: bytes) -> tuple[int, int]:
    (size,) = struct.unpack("<I", data[14:18])
    if size == 12:  # OS/2's first header has 16-bit sizes
        return struct.unpack("<HH", data[18:22])
    width, height = struct.unpack("<ii", data[18:26])
    return width, abs(height)  # negative: rows from the top


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        data[29]  # the last byte of the two sizes must be there
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    raise ValueError("a WebP without an image chunk")


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        while data[at] != 0xFF:  # padding between segments
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in (0x01, *range(0xD0, 0xD9)):  # markers without a body
            continue
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME:
            height, width = struct.unpack(">HH", data[at + 3 : at + 7])
            return width, height
        if marker in (0xD9, 0xDA):
            raise ValueError("a JPEG without a frame header")
        (length,) = struct.unpack(">H", data[at : at + 2])
        at += length


SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "png": _png,
    "jpeg": _jpeg,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
}
