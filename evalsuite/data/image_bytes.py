"""The bytes of an image: read from wherever they lie, guarded, described, decoded.

Guards: formats by content, bytes, pixels by the header before anything is decoded, and a whole decoding once, which
finds files that were cut off. Every fault is an InputError of one line that names the place and the file.
"""

import base64
import binascii
import hashlib
import io
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

from evalsuite.data.image_headers import MIME, header
from evalsuite.errors import InputError

MAX_BYTES = 32 << 20
"""Largest encoded image."""

MAX_PIXELS = 1 << 26
"""Largest decoded image: 67 million pixels, 192 MiB in RGB. More of a file than this is a decompression bomb, or a
picture that no model sees in full."""

TIMEOUT = 20.0
"""Seconds for one URL."""


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image as it was given. `format` is png, jpeg, webp, gif or bmp; sizes are the header's, in pixels."""

    data: bytes
    format: str
    width: int
    height: int
    sha256: str


def data_uri(image: Image) -> str:
    return f"data:{MIME[image.format]};base64,{base64.b64encode(image.data).decode('ascii')}"


def pil(image: Image, where: str = "") -> Any:
    """The decoded image as an RGB PIL image: its first frame, upright (EXIF), transparent pixels on white.

    Raises InputError where it is broken or cut off.
    """
    opened = decoded(image.data, where)
    if opened.mode.startswith("I"):  # 16 bits a pixel; a plain conversion would clip all above 255 to white
        opened = opened.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info:
        from PIL import Image as Pillow

        layer = opened.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")
    return opened.convert("RGB")


def image_bytes(given: Any, where: str) -> bytes:
    if isinstance(given, Mapping):  # a Hub dataset's image that was not decoded
        given = given.get("bytes") or given.get("path")
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    if isinstance(given, str) and given.startswith("data:"):
        return _from_uri(given, where)
    if isinstance(given, str | Path):
        return _file_bytes(Path(given).expanduser(), where)
    if hasattr(given, "convert") and hasattr(given, "save"):  # PIL, told without importing it
        return _encoded(given, where)
    raise InputError(f"{at(where, type(given).__name__)}: no image (wanted: a path, bytes, a data URI or a PIL image)")


def _from_uri(uri: str, where: str) -> bytes:
    head, _, body = uri.partition(",")
    if not head.endswith(";base64"):
        raise InputError(
            f"{at(where, name_of(uri))}: an image as a data URI must be base64 (data:image/png;base64,...)"
        )
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise InputError(f"{at(where, name_of(uri))}: {_too_many(len(body) * 3 // 4)}")
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as error:
        raise InputError(f"{at(where, name_of(uri))}: its base64 is broken ({error})") from error


def _file_bytes(path: Path, where: str) -> bytes:
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):  # a pipe would be waited for
            raise InputError(f"{at(where, str(path))}: no file")
        if stat.st_size > MAX_BYTES:
            raise InputError(f"{at(where, str(path))}: {_too_many(stat.st_size)}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{at(where, str(path))}: the image cannot be read ({reason})") from error


def _encoded(picture: Any, where: str) -> bytes:
    """A PIL image as PNG, upright; bytes are the same on every call."""
    from PIL import ImageOps

    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(f"{at(where, 'a PIL image')}: {_too_wide(picture.width, picture.height)}")
    buffer = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
            upright = upright.convert("RGB")
        upright.info.pop("icc_profile", None)
        upright.save(buffer, format="PNG")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{at(where, 'a PIL image')}: cannot be decoded ({_first(error)})") from error
    return buffer.getvalue()


