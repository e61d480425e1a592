# SPDX-License-Identifier: Apache-2.0
"""Which files are pictures, which way up they are, and what is too damaged to be one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe_vlm_ros.pictures import (
    NOT_READ,
    PICTURES,
    ImageError,
    decode,
    is_picture,
    pictures_below,
    read_picture,
)

HEIGHT, WIDTH = 40, 64
TURNED = {  # EXIF 2.32, 4.6.4: how what is stored becomes upright
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}
WRITER = {".jpe": ".jpg", ".jfif": ".jpg", ".dib": ".bmp", ".pbm": ".pgm", ".pnm": ".ppm"}


def pixels() -> np.ndarray:
    """A smooth RGB picture in which no two corners look alike, so that no coding harms it."""
    across, down = np.meshgrid(np.linspace(20, 230, WIDTH), np.linspace(20, 230, HEIGHT))
    return np.stack([across, down, 250 - across], -1).astype(np.uint8)


def coded(suffix: str = ".jpg") -> bytes:
    bgr = cv2.cvtColor(pixels(), cv2.COLOR_RGB2BGR)
    suffix = WRITER.get(suffix, suffix)
    if suffix == ".pgm":
        bgr = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    return bytes(cv2.imencode(suffix, bgr)[1])


def exif(value: int) -> bytes:
    """A TIFF structure whose only entry is the orientation, a SHORT."""
    return b"MM" + struct.pack(">HIH HHIHH I", 42, 8, 1, 0x0112, 3, 1, value, 0, 0)


def marked_jpeg(value: int) -> bytes:
    mark = b"Exif\0\0" + exif(value)
    whole = coded()
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(mark) + 2) + mark + whole[2:]


@pytest.mark.parametrize("value", TURNED)
def test_pictures_stand_upright_but_a_camera_s_messages_stay_as_coded(value: int) -> None:
    data, stored = marked_jpeg(value), pixels().astype(int)
    assert np.abs(decode(data) - TURNED[value](stored)).max() < 12
    assert np.abs(decode(data, upright=False) - stored).max() < 12


@pytest.mark.parametrize("value", [0, 9, 13824, 65535])
def test_a_mark_that_is_none_turns_nothing(value: int) -> None:
    assert decode(marked_jpeg(value)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("suffix", PICTURES)
def test_what_counts_as_a_picture_is_read_whole_and_refused_in_part(
    suffix: str, tmp_path: Path
) -> None:
    data, file = coded(suffix), tmp_path / f"a{suffix.upper()}"
    assert is_picture(file) and suffix not in NOT_READ
    file.write_bytes(data)
    assert read_picture(file).shape == (HEIGHT, WIDTH, 3)
    for length in (len(data) // 3, len(data) // 2, len(data) - 20, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"a\..*: not a picture .* or cut short"):
            read_picture(file)


@given(st.integers(0, len(coded()) - 1))
def test_a_jpeg_is_refused_wherever_it_is_cut(length: int) -> None:
    with pytest.raises(ImageError):
        decode(coded()[:length])


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_do_worse_than_to_be_refused(data: bytes, like_a_jpeg: bool) -> None:
    try:
        shown = decode(coded()[:300] + data if like_a_jpeg else data)
    except ImageError as error:
        assert str(error)
    else:
        assert shown.dtype == np.uint8 and shown.ndim == 3


def test_a_picture_of_more_pixels_than_opencv_reads_is_named(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(ImageError, match=r"huge\.png: more pixels than OpenCV reads"):
        read_picture(tmp_path / "huge.png")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.jpg", None, "there is no such file"),
        ("empty.jpg", b"", "an empty file"),
        ("page.jpg", b"<html></html>", "not a picture that OpenCV reads"),
        ("x" * 300, None, "cannot be opened"),
        ("a\0b", None, "cannot be opened"),
        (".", None, "cannot be opened"),
    ],
)
def test_files_without_a_picture_are_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_picture(tmp_path / name)


def test_a_name_says_nothing_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "[1] Füße, 人 a*b?.jpg"
    file.write_bytes(coded(".png"))
    assert np.array_equal(read_picture(file), pixels())


def test_a_system_s_own_files_are_no_pictures_of_the_user(tmp_path: Path) -> None:
    below = tmp_path / ".hidden"  # where the user points to is nobody else's
    names = ["b.jpg", "a.JFIF", "sub/c.png", "sub/deeper/d.webp"]
    others = ["._b.jpg", ".a.png", "__MACOSX/._b.jpg", "__MACOSX/e.jpg", ".cache/f.jpg", "g.txt"]
    others += ["@eaDir/b.jpg/SYNO_XL.jpg", "sub/.thumbs/d.jpg", "jpg", "h.HEIC"]
    for name in names + others:
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).touch()
    assert pictures_below(below) == sorted(names)
    assert pictures_below(below, NOT_READ) == ["h.HEIC"]
