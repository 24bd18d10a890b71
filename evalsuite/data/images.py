"""Images in messages: read from wherever they come, guarded, and identified by their content.

A part of a message may give its image as a path, a data URI, bytes, {"bytes": ..., "path": ...} (as Hub datasets hold
it), a PIL image, or a URL; in the shapes {"type": "image", "image": ...} and OpenAI's {"type": "image_url", ...}.
`settled` turns every form into one: {"type": "image", "image": path or data URI, "sha256": its content's hash}, which
is plain JSON. Fingerprints take the hash (`keyed`), stored rows show it (`text_with_images`), and an image that
changes after it was planned is noticed when it is read again.

Guards: formats by content, bytes, pixels by the header before anything is decoded, and a whole decoding once, which
finds files that were cut off. URLs are off unless EVALSUITE_IMAGE_URLS=1 or `--model-args image_urls=true` is given.

>>> [message] = settled([{"role": "user", "content": [{"type": "image", "image": "chart.png"}]}])
>>> read_image(message["content"][0]).width
640
"""

import base64
import binascii
import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evalsuite.data.image_headers import MIME, header
from evalsuite.errors import InputError
from evalsuite.records import Message, Part

MAX_BYTES = 32 << 20
"""Largest encoded image."""

MAX_PIXELS = 1 << 26
"""Largest decoded image: 67 million pixels, 192 MiB in RGB. More of a file than this is a decompression bomb, or a
picture that no model sees in full."""

TIMEOUT = 20.0
"""Seconds for one URL."""

TYPES = ("image", "image_url")


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image as it was given. `format` is png, jpeg, webp, gif or bmp; sizes are the header's, in pixels."""

    data: bytes
    format: str
    width: int
    height: int
    sha256: str


def is_image(part: Mapping[str, Any]) -> bool:
    return part.get("type") in TYPES


def has_images(messages: Sequence[Message]) -> bool:
    return next(image_parts(messages), None) is not None


def image_parts(messages: Sequence[Message]) -> Iterator[Part]:
    """The image parts of a conversation, in their order."""
    for message in messages:
        if not isinstance(message["content"], str):
            yield from (part for part in message["content"] if is_image(part))


def settled(
    messages: Sequence[Message], where: str = "", urls: bool | None = None, folder: Path | None = None
) -> tuple[Message, ...]:
    """Messages whose image parts have the one settled form; what is settled already, and text, stays as it is.

    `where` is said in front of an error ("task t, sample 3"); `urls` allows http(s), None leaves URLs for later;
    relative paths begin in `folder`.
    Raises InputError (one line) for what is no image, too large, or cut off.
    """
    if not has_images(messages):
        return tuple(messages)
    made = []
    for number, message in enumerate(messages):
        content = message["content"]
        if not isinstance(content, str):
            spots = [f"{where}{', ' if where else ''}messages[{number}].content[{i}]" for i in range(len(content))]
            pairs = zip(content, spots, strict=True)
            content = [_settled_part(p, s, urls, folder) if is_image(p) else p for p, s in pairs]
        made.append(Message(role=message["role"], content=content))
    return tuple(made)


def located(row: Any, folder: Path) -> Any:
    """A row of a data file, in which image parts with relative paths begin in the file's folder. Changed in place."""
    for value in row.values() if isinstance(row, dict) else row if isinstance(row, list) else ():
        if isinstance(value, dict | list):
            located(value, folder)
    if isinstance(row, dict) and row.get("type") in TYPES:
        for key in ("image", "path"):
            if isinstance(row.get(key), str) and not row[key].startswith("data:") and not _is_url(row[key]):
                row[key] = str(folder / Path(row[key]).expanduser())
    return row


def _settled_part(part: Part, where: str, urls: bool | None, folder: Path | None) -> Part:
    given = _given(part, where)
    if "sha256" in part and isinstance(given, str):
        return part
    if isinstance(given, str) and not given.startswith("data:"):
        if _is_url(given):
            if urls is None:
                return part
            given = _downloaded(given, where, urls)
        else:
            path = str(((folder or Path()) / Path(given).expanduser()).absolute())
            return {"type": "image", "image": path, "sha256": _checked_file(path, where)}
    data = _bytes(given, where)
    image = _image(data, where)
    return {"type": "image", "image": data_uri(image), "sha256": image.sha256}


