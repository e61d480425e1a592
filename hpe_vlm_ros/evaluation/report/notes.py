# SPDX-License-Identifier: Apache-2.0
"""What a user must know beside the numbers, in the order in which it becomes known."""

from __future__ import annotations

from typing import Any

from hpe_vlm_ros.recordings.frames import named_note

REASONS, EXAMPLES = 5, 3  # for which frames could not be read, and frames of each, that are told


def of_run(report: dict[str, Any]) -> list[str]:
    """What came to light while frames were perceived and compared with the truth."""
    notes = list(report["run"]["notes"])
    frames = report["frames"]
    if frames["unreadable"]:
        notes.append(
            f"{frames['unreadable']} of {frames['unreadable'] + frames['perceived']} frames could "
            f"not be read and are not scored: {_reasons(frames)}"
        )
    return notes + (report["truth"]["notes"] if report["truth"] else [])


def all_notes(report: dict[str, Any]) -> list[str]:
    """For the page: of recordings, of the run, and of the intervals."""
    notes = [
        named_note(recording["id"], note)
        for recording in report["run"]["recordings"]
        for note in recording["notes"]
    ]
    notes += of_run(report)
    intervals = report["intervals"]
    if not intervals["reliable"]:
        notes.append(f"The intervals rest on {intervals['blocks']} blocks of frames only: too few.")
    return notes


def nothing_read(report: dict[str, Any]) -> str | None:
    """Why there is no result at all; None where there is one."""
    frames = report["frames"]
    if frames["perceived"] or not frames["unreadable"]:
        return None
    return f"none of the {frames['unreadable']} frames could be read: {_reasons(frames)}"


def _reasons(frames: dict[str, Any]) -> str:
    notes = []
    for reason in frames["reasons"][:REASONS]:
        names = ", ".join(reason["such_as"])
        more = ", ..." if reason["frames"] > len(reason["such_as"]) else ""
        notes.append(f"{reason['text']} ({reason['frames']}: {names}{more})")
    left = sum(reason["frames"] for reason in frames["reasons"][REASONS:])
    return "; ".join([*notes, *([f"and {left} more"] if left else [])])
