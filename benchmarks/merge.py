# SPDX-License-Identifier: Apache-2.0
"""Merging two checkpoints: tensor by tensor against loading both whole. Time and peak memory.

Makes two random sharded checkpoints of --size MB each (and deletes them), then merges them as
stage 3 does, and again by the obvious program that loads everything; each in a process of its
own, in turns, --repeat times. Results of both are compared. Files come from the page cache.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import load_file, save_file

from hpe_vlm_ros.vlm.model_folder import INDEX
from training.merging.registry import Layer, chosen
from training.merging.similarity import row_cosine
from training.merging.sources import Checkpoint
from training.merging.stream import merge, similarities

MB = 2**20
WAYS = ("stream", "load everything")
KINDS = ("original", "tuned")
METHOD = "winner_takes_all"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        "python -m benchmarks.merge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--size", type=int, default=1024, help="MB of one checkpoint (default 1024)")
    add("--shards", type=int, default=4, help="files of one checkpoint (default 4)")
    add("--width", type=int, default=2048, help="rows and columns of a layer (default 2048)")
    add("--repeat", type=int, default=3, help="runs of each way; medians are shown (default 3)")
    add("--folder", type=Path, help="where to work (default: the system's temporary folder)")
    add("--one", choices=WAYS, help=argparse.SUPPRESS)  # what the processes are started with
    return result


def make_pair(folder: Path, size: int, shards: int, width: int) -> None:
    """folder/original and folder/tuned: float16 layers, the second with some noise of its own."""
    layers = max(size * MB // (2 * width * width), shards)
    torch.manual_seed(0)
    places: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        names = [f"model.layers.{i}.dense.weight" for i in range(shard, layers, shards)]
        original = {name: torch.randn(width, width).half() for name in names}
        tuned = {n: t + 0.01 * i * torch.randn_like(t) for i, (n, t) in enumerate(original.items())}
        for kind, tensors in (("original", original), ("tuned", tuned)):
            (folder / kind).mkdir(exist_ok=True)
            save_file(tensors, folder / kind / file)
        places |= dict.fromkeys(names, file)
    for kind in KINDS:
        (folder / kind / INDEX).write_text(json.dumps({"weight_map": places}))


def stream(folder: Path, out: Path) -> None:
    original, tuned = (Checkpoint(folder / kind) for kind in KINDS)
    layers = [name.removesuffix(".weight") for name in original.shapes]
    cosines = similarities(original, tuned, layers)
    merge(original, tuned, chosen(METHOD, {}), cosines, out)


def load_everything(folder: Path, out: Path) -> None:
    files = sorted(file.name for file in (folder / "original").glob("*.safetensors"))
    original, tuned = ({f: load_file(folder / kind / f) for f in files} for kind in KINDS)
    pairs = {n: (before, tuned[f][n]) for f in files for n, before in original[f].items()}
    layers = {name: name.removesuffix(".weight") for name in pairs}
    cosines = {layers[n]: row_cosine(*p) for n, p in pairs.items() if not torch.equal(*p)}
    method = chosen(METHOD, {})
    merged = {n: method(*p, Layer(layers[n], cosines)) for n, p in pairs.items()}
    for file in files:
        save_file({name: merged[name] for name in original[file]}, out / file)


def memory(field: str) -> float:
    """MB of this process from /proc: VmRSS is now, VmHWM the peak."""
    line = next(x for x in open("/proc/self/status", encoding="utf-8") if x.startswith(field))
    return int(line.split()[1]) / 1024


def run_one(way: str, folder: Path) -> dict[str, float]:
    """Merge once, in this process; seconds, and MB beyond what the imports take."""
    torch.set_num_threads(1)
    chosen(METHOD, {})  # imports whatever there is to import
    out = folder / way
    out.mkdir()
    before, start, busy = memory("VmRSS"), time.perf_counter(), time.process_time()
    (stream if way == "stream" else load_everything)(folder, out)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - busy,
        "peak_mb": memory("VmHWM") - before,
    }


def measured(folder: Path, repeat: int) -> dict[str, dict[str, float]]:
    """Medians of each way, from fresh processes in turns; AssertionError if results differ."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(repeat):
        for way in WAYS:
            shutil.rmtree(folder / way, ignore_errors=True)
            command = [sys.executable, "-m", "benchmarks.merge", "--one", way]
            command += ["--folder", str(folder)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            runs[way].append(json.loads(output.splitlines()[-1]))
        for file in (folder / WAYS[0]).glob("*.safetensors"):
            other = load_file(folder / WAYS[1] / file.name)
            for name, tensor in load_file(file).items():
                assert torch.equal(tensor, other[name]), f"{name} differs between the two ways"
    return {
        way: {key: round(median(run[key] for run in done), 2) for key in done[0]}
        for way, done in runs.items()
    }


def main() -> None:
    given = parser().parse_args()
    if given.one:
        print(json.dumps(run_one(given.one, given.folder)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        make_pair(folder, given.size, given.shards, given.width)
        result = measured(folder, given.repeat)
    print(f"two checkpoints of {given.size} MB in {given.shards} files, one thread")
    print(f"{'':<16}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}{'peak / checkpoint':>20}")
    for way, row in result.items():
        share = row["peak_mb"] / given.size
        times = f"{row['seconds']:>10.2f}{row['cpu_seconds']:>10.2f}"
        print(f"{way:<16}{times}{row['peak_mb']:>10.0f}{share:>20.2f}")
    fast, whole = (result[way] for way in WAYS)
    print(
        json.dumps(
            {
                "size_mb": given.size,
                "stream": fast,
                "load_everything": whole,
                "memory_ratio": round(whole["peak_mb"] / fast["peak_mb"], 2),
                "time_ratio": round(whole["seconds"] / fast["seconds"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