def read_image(part: Part, where: str = "", urls: bool | None = None) -> Image:
    """The image behind a part, in any of its forms. Raises InputError where it cannot be used, or is not the one that
    was planned."""
    given = _given(part, where)
    if isinstance(given, str) and _is_url(given):
        given = _downloaded(given, where, urls)
    name = _name(given)
    image = _image(_bytes(given, where), _at(where, name))
    if part.get("sha256", image.sha256) != image.sha256:
        raise InputError(f"{_at(where, name)}: the image has changed since it was planned; run the command again")
    return image


def images_of(messages: Sequence[Message]) -> list[Image]:
    """Every image of a conversation, in order."""
    return [read_image(part) for part in image_parts(messages)]


def data_uri(image: Image) -> str:
    return f"data:{MIME[image.format]};base64,{base64.b64encode(image.data).decode('ascii')}"


def pil(image: Image, where: str = "") -> Any:
    """The decoded image as an RGB PIL image: its first frame, upright (EXIF), transparent pixels on white.

    Raises InputError where it is broken or cut off.
    """
    from PIL import ImageOps

    opened = ImageOps.exif_transpose(_decoded(image.data, where))
    if opened.mode.startswith("I"):  # 16 bits a pixel; a plain conversion would clip all above 255 to white
        opened = opened.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info:
        from PIL import Image as Pillow

        layer = opened.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")
    return opened.convert("RGB")


# -- identity ---------------------------------------------------------------------------------------------------------


def image_hash(part: Part) -> str:
    """SHA-256 (hex) of an image's bytes; the settled part holds it."""
    return str(part["sha256"]) if "sha256" in part else read_image(part).sha256


def image_hashes(messages: Sequence[Message]) -> list[str]:
    return [image_hash(part) for part in image_parts(messages)]


def keyed(messages: Sequence[Message]) -> list[Any]:
    """Messages as JSON values that say what an image is, not where it lies: what a fingerprint is taken of.
    A URL that nobody may fetch stands for itself."""
    if not has_images(messages):
        return list(messages)
    made = []
    for message in messages:
        content: Any = message["content"]
        if not isinstance(content, str):
            content = [_key(part) if is_image(part) else part for part in content]
        made.append({**message, "content": content})
    return made


def _key(part: Part) -> Part:
    given = _given(part, "")
    if "sha256" not in part and isinstance(given, str) and _is_url(given):
        return {"type": "image", "image": given}
    return {"type": "image", "sha256": image_hash(part)}


def text_with_images(content: str | Sequence[Part]) -> str:
    """A message's content as text to be read by people: `[image 1a2b3c4d5e6f…]` for an image, never its bytes."""
    if isinstance(content, str):
        return content
    return "".join(_shown(part) if is_image(part) else str(part.get("text", "")) for part in content)


def _shown(part: Part) -> str:
    given = _given(part, "")
    if "sha256" not in part and isinstance(given, str) and _is_url(given):
        return f"[image {given}]"
    return f"[image {image_hash(part)[:12]}…]"


# -- reading ----------------------------------------------------------------------------------------------------------


def _given(part: Part, where: str) -> Any:
    """What a part gives as its image, whatever the key: OpenAI's and transformers' names are known."""
    for key in ("image", "image_url", "path", "url", "base64"):
        found = part.get(key)
        if isinstance(found, Mapping) and "url" in found:
            found = found["url"]
        if found is not None:
            return f"data:;base64,{found}" if key == "base64" and isinstance(found, str) else found
    raise InputError(f"{_at(where, 'a part of type image')}: holds no image (wanted: 'image' with a path or bytes)")


def _bytes(given: Any, where: str) -> bytes:
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
    raise InputError(f"{_at(where, type(given).__name__)}: no image (wanted: a path, bytes, a data URI or a PIL image)")


