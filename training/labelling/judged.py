# SPDX-License-Identifier: Apache-2.0
"""Labels that reviewers' verdicts make of proposals, kept in `judged/SET.jsonl`.

A line a photograph: image, sha256, width, height, whole (every head is labelled or in an ignored
region), heads (box; facing, one of SECTORS or null; source, "face", "model" or "eye"; angles and
spread where they are known, relative to the viewing ray), no (boxes that are no heads), ignore
(regions).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..data.json_lines import whole_lines
from .proposals import SECTORS, Proposal, clipped
from .propose import proposals_of
from .verdicts import UNKNOWN, Box, Verdict, read_verdicts

JUDGED = Path(__file__).parent / "judged"


def judge_files(
    rows: Sequence[dict[str, Any]], verdicts: Iterable[Path], out: Path
) -> Counter[str]:
    """Write labels of all photographs that the verdict files tell of; returns counts.

    Raises ValueError that names every line that does not fit its photograph; nothing is written
    then.
    """
    known, counts, wrong = {row["id"]: row for row in rows}, Counter[str](), []
    labels: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for file in verdicts:
        for verdict in read_verdicts(file.read_text(), str(file)).values():
            if verdict.id not in known:
                wrong.append(f"{file}: {verdict.id} is no photograph of the proposals")
                continue
            try:
                label = judged(known[verdict.id], verdict)
            except ValueError as error:
                wrong.append(f"{file}: {error}")
                continue
            labels[label["image"].split("/")[0]][label["image"]] = label
            counts.update(_counted(label, verdict))
    if wrong:
        raise ValueError("\n".join(wrong))
    for name, new in labels.items():
        _merge(out / f"{name}.jsonl", new)
    return counts


def judged(row: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """The label of one photograph. ValueError where the verdict does not fit its proposals."""
    proposals = proposals_of(row)
    numbers = set(range(1, len(proposals) + 1))
    known = verdict.heads.keys() | verdict.no
    if known - numbers:
        raise ValueError(f"{row['id']}: there is no proposal {sorted(known - numbers)}")
    if both := verdict.heads.keys() & verdict.no:
        raise ValueError(f"{row['id']}: {sorted(both)} are heads and no heads")
    silent = [n for n in sorted(numbers - known) if not proposals[n - 1].is_sure]
    if verdict.whole and silent:
        raise ValueError(f"{row['id']}: whole, but nothing is said of {silent}")
    size = row["width"], row["height"]
    heads = []
    for number, proposal in enumerate(proposals, start=1):
        if number in verdict.no or number in silent:
            continue
        sector, box = verdict.heads.get(number, ("ok", None))
        heads.append(_head(proposal, sector, box, size))
    heads += [_new(box, sector, size) for box, sector in verdict.new]
    keys = "image", "sha256", "width", "height"
    label = {key: row[key] for key in keys} | {"whole": verdict.whole and not verdict.drop}
    if verdict.drop:
        return label | {"drop": True, "heads": []}
    label["heads"] = sorted(heads, key=lambda h: h["box"][0] + h["box"][2])
    label["no"] = [_rounded(proposals[n - 1].box) for n in sorted(verdict.no)]
    label["ignore"] = [_rounded(clipped(box, *size)) for box in verdict.ignore]
    return label


def _head(
    proposal: Proposal, sector: str, box: Box | None, size: tuple[int, int]
) -> dict[str, Any]:
    facing = proposal.sector if sector == "ok" else None if sector == UNKNOWN else sector
    head: dict[str, Any] = {
        "box": _rounded(clipped(proposal.box if box is None else box, *size)),
        "facing": facing, "source": proposal.source,
    }  # fmt: skip
    if proposal.angles is not None and facing is not None and _near(proposal.sector, facing):
        head["angles"] = list(proposal.angles)
        head["spread"] = list(proposal.spread or ())
    return head


def _near(one: str | None, other: str) -> bool:
    """Whether two sectors are the same or neighbours."""
    return one is not None and (SECTORS.index(one) - SECTORS.index(other) + 1) % 8 <= 2


def _new(box: Box, sector: str, size: tuple[int, int]) -> dict[str, Any]:
    facing = None if sector == UNKNOWN else sector
    return {"box": _rounded(clipped(box, *size)), "facing": facing, "source": "eye"}


def _counted(label: dict[str, Any], verdict: Verdict) -> Counter[str]:
    counts = Counter[str](photographs=1, heads=len(label["heads"]))
    counts["photographs whole"] += label["whole"]
    counts["photographs dropped"] += verdict.drop
    counts["no heads"] += len(verdict.no)
    counts["heads that were not proposed"] += len(verdict.new)
    for head in label["heads"]:
        counts[f"facing {head['facing']}"] += 1
    return counts


def _merge(file: Path, new: dict[str, dict[str, Any]]) -> None:
    """Lines by image; those of photographs judged again are replaced."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = {line["image"]: line for line in whole_lines(file)} | new
    text = "".join(json.dumps(lines[name]) + "\n" for name in sorted(lines))
    file.write_text(text)


def read_judged(folder: Path) -> list[dict[str, Any]]:
    """All lines of a folder's *.jsonl, [] where there are none."""
    return [line for file in sorted(folder.glob("*.jsonl")) for line in whole_lines(file)]


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(float(v), 1) for v in box]