def file_hash(path: str, where: str) -> str:
    """The hash of a file's image, looked at once for each state of the file."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{at(where, path)}: the image cannot be read ({reason})") from error
    known = _hashes.get(key := (path, stat.st_size, stat.st_mtime_ns))
    if known is None:
        known = _hashes[key] = checked(_file_bytes(Path(path), where), at(where, path)).sha256
    return known


_hashes: dict[tuple[str, int, int], str] = {}


def checked(data: bytes, where: str) -> Image:
    """Checks bytes and describes them."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{where or 'an image'}: {_too_many(len(data))}")
    try:
        name, width, height = header(data)
    except ValueError as error:
        raise InputError(f"{where or 'an image'}: {error}; wanted is PNG, JPEG, WebP, GIF or BMP") from error
    if width * height > MAX_PIXELS:
        raise InputError(f"{where or 'an image'}: {_too_wide(width, height)}")
    image = Image(data, name, width, height, hashlib.sha256(data).hexdigest())
    if image.sha256 not in _sound:
        decoded(data, where, quick=True)
        _sound.add(image.sha256)
    return image


_sound: set[str] = set()
"""Images that were decoded once without a fault."""


def decoded(data: bytes, where: str, quick: bool = False) -> Any:
    """A loaded PIL image, upright. `quick` is for a look only: a JPEG is then read at an eighth of its size."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images and odd metadata: the limits here are our own
            picture = Pillow.open(io.BytesIO(data), formats=[name.upper() for name in MIME])
            # A GIF's first frame may be larger than the size that its header tells.
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError(f"{where or 'an image'}: {_too_wide(picture.width, picture.height)}")
            if quick:
                picture.draft("L", (max(1, picture.width // 8), max(1, picture.height // 8)))
            picture.load()
            return picture if quick else ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise InputError(f"{where or 'an image'}: broken or cut off ({_first(error)}); get the file again") from error


# -- URLs -------------------------------------------------------------------------------------------------------------


def urls_allowed(args: Mapping[str, str]) -> bool:
    """Whether the user switched URLs on: `--model-args image_urls=true`, or EVALSUITE_IMAGE_URLS=1."""
    said = args.get("image_urls") or os.environ.get("EVALSUITE_IMAGE_URLS", "")
    return said.lower() in ("1", "true", "yes")


def is_url(text: str) -> bool:
    return "://" in text[:12]


def downloaded(url: str, where: str, urls: bool | None) -> bytes:
    allowed = urls_allowed({}) if urls is None else urls
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"{at(where, url)}: images are fetched by http and https only")
    if not allowed:
        raise InputError(
            f"{at(where, url)}: images are not fetched from URLs unless you allow it "
            "(--model-args image_urls=true, or EVALSUITE_IMAGE_URLS=1)"
        )
    try:
        return _fetch(url)
    except (OSError, ValueError) as error:
        raise InputError(f"{at(where, url)}: not fetched ({_first(error)})") from error


@lru_cache(maxsize=8)
def _fetch(url: str) -> bytes:
    """The bytes behind a URL. Redirects stay on http and https (urllib's rule would also follow ftp)."""
    import urllib.request

    class Web(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            if not newurl.lower().startswith(("http://", "https://")):
                raise ValueError(f"redirected to {newurl}")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    with urllib.request.build_opener(Web).open(url, timeout=TIMEOUT) as answer:
        data = bytes(answer.read(MAX_BYTES + 1))
    if len(data) > MAX_BYTES:
        raise ValueError(_too_many(len(data)))
    return data


# -- words ------------------------------------------------------------------------------------------------------------


def name_of(given: Any) -> str:
    """What an error calls an image: its path or URL, the head of a data URI, or its type."""
    if isinstance(given, Mapping):
        given = given.get("path") or "bytes"
    if isinstance(given, str):
        return given[:40] + "…" if given.startswith("data:") and len(given) > 40 else given
    return str(given) if isinstance(given, Path) else type(given).__name__


def at(where: str, name: str) -> str:
    return f"{where}: {name}" if where else name


def _first(error: Exception) -> str:
    # PIL's "cannot identify image file <_io.BytesIO object at 0x...>" names a place in memory.
    return next(iter(str(error).partition(" <_io")[0].splitlines()), "") or type(error).__name__


def _too_many(size: int) -> str:
    return f"{size:,} bytes are more than the {MAX_BYTES:,} that an image may have; make it smaller"


def _too_wide(width: int, height: int) -> str:
    return f"{width:,} x {height:,} pixels are more than the {MAX_PIXELS:,} that an image may have; make it smaller"
