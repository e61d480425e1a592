# SPDX-License-Identifier: Apache-2.0
"""Who perceives the slices: this process, or several on this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from tqdm import tqdm

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import FrameRecord

from .plan import Settings, Slice
from .store import Store
from .work import Load, perceive_slice

ATTEMPTS = 3
"""Times that workers may die without any slice being finished in between."""

Finished = Iterator[tuple[Slice, list[FrameRecord]]]


def perceive_all(
    pieces: Sequence[Slice],
    settings: Settings,
    load: Load,
    store: Store,
    processes: int = 1,
    ray_address: str | None = None,
    quiet: bool = False,
) -> None:
    """Perceives every slice that the store does not have yet, and keeps it."""
    missing = [piece for piece in pieces if not store.has(piece.key)]
    total = sum(len(piece.recording.frames) for piece in pieces)
    done = total - sum(len(piece.recording.frames) for piece in missing)
    if ray_address is not None:
        from .cluster import with_ray

        finished = with_ray(missing, settings, load, ray_address)
    elif processes > 1 and len(missing) > 1:
        finished = with_processes(missing, settings, load, processes)
    else:
        finished = alone(missing, settings, load)
    # None: tqdm shows itself on a terminal only
    with tqdm(total=total, initial=done, unit="frame", disable=True if quiet else None) as bar:
        for piece, records in finished:
            store.keep(piece.key, records)
            bar.update(len(records))


def alone(pieces: Sequence[Slice], settings: Settings, load: Load) -> Finished:
    """Slices one after the other, in this process."""
    for piece in pieces:
        yield piece, perceive_slice(piece, settings, load)


def with_processes(
    pieces: Sequence[Slice], settings: Settings, load: Load, processes: int
) -> Finished:
    """Slices as they are finished. When a worker dies, the others' slices are kept and the rest is
    begun again; ReplayError when that happens too often."""
    left = {piece.key: piece for piece in pieces}
    failures = 0
    while left:
        before = len(left)
        try:
            for piece, records in _pool(list(left.values()), settings, load, processes):
                yield piece, records
                del left[piece.key]
        except BrokenProcessPool as error:
            failures = 1 if len(left) < before else failures + 1
            if failures == ATTEMPTS:
                raise ReplayError(
                    "workers die again and again, perhaps for lack of memory: use fewer "
                    "--processes, then --resume"
                ) from error


def _pool(pieces: Sequence[Slice], settings: Settings, load: Load, processes: int) -> Finished:
    # Spawned, not forked: a fork would share the threads and the GPU of libraries loaded here.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(pieces)), mp_context=context)
    futures: dict[Future[list[FrameRecord]], Slice] = {}
    try:
        futures = {pool.submit(perceive_slice, p, settings, load): p for p in pieces}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