def _from_uri(uri: str, where: str) -> bytes:
    head, _, body = uri.partition(",")
    if not head.endswith(";base64"):
        raise InputError(f"{_at(where, _name(uri))}: a data URI of an image must be base64 (data:image/png;base64,...)")
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise InputError(f"{_at(where, _name(uri))}: {_too_many(len(body) * 3 // 4)}")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise InputError(f"{_at(where, _name(uri))}: its base64 is broken ({error})") from error


def _file_bytes(path: Path, where: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{_at(where, str(path))}: {_too_many(size)}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{_at(where, str(path))}: the image cannot be read ({reason})") from error


def _encoded(picture: Any, where: str) -> bytes:
    """A PIL image as PNG, upright; bytes are the same on every call."""
    from PIL import ImageOps

    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(f"{_at(where, 'a PIL image')}: {_too_wide(picture.width, picture.height)}")
    buffer = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
            upright = upright.convert("RGB")
        upright.info.pop("icc_profile", None)
        upright.save(buffer, format="PNG")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{_at(where, 'a PIL image')}: cannot be decoded ({_first(error)})") from error
    return buffer.getvalue()


def _checked_file(path: str, where: str) -> str:
    """The hash of a file's image, looked at once for each state of the file."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{_at(where, path)}: the image cannot be read ({reason})") from error
    known = _hashes.get(key := (path, stat.st_size, stat.st_mtime_ns))
    if known is None:
        known = _hashes[key] = _image(_file_bytes(Path(path), where), _at(where, path)).sha256
    return known


_hashes: dict[tuple[str, int, int], str] = {}


def _image(data: bytes, where: str) -> Image:
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
        _decoded(data, where, quick=True)
        _sound.add(image.sha256)
    return image


_sound: set[str] = set()
"""Images that were decoded once without a fault."""


def _decoded(data: bytes, where: str, quick: bool = False) -> Any:
    """A loaded PIL image. `quick` is for a look only: a JPEG is then read at an eighth of its size."""
    from PIL import Image as Pillow

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
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise InputError(f"{where or 'an image'}: broken or cut off ({_first(error)}); get the file again") from error
    return picture


# -- URLs -------------------------------------------------------------------------------------------------------------


def urls_allowed(args: Mapping[str, str]) -> bool:
    """Whether the user switched URLs on: `--model-args image_urls=true`, or EVALSUITE_IMAGE_URLS=1."""
    said = args.get("image_urls") or os.environ.get("EVALSUITE_IMAGE_URLS", "")
    return said.lower() in ("1", "true", "yes")


def _is_url(text: str) -> bool:
    return "://" in text[:12]


def _downloaded(url: str, where: str, urls: bool | None) -> bytes:
    allowed = urls_allowed({}) if urls is None else urls
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"{_at(where, url)}: images are fetched by http and https only")
    if not allowed:
        raise InputError(
            f"{_at(where, url)}: images are not fetched from URLs unless you allow it "
            "(--model-args image_urls=true, or EVALSUITE_IMAGE_URLS=1)"
        )
    try:
        return _fetch(url)
    except (OSError, ValueError) as error:
        raise InputError(f"{_at(where, url)}: not fetched ({_first(error)})") from error


@lru_cache(maxsize=64)
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


def _name(given: Any) -> str:
    """What an error calls an image: its path or URL, the head of a data URI, or its type."""
    if isinstance(given, Mapping):
        given = given.get("path") or "bytes"
    if isinstance(given, str):
        return given[:40] + "…" if given.startswith("data:") and len(given) > 40 else given
    return str(given) if isinstance(given, Path) else type(given).__name__


def _at(where: str, name: str) -> str:
    return f"{where}: {name}" if where else name


def _first(error: Exception) -> str:
    # PIL's "cannot identify image file <_io.BytesIO object at 0x...>" names a place in memory.
    return next(iter(str(error).partition(" <_io")[0].splitlines()), "") or type(error).__name__


def _too_many(size: int) -> str:
    return f"{size:,} bytes are more than the {MAX_BYTES:,} that an image may have; make it smaller"


def _too_wide(width: int, height: int) -> str:
    return f"{width:,} x {height:,} pixels are more than the {MAX_PIXELS:,} that an image may have; make it smaller"
