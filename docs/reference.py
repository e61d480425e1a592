# SPDX-License-Identifier: Apache-2.0
"""Writes the generated sections of docs/node.md: parameters, messages and the action.

    python docs/reference.py

Sources are `SPECIFICATIONS` of hpe_vlm_ros/nodes/specifications.py and the files in msg/ and
action/. A section stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; the rest of the
page is written by hand. A test fails where the page differs from what this script writes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hpe_vlm_ros.nodes.specifications import SPECIFICATIONS, Specification  # noqa: E402

PAGE = ROOT / "docs" / "node.md"
MESSAGES = (
    *("HeadPoseArray", "HeadPose", "HeadGesture", "GazeTargets", "GazeTarget"),
    *("SkeletonArray", "Skeleton", "Keypoint"),
)
PARTS_OF_AN_ACTION = ("Goal", "Result", "Feedback")


def render(page: str) -> str:
    """The page with its generated sections written anew. ValueError: a section is missing."""
    sections = {
        "parameters": parameter_table(),
        "messages": "\n\n".join(message_section(name) for name in MESSAGES),
        "action": action_section("Query"),
    }
    for name, text in sections.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{PAGE}: need exactly one {begin.strip()} and one {end}")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{text}\n\n{end}{rest.split(end)[1]}"
    return page


def parameter_table() -> str:
    rows = [
        (
            f"`{s.name}`",
            f"`{default_of(s)}`",
            range_of(s),
            "any time" if s.live else "configure",
            prose(s.description),
        )
        for s in SPECIFICATIONS
    ]
    return table(("parameter", "default", "range", "read", "meaning"), rows)


def default_of(specification: Specification) -> str:
    """As YAML writes it."""
    value = specification.default
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value)


def range_of(specification: Specification) -> str:
    if specification.limits is None:
        return ""
    low, high = specification.limits
    steps = f", in steps of {specification.step}" if specification.step > 1 else ""
    return f"{low:g} to {high:g}{steps}"


def message_section(name: str) -> str:
    text = (ROOT / "msg" / f"{name}.msg").read_text(encoding="utf-8")
    return f"### {name}\n\n{definition(text)}"


def action_section(name: str) -> str:
    text = (ROOT / "action" / f"{name}.action").read_text(encoding="utf-8")
    parts = [f"### {name}"]
    for title, part in zip(PARTS_OF_AN_ACTION, text.split("\n---\n"), strict=True):
        parts += [f"**{title}**", definition(part)]
    return "\n\n".join(parts)


def definition(text: str) -> str:
    """Prose and one table of an interface definition: comments stand above what they explain."""
    prose_parts, rows = [], []
    for comment, entries in blocks(text):
        if not entries:
            prose_parts.append(prose(comment))
            continue
        fields = [e.split() for e in entries if "=" not in e.split("#")[0]]
        constants = [constant(e) for e in entries if "=" in e.split("#")[0]]
        names = "<br>".join(f"`{name}`" for _, name in fields)
        kinds = "<br>".join(dict.fromkeys(f"`{kind}`" for kind, _ in fields))
        rows.append((names, kinds, "<br>".join([prose(comment), *constants])))
    return "\n\n".join([*prose_parts, table(("field", "type", "meaning"), rows)])


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each comment with the fields and constants below it; none below for a comment by itself."""
    comment: list[str] = []
    entries: list[str] = []
    for line in [*text.splitlines(), ""]:
        is_comment, is_blank = line.startswith("#"), not line.strip()
        if (entries and (is_comment or is_blank)) or (comment and is_blank):
            yield joined(comment), entries
            comment, entries = [], []
        if is_comment:
            comment.append(line[1:])
        elif not is_blank:
            entries.append(line)


def joined(lines: list[str]) -> str:
    """Lines of one comment as a paragraph; an indented line begins a line of its own."""
    text, indented = "", False
    for line in lines:
        before, indented = indented, line.startswith("   ")
        text += ("<br>" if indented or before else " ") + re.sub(r"\s+", " ", line.strip())
    return text.strip()


def constant(line: str) -> str:
    declared, _, comment = line.partition("#")
    name, value = declared.split()[1].split("=")
    return f"`{name}` = {value}" + (f": {prose(comment.strip())}" if comment else "")


def prose(text: str) -> str:
    """Plain text for a table's cell: names as code, the rest with Markdown's marks escaped."""
    return "<br>".join(
        " ".join(word_of_prose(word) for word in line.split()) for line in text.split("<br>")
    )


def word_of_prose(word: str) -> str:
    opening, core, closing = re.fullmatch(r"([(\"]*)(.*?)([)\".,;:]*)", word).groups()
    if re.search(r"\w_[\w<]|^[~/]/?\w|://|\w/\w+[<_/]|\w/[A-Z]", core):
        core = f"`{core}`"
    elif core:
        core = core.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return opening + core + closing


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
