"""Images in messages: read from wherever they come, guarded, and identified by their content.

A part of a message may give its image as a path, a data URI, bytes, {"bytes": ..., "path": ...} (as Hub datasets hold
it), a PIL image, or a URL; in the shapes {"type": "image", "image": ...} and OpenAI's {"type": "image_url", ...}.
`settled` turns every form into one: {"type": "image", "image": path or data URI, "sha256": its content's hash}, which
is plain JSON. Fingerprints take the hash (`keyed`), stored rows show it (`text_with_images`), and an image that
changes after it was planned is noticed when it is read again.

What an image may be (`image_bytes`): PNG, JPEG, WebP, GIF's first frame or BMP, told by content, whole, and of limited
bytes and pixels. URLs are off unless EVALSUITE_IMAGE_URLS=1 or `--model-args image_urls=true` is given.

>>> [message] = settled([{"role": "user", "content": [{"type": "image", "image": "chart.png"}]}])
>>> read_image(message["content"][0]).width
640
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.data.image_bytes import (
    Image,
    at,
    checked,
    data_uri,
    downloaded,
    file_hash,
    image_bytes,
    is_url,
    name_of,
    pil,
    urls_allowed,
)
from evalsuite.errors import InputError
from evalsuite.records import Message, Part

__all__ = [
    "Image",
    "data_uri",
    "has_images",
    "image_hash",
    "image_hashes",
    "image_parts",
    "images_of",
    "is_image",
    "keyed",
    "located",
    "pil",
    "read_image",
    "settled",
    "text_with_images",
    "urls_allowed",
]

TYPES = ("image", "image_url")


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
            if isinstance(row.get(key), str) and not row[key].startswith("data:") and not is_url(row[key]):
                row[key] = str(folder / Path(row[key]).expanduser())
    return row


def _settled_part(part: Part, where: str, urls: bool | None, folder: Path | None) -> Part:
    given = _given(part, where)
    if "sha256" in part and isinstance(given, str):
        return part
    if isinstance(given, str) and not given.startswith("data:"):
        if is_url(given):
            if urls is None:
                return part
            given = downloaded(given, where, urls)
        else:
            path = str(((folder or Path()) / Path(given).expanduser()).absolute())
            return {"type": "image", "image": path, "sha256": file_hash(path, where)}
    data = image_bytes(given, where)
    image = checked(data, where)
    return {"type": "image", "image": data_uri(image), "sha256": image.sha256}


def read_image(part: Part, where: str = "", urls: bool | None = None) -> Image:
    """The image behind a part, in any of its forms. Raises InputError where it cannot be used, or is not the one that
    was planned."""
    given = _given(part, where)
    if isinstance(given, str) and is_url(given):
        given = downloaded(given, where, urls)
    name = name_of(given)
    image = checked(image_bytes(given, where), at(where, name))
    if part.get("sha256", image.sha256) != image.sha256:
        raise InputError(f"{at(where, name)}: the image has changed since it was planned; run the command again")
    return image


def images_of(messages: Sequence[Message]) -> list[Image]:
    """Every image of a conversation, in order."""
    return [read_image(part) for part in image_parts(messages)]


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
    if "sha256" not in part and isinstance(given, str) and is_url(given):
        return {"type": "image", "image": given}
    return {"type": "image", "sha256": image_hash(part)}


def text_with_images(content: str | Sequence[Part]) -> str:
    """A message's content as text to be read by people: `[image 1a2b3c4d5e6f…]` for an image, never its bytes."""
    if isinstance(content, str):
        return content
    return "".join(_shown(part) if is_image(part) else str(part.get("text", "")) for part in content)


def _shown(part: Part) -> str:
    given = _given(part, "")
    if "sha256" not in part and isinstance(given, str) and is_url(given):
        return f"[image {given}]"
    return f"[image {image_hash(part)[:12]}…]"


def _given(part: Part, where: str) -> Any:
    """What a part gives as its image, whatever the key: OpenAI's and transformers' names are known."""
    for key in ("image", "image_url", "path", "url", "base64"):
        found = part.get(key)
        if isinstance(found, Mapping) and "url" in found:
            found = found["url"]
        if found is not None:
            return f"data:;base64,{found}" if key == "base64" and isinstance(found, str) else found
    raise InputError(f"{at(where, 'a part of type image')}: holds no image (wanted: 'image' with a path or bytes)")
