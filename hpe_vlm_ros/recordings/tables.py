# SPDX-License-Identifier: Apache-2.0
"""Every head as a table: CSV, and Parquet where pyarrow is installed.

Columns: recording, frame (number from 0), stamp (seconds), image (file name), head (from left to
right), id, x0, y0, x1, y1 (pixels), yaw, pitch, roll (degrees, empty without a triple), qx, qy, qz,
qw (face frame in the optical frame), x, y, z (sellion, metres), looking (degrees between gaze and
camera), score, sd_x, sd_y, sd_z (degrees, stated spread about the optical axes), facing_score,
status, facing (a word), gesture (a word, "none", or empty where nobody can tell). A frame
without heads has one row with no box, so the table can itself serve as ground truth.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hpe_vlm_ros.geometry import face_rotation, quaternion_from_matrix
from hpe_vlm_ros.recordings.writing import write_whole

from .frames import ReplayError
from .records import FrameRecord, Head
from .truth import seconds

TEXT = ("recording", "stamp", "image", "id", "facing", "gesture")
WHOLE = ("frame", "head", "status")
NUMBERS = (
    "x0", "y0", "x1", "y1", "yaw", "pitch", "roll", "qx", "qy", "qz", "qw", "x", "y", "z",
    "looking", "score", "sd_x", "sd_y", "sd_z", "facing_score",
)  # fmt: skip
COLUMNS = (
    "recording", "frame", "stamp", "image", "head", "id", *NUMBERS, "status", "facing", "gesture",
)  # fmt: skip


def write_csv(path: Path, records: Sequence[FrameRecord]) -> None:
    """Writes one line a head; the file is replaced as a whole."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(records))
    write_whole(path, text.getvalue())


def write_parquet(path: Path, records: Sequence[FrameRecord]) -> None:
    """The same with types; ReplayError when pyarrow is missing."""
    check_parquet()
    import pyarrow
    from pyarrow import parquet

    kinds = {name: pyarrow.string() for name in TEXT}
    kinds |= {name: pyarrow.int64() for name in WHOLE}
    kinds |= {name: pyarrow.float64() for name in NUMBERS}
    schema = pyarrow.schema([(name, kinds[name]) for name in COLUMNS])
    out = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows(records)), schema), out)
    write_whole(path, out.getvalue().to_pybytes())


def check_parquet() -> None:
    """ReplayError, with the remedy, where pyarrow is missing."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ReplayError("--parquet needs pyarrow: pip install pyarrow") from error


def rows(records: Sequence[FrameRecord]) -> Iterator[dict[str, Any]]:
    """One for each head; values that are unknown are None."""
    for record in records:
        frame = {
            "recording": record.recording,
            "frame": record.number,
            "stamp": seconds(record.time),
            "image": record.name,
        }
        for index, head in enumerate(record.heads):
            yield dict.fromkeys(COLUMNS) | frame | {"head": index} | _head(head)
        if not record.heads and record.error is None:
            yield dict.fromkeys(COLUMNS) | frame


def _head(head: Head) -> dict[str, Any]:
    values: dict[str, Any] = {"id": head.id, "status": head.status, "score": head.score}
    values |= dict(zip(("x0", "y0", "x1", "y1"), head.box, strict=True))
    values |= {"yaw": head.yaw, "pitch": head.pitch, "roll": head.roll, "looking": head.looking}
    quaternion = quaternion_from_matrix(face_rotation(head.matrix))
    names = ("qx", "qy", "qz", "qw")
    values |= {n: round(v, 7) + 0.0 for n, v in zip(names, quaternion, strict=True)}
    values |= {"facing": head.facing or None, "facing_score": head.facing_score}
    values["gesture"] = head.gesture or None
    if head.position is not None:
        values |= dict(zip("xyz", head.position, strict=True))
    if head.covariance is not None:
        spread = [math.degrees(math.sqrt(max(head.covariance[4 * i], 0.0))) for i in range(3)]
        values |= {f"sd_{axis}": round(s, 4) for axis, s in zip("xyz", spread, strict=True)}
    return values
