# SPDX-License-Identifier: Apache-2.0
"""Judge by eye what may be a head on photographs; the judgements are kept, the pictures are not.

    python -m training.labelling.review propose PHOTOS TEACHERS --sets '[okf_de_ccby]' --out P.jsonl
    python -m training.labelling.review sheets PHOTOS P.jsonl --out sheets/
    python -m training.labelling.review judge P.jsonl verdicts/*.txt --out training/labelling/judged

`propose` gathers boxes: YuNet's faces with the poses of public networks, and what the model finds
in tiles and in the mirror image. `sheets` draws them, numbered, on the photographs. A reviewer
writes one line a photograph (see `verdicts`), and `judge` turns lines into labels. A photograph
that was judged is not put on a sheet again.
"""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import auto_cli

from hpe_vlm_ros.perceiver import HeadPerceiver

from ..data.json_lines import whole_lines
from .judged import JUDGED, judge_files, read_judged
from .proposals import of_model, read_teachers
from .propose import propose as propose_photos
from .sheets import write_sheets

LEAST_SCORE = 0.25  # of the model's proposals
MOST = 60  # proposals of the model on one photograph


def propose(
    photos: Path,
    teachers: Path,
    sets: list[str],
    out: Path,
    model: Path | None = None,
    tiles: int = 2,
    least: float = LEAST_SCORE,
    threads: int | None = None,
) -> None:
    """Gather boxes that may be heads. A stopped run goes on where it was.

    Args:
        photos: folder that holds the sets.
        teachers: folder of *.jsonl with faces and their poses by public networks.
        sets: folders of photographs in `photos`.
        out: file of proposals, a line a photograph.
        model: model folder; the shipped one if left out.
        tiles: so many by so many parts of each photograph are looked at.
        least: least calibrated score of the model's proposals.
        threads: of the arithmetic; one per core if left out.
    """
    perceiver = HeadPerceiver.load(model, max_heads=MOST, tiles=tiles, mirror=True, threads=threads)
    known = read_teachers(teachers)
    propose_photos(photos, sets, known, lambda image: of_model(image, perceiver, least), out)


def sheets(
    photos: Path, proposals: Path, out: Path, judged: Path = JUDGED, part: str = "all"
) -> None:
    """Draw numbered proposals of photographs that were not judged yet.

    Args:
        photos: folder that the proposals' paths begin in.
        proposals: file of `propose`.
        out: folder for sheet_0001.jpg, ... and sheets.txt, which names the photographs of each.
        judged: folder of judgements.
        part: "train", "test" or "all".
    """
    done = {row["sha256"] for row in read_judged(judged)}
    rows = [row for row in whole_lines(proposals) if row["sha256"] not in done]
    count = write_sheets(photos, rows, out, part)
    print(f"{count} sheets in {out}")


def judge(proposals: list[Path], verdicts: list[Path], out: Path = JUDGED) -> None:
    """Turn reviewers' lines into labels.

    Args:
        proposals: files of `propose`.
        verdicts: text files, a line a photograph.
        out: folder of labels; one file a set, lines of photographs judged again are replaced.
    """
    rows = [row for file in proposals for row in whole_lines(file)]
    counts = judge_files(rows, verdicts, out)
    for what, count in counts.most_common():
        print(f"{count:9,} {what}")
    print(json.dumps(dict(counts)))


if __name__ == "__main__":
    auto_cli([propose, sheets, judge], as_positional=False)
