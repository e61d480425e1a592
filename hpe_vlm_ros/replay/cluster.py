# SPDX-License-Identifier: Apache-2.0
"""Slices on a Ray cluster: an optional extra for many recordings.

A worker that dies takes its unfinished slice with it, which Ray gives to another. Only the process
that asked for the run writes results, under the slice's own name, so nothing is lost or doubled.
Recordings must lie at the same path on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord

from .plan import Settings, Slice
from .work import Load, perceive_slice

RETRIES = 5  # of a slice whose worker died: machines of a cluster come and go
AHEAD = 4  # slices waiting per running one: enough to keep workers busy


def with_ray(
    pieces: Sequence[Slice], settings: Settings, load: Load, address: str
) -> Iterator[tuple[Slice, list[FrameRecord]]]:
    """Slices as they are finished. address: of the cluster; "local" starts one on this machine.

    ReplayError when Ray is missing, when there is no cluster, or when a slice fails.
    """
    ray = _connected(address)
    task = ray.remote(max_retries=RETRIES, num_cpus=1)(perceive_slice)
    waiting = list(reversed(pieces))
    running: dict[Any, Slice] = {}
    limit = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    while waiting or running:
        while waiting and len(running) < limit:
            piece = waiting.pop()
            running[task.remote(piece, settings, load)] = piece
        (done,), _ = ray.wait(list(running), num_returns=1)
        piece = running.pop(done)
        try:
            records = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise ReplayError(f"{piece.recording.id}: {error.cause}; then --resume") from error
        except ray.exceptions.RayError as error:
            raise ReplayError(
                f"{piece.recording.id}: its worker died {RETRIES + 1} times ({error}); --resume "
                "goes on with what is missing"
            ) from error
        yield piece, records


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ReplayError(
            "--ray needs Ray: pip install ray, here and on every machine of the cluster"
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(
                None if address == "local" else address,
                include_dashboard=False,
                log_to_driver=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ReplayError(f"no Ray cluster at {address} ({error}); start it first") from error
    return ray
