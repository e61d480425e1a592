# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml of a rosbag2 folder: an index that may be old, edited or gone.

Nothing is read by it. The data files say what a bag holds; this tells the user where it differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from rosbags.rosbag2.metadata import parse_qos
from ruamel.yaml import YAML

NAME = "metadata.yaml"
MISSING = "it is missing"
SHOWN = 6  # differences that are named; the others are counted

Key = tuple[str, str]
"""Name and type of a topic."""


@dataclass(frozen=True)
class Stated:
    """files: names in their order. topics: messages by topic. offered: QoS of each, or None."""

    files: tuple[str, ...]
    topics: dict[Key, int]
    offered: dict[Key, Any]


@dataclass(frozen=True)
class Found:
    """The same of the data files; messages is None where only reading would tell."""

    files: tuple[str, ...]
    topics: Mapping[Key, int | None]
    offered: Mapping[Key, Any]


def read_metadata(folder: Path) -> Stated:
    """ValueError says why it cannot be used."""
    try:
        content = YAML(typ="safe").load((folder / NAME).read_text(encoding="utf-8"))
        if content is None:
            raise ValueError("it is empty")
        about = content["rosbag2_bagfile_information"]
        topics: dict[Key, int] = {}
        offered: dict[Key, Any] = {}
        for entry in about["topics_with_message_count"]:
            topic = entry["topic_metadata"]
            key = str(topic["name"]), str(topic["type"])
            topics[key] = topics.get(key, 0) + int(entry["message_count"])
            offered[key] = qos(topic.get("offered_qos_profiles"))
        # Before version 4 the paths began with the bag's own folder.
        files = tuple(PurePath(str(path)).name for path in about["relative_file_paths"])
        return Stated(files, topics, offered)
    except FileNotFoundError:
        raise ValueError(MISSING) from None
    except KeyError as error:
        raise ValueError(f"it has no {error}") from error
    except Exception as error:  # a damaged YAML file fails in more ways than can be listed
        raise ValueError(next(iter(str(error).splitlines()), type(error).__name__)) from error


def differences(stated: Stated, found: Found) -> list[str]:
    """In what the two differ, in words."""
    lines = [f"{n} is listed but not there" for n in stated.files if n not in found.files]
    lines += [f"{n} is not listed" for n in found.files if n not in stated.files]
    for key in sorted(stated.topics.keys() | found.topics.keys()):
        there, count = stated.topics.get(key), found.topics.get(key, 0)
        if there is None and count != 0:
            lines.append(f"{key[0]} ({_messages(count)}) is not listed")
        elif there is not None and count is not None and there != count:
            lines.append(f"{key[0]}: {_messages(there)} stated, {count} found")
    other = [k[0] for k in sorted(found.offered) if _differ(stated.offered, found.offered, k)]
    return lines + ([f"QoS of {', '.join(other)}"] if other else [])


def note(folder: Path, found: Found) -> str | None:
    """What to tell about the folder's metadata.yaml; None where all is well."""
    try:
        lines = differences(read_metadata(folder), found)
    except ValueError as error:
        missing = str(error) == MISSING
        why = "is missing" if missing else f"cannot be used ({error})"
        return (
            f"{NAME} {why}: the topics were taken from the data files instead "
            f"(`ros2 bag reindex` writes it anew){_as_one(found.files)}"
        )
    if not lines:
        return None
    more = [f"{len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return (
        f"{NAME} differs from the data files, which were used: {'; '.join([*lines[:SHOWN], *more])}"
    )


def _as_one(files: Sequence[str]) -> str:
    """Without metadata.yaml nothing says that files belong together."""
    if len(files) < 2:
        return ""
    shown = ", ".join(files[:SHOWN]) + (", ..." if len(files) > SHOWN else "")
    return f"; {shown} are read as one recording: name them one by one if they are not"


def listed(folder: Path) -> Sequence[str]:
    """Names of the data files in the order of metadata.yaml; none where it cannot be used."""
    try:
        return read_metadata(folder).files
    except ValueError:
        return ()


def qos(profiles: Any) -> Any:
    """Offered QoS of a topic in a form that can be compared; None where it cannot be understood.

    It is written as YAML within YAML, of numbers or of words.
    """
    try:
        return parse_qos(profiles or [])
    except Exception:  # nothing depends on it, and texts of all kinds are found in bags
        return None


def _differ(stated: Mapping[Key, Any], found: Mapping[Key, Any], key: Key) -> bool:
    there, here = stated.get(key), found[key]
    return there is not None and here is not None and there != here


def _messages(count: int | None) -> str:
    return "messages" if count is None else f"{count} message{'s'[: count != 1]}"
