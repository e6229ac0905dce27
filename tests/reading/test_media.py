"""Inert media by their first bytes."""

import pytest

from gateway.reading.media import is_inert

SAMPLES = {
    "image/png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "image/gif": b"GIF89a\1\0\1\0",
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "image/avif": b"\0\0\0\x20ftypavif",
    "image/x-icon": b"\0\0\1\0\1\0\x10\x10",
    "image/bmp": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    "font/woff": b"wOFF\0\1\0\0",
    "font/woff2": b"wOF2\0\1\0\0",
    "font/ttf": b"\0\1\0\0\0\x0e",
    "font/otf": b"OTTO\0\x0b",
    "audio/mpeg": b"ID3\3\0\0",
    "audio/mp3": b"\xff\xfb\x90\x44",
    "audio/ogg": b"OggS\0\2",
    "audio/wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "audio/flac": b"fLaC\0\0\0\x22",
    "video/mp4": b"\0\0\0\x18ftypisom",
    "video/webm": b"\x1a\x45\xdf\xa3\x9fB",
}


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
def test_media_is_inert_when_its_bytes_begin_as_its_type(media_type: str) -> None:
    assert is_inert(media_type, SAMPLES[media_type])


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
def test_bytes_of_another_type_are_not_inert(media_type: str) -> None:
    assert not is_inert(media_type, b'{"nir": "295109912611193"}')
    assert not is_inert(media_type, b"")
    assert not is_inert("application/pdf", SAMPLES[media_type])
    if media_type != "image/png":
        assert not is_inert(media_type, SAMPLES["image/png"])


def test_svg_is_never_inert() -> None:
    assert not is_inert("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg">')


@pytest.mark.parametrize("inside", [b"<HTML>", b"<script>", b'{"nir": "1"}', b"<!DOCTYPE html>"])
def test_page_behind_an_image_s_first_bytes_is_not_inert(inside: bytes) -> None:
    assert not is_inert("image/gif", b"GIF89a/*" + inside)
