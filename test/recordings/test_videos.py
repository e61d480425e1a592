# SPDX-License-Identifier: Apache-2.0
"""Videos are read frame by frame, at the times that their container gives."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from painted import HEIGHT, STEP, WIDTH, opened

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.videos import START

LEVELS = range(40, 240, 40)
PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def video(path: Path, code: str = "mp4v", rate: float = 10) -> Path:
    """Frames of one grey level each."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, (WIDTH, HEIGHT))
    for level in LEVELS:
        writer.write(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    writer.release()
    return path


def uneven(path: Path, durations: list[float]) -> Path:
    """The same with durations (s) of its own for each frame, as phones write them.

    They are the table of box `stts` in ISO/IEC 14496-12, 8.6.1.2; it grows at the end of the file,
    so that no offset of pixels changes.
    """
    content = bytearray(video(path).read_bytes())
    scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    rows = b"".join(struct.pack(">II", 1, round(d * scale)) for d in durations)
    table = content.index(b"stts") - 4
    size = struct.unpack_from(">I", content, table)[0]
    new = struct.pack(">I4sII", 16 + len(rows), b"stts", 0, len(durations)) + rows
    for name in PARENTS:
        place = content.index(name) - 4
        old = struct.unpack_from(">I", content, place)[0]
        struct.pack_into(">I", content, place, old + len(new) - size)
    content[table : table + size] = new
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_even_frames_are_the_rate_apart(tmp_path, name, code):
    recording = opened(video(tmp_path / name, code))
    assert [f.stamp for f in recording.frames] == [START + n * STEP for n in range(len(LEVELS))]
    assert recording.notes == ()
    third = next(iter(recording.only(recording.frames[3:]).read()))
    assert abs(int(third.rgb()[0, 0, 0]) - LEVELS[3]) < 8


def test_uneven_frames_have_the_times_of_their_container(tmp_path):
    durations = [0.03, 0.1, 0.2, 0.0, 0.03]  # in all no longer than before: players stop there
    recording = opened(uneven(tmp_path / "phone.mp4", durations))
    found = np.diff([f.stamp for f in recording.frames]) / 1e9
    np.testing.assert_allclose(found, durations[:-1], atol=1e-3)
    assert recording.frames[0].stamp == START and recording.notes == ()


def test_frames_without_times_are_the_rate_apart_and_that_is_said(tmp_path, monkeypatch):
    class Timeless:
        """What OpenCV gives of streams without times, such as raw H.264 in some of its builds."""

        def __init__(self, rate: float) -> None:
            self._left, self._rate = 3, rate

        def grab(self) -> bool:
            self._left -= 1
            return self._left >= 0

        def get(self, name: int) -> float:
            return self._rate if name == cv2.CAP_PROP_FPS else 0.0

        def release(self) -> None:
            pass

    for rate, step, said in (
        (20.0, 50, "20 a second are taken, as the file says"),
        (0.0, 40, "25"),
    ):
        monkeypatch.setattr("hpe_vlm_ros.recordings.videos._capture", lambda _, r=rate: Timeless(r))
        recording = opened(video(tmp_path / f"{rate}.mp4"))
        assert np.diff([f.stamp for f in recording.frames]).tolist() == [step * 10**6] * 2
        assert said in recording.notes[0]


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(ReplayError, match="OpenCV can play no video"):
        opened(tmp_path / "a.mp4")
