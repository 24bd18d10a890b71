"""Images in messages: every form is read to the same content, and what is no sound image is refused in one line."""

import base64
import io
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vision_checkpoints import picture

from evalsuite.data import image_bytes
from evalsuite.data.image_headers import MIME, header
from evalsuite.data.images import (
    data_uri,
    has_images,
    image_hash,
    keyed,
    located,
    pil,
    read_image,
    settled,
    text_with_images,
)
from evalsuite.errors import InputError
from evalsuite.records import Message

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def encoded(image: Any, format: str = "PNG", **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()


def part(image: Any) -> dict[str, Any]:
    return {"type": "image", "image": image}


def turn(*parts: Any) -> Message:
    return Message(role="user", content=[*parts])


def refusal(image: Any, where: str = "task t, sample 3") -> str:
    with pytest.raises(InputError) as caught:
        settled([turn({"type": "text", "text": "x"}, part(image))], where)
    line = str(caught.value)
    assert "\n" not in line
    return line


# -- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@given(width=st.integers(1, 80), height=st.integers(1, 80))
def test_headers_tell_what_pillow_decodes(format: str, width: int, height: int) -> None:
    data = encoded(picture(1, width, height), format)
    assert header(data) == (format.lower(), width, height)


def test_other_kinds_of_webp_jpeg_and_bmp_tell_their_sizes() -> None:
    image = picture(1, 33, 21)
    for data in (
        encoded(image, "WEBP", lossless=True),
        encoded(image.convert("RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
        encoded(image, "JPEG", progressive=True),
        encoded(image.convert("L"), "JPEG", comment=b"\xff\xc0" * 40),
        encoded(image.convert("1"), "BMP"),
        encoded(image.convert("P"), "GIF", save_all=True, append_images=[picture(2, 33, 21)]),
    ):
        assert header(data)[1:] == (33, 21)
        assert pil(read_image(part(data))).size == (33, 21)


@given(st.binary(max_size=64), st.sampled_from([b"", *(encoded(picture(1, 9, 9), f)[:24] for f in FORMATS)]))
def test_any_bytes_are_an_image_or_one_line(tail: bytes, head: bytes) -> None:
    try:
        assert read_image(part(head + tail)).format in MIME
    except InputError as error:
        line = str(error)
    else:
        return
    assert "\n" not in line


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_cut_off_is_refused(format: str, tmp_path: Path) -> None:
    data = encoded(picture(1, 200, 100).effect_spread(30), format)
    file = tmp_path / "half.png"
    for share in (0, 0.01, 0.3, 0.7):
        file.write_bytes(data[: int(len(data) * share)])
        line = refusal(str(file))
        assert line.startswith("task t, sample 3, messages[0].content[1]: ")
        assert str(file) in line


def test_the_name_of_a_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(encoded(picture(1, 9, 9), "JPEG"))
    assert read_image(part(str(tmp_path / "photo.txt"))).format == "jpeg"
    (tmp_path / "photo.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "wanted is PNG, JPEG, WebP, GIF or BMP" in refusal(str(tmp_path / "photo.png"))
    tiff = encoded(picture(1, 9, 9), "TIFF")
    assert "no image of a known format" in refusal(tiff)


# -- guards -----------------------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it is huge."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = zlib.compress(b"\0" * 1000)
    shape = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (1 << 26, 2), (8193, 8193)])
def test_decompression_bombs_are_refused_by_their_headers(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(image_bytes, "decoded", never)
    assert f"{size[0]:,} x {size[1]:,} pixels" in refusal(bomb(*size))


def test_a_gif_whose_first_frame_is_larger_than_it_says_is_refused() -> None:
    data = bytearray(encoded(picture(1, 8, 8).convert("P"), "GIF"))
    frame = data.index(b"\x2c", 13 + 3 * (2 << (data[10] & 7)))
    data[frame + 5 : frame + 9] = struct.pack("<HH", 65_000, 65_000)
    assert header(bytes(data))[1:] == (8, 8)
    line = refusal(bytes(data))
    assert "pixels" in line


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as stream:
        stream.truncate(image_bytes.MAX_BYTES + 1)
    assert "bytes are more than" in refusal(str(file))
    assert "bytes are more than" in refusal(b"\0" * (image_bytes.MAX_BYTES + 1))


def test_no_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "No such file" in refusal(str(tmp_path / "none.png"))
    assert "no file" in refusal(str(tmp_path))
    assert "no file" in refusal(str(tmp_path / "pipe"))
    assert "cannot be read" in refusal("nul\0.png")
    assert "holds no image" in refusal(None)
    assert "int" in refusal(3)


def test_broken_data_uris_are_refused() -> None:
    assert "base64" in refusal("data:image/png;base64,%%%%")
    assert "base64" in refusal("data:image/svg+xml,<svg/>")


# -- one content ------------------------------------------------------------------------------------------------------


def test_every_form_of_an_image_is_one_content(tmp_path: Path) -> None:
    data = encoded(picture(1, 30, 20), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data)
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    forms = [
        part(str(tmp_path / "a.jpg")),
        part(data),
        part(bytearray(data)),
        part({"bytes": data, "path": "gone.jpg"}),
        part({"bytes": None, "path": str(tmp_path / "a.jpg")}),
        part(uri),
        {"type": "image_url", "image_url": {"url": uri}},
        {"type": "image_url", "image_url": uri},
        {"type": "image", "base64": base64.b64encode(data).decode()},
        {"type": "image", "path": str(tmp_path / "a.jpg")},
    ]
    made = [settled([turn(form)])[0]["content"][0] for form in forms]
    assert len({image_hash(form) for form in made} | {image_hash(form) for form in forms}) == 1
    assert json.loads(json.dumps(made)) == made
    assert settled([turn(*made)])[0]["content"] == made
    assert keyed([turn(made[0])]) == keyed([turn(made[1])])
    assert read_image(made[0]).data == read_image(made[1]).data == data
    assert data_uri(read_image(made[0])) == made[1]["image"] == uri


def test_pil_images_keep_their_pixels() -> None:
    image = picture(1, 30, 20)
    [message] = settled([turn(part(image))])
    assert pil(read_image(message["content"][0])).tobytes() == image.tobytes()
    same = settled([turn(part(image.copy()))])
    assert keyed(same) == keyed([message])
    assert keyed(settled([turn(part(image.rotate(180)))])) != keyed(same)
    assert read_image(settled([turn(part(image.convert("CMYK")))])[0]["content"][0]).format == "png"


def test_pictures_are_upright_opaque_and_eight_bits() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert pil(read_image(part(encoded(picture(1, 30, 20), "JPEG", exif=exif)))).size == (20, 30)
    glass = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert pil(read_image(part(encoded(glass)))).getpixel((0, 0)) == (255, 255, 255)
    deep = Image.new("I;16", (4, 4), 128 * 256)
    assert pil(read_image(part(encoded(deep)))).getpixel((1, 1)) == (128, 128, 128)


def test_an_image_that_changed_after_it_was_planned_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encoded(picture(1, 9, 9)))
    [message] = settled([turn(part(str(file)))])
    file.write_bytes(encoded(picture(2, 9, 9)))
    with pytest.raises(InputError, match="has changed since it was planned"):
        read_image(message["content"][0])
    assert keyed(settled([turn(part(str(file)))])) != keyed([message])


def test_people_see_hashes() -> None:
    [message] = settled([turn({"type": "text", "text": "Look: "}, part(picture(1, 9, 9)))])
    digest = image_hash(message["content"][1])
    assert text_with_images(message["content"]) == f"Look: [image {digest[:12]}…]"
    assert text_with_images("plain") == "plain"
    assert not has_images([Message(role="user", content="plain")])


def test_rows_find_images_beside_their_file(tmp_path: Path) -> None:
    uri = data_uri(read_image(part(picture(1, 9, 9))))
    row = {
        "messages": [{"content": [part("a.png"), part("/abs.png"), part(uri), part("https://x/y.png")]}],
        "image": "b",
    }
    found = located(json.loads(json.dumps(row)), tmp_path)
    images = [p["image"] for p in found["messages"][0]["content"]]
    assert images == [str(tmp_path / "a.png"), "/abs.png", uri, "https://x/y.png"]
    assert found["image"] == "b"


# -- URLs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def site() -> Iterator[str]:
    image = encoded(picture(1, 12, 9))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "ftp://127.0.0.1/a.png")
                self.end_headers()
                return
            self.send_response(200 if self.path == "/a.png" else 404)
            self.end_headers()
            self.wfile.write(image)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_urls_are_off_until_they_are_allowed(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{site}/a.png"
    [message] = settled([turn(part(url))])  # left for whoever knows what the user allows
    assert message["content"][0] == part(url)
    assert keyed([message]) == [message]
    with pytest.raises(InputError, match="image_urls=true"):
        settled([message], urls=False)
    with pytest.raises(InputError, match="EVALSUITE_IMAGE_URLS=1"):
        read_image(part(url))
    [fetched] = settled([message], urls=True)
    assert read_image(fetched["content"][0]).data == encoded(picture(1, 12, 9))
    monkeypatch.setenv("EVALSUITE_IMAGE_URLS", "1")
    assert read_image(part(url)).sha256 == fetched["content"][0]["sha256"]


def test_urls_lead_to_http_only(site: str) -> None:
    for url, why in (("ftp://host/a.png", "http and https only"), ("file:///etc/passwd", "http and https only"),
                     (f"{site}/none.png", "404"), (f"{site}/elsewhere", "redirected")):  # fmt: skip
        with pytest.raises(InputError, match=why):
            settled([turn(part(url))], urls=True)
