# SPDX-License-Identifier: Apache-2.0
"""Everything about large models that only a GPU can tell, in one go.

    python -m benchmarks.full_size.on_gpu --out runs/gpu

CogVLM-17B, Qwen3-VL-2B and Qwen3-VL-8B with random weights, each in bfloat16 and 4 bits, with 1, 4
and 10 heads: milliseconds of each phase beside the roofline's, memory, and `generate()` in the same
run. Each model runs in a process of its own; one that fails or takes longer than `--limit` seconds
does not keep the others. OUT/NAME.txt holds what was printed, OUT/NAME.json the numbers, and
OUT/results.json all of them with what failed and why; the last line printed names that file.

No result of a GPU has been taken with it yet.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
JOBS = {
    "cogvlm17b": ["benchmarks.full_size"],
    "qwen3_vl_2b": ["benchmarks.full_size.qwen3_vl", "--sizes", "2B"],
    "qwen3_vl_8b": ["benchmarks.full_size.qwen3_vl", "--sizes", "8B"],
}
TINY = {  # the same programs, small enough for any CPU
    "cogvlm17b": ["--layers", "1", "--scale", "32", "--image-size", "28"],
    "qwen3_vl_2b": ["--sizes", "tiny", "--picture", "64", "96"],
    "qwen3_vl_8b": ["--sizes", "tiny", "--picture", "96", "64"],
}
TINY_ALL = ["--device", "cpu", "--dtype", "float32", "--rounds", "1", "--heads", "1", "2"]


def run(name: str, options: Sequence[str], out: Path, limit: float) -> dict[str, Any]:
    """One model's numbers, or {"failed": why}."""
    module, *own = JOBS[name]
    command = [sys.executable, "-m", module, *own, *options]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        (out / f"{name}.txt").write_text(f"{_text(error.stdout)}{_text(error.stderr)}")
        return {"failed": f"not done after {limit:.0f} s"}
    (out / f"{name}.txt").write_text(done.stdout + done.stderr)
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"failed": (done.stderr.splitlines() or ["no output"])[-1]}
    (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    return found if found["results"] else found | {"failed": done.stderr.strip()}


def _text(content: bytes | str | None) -> str:
    return content.decode(errors="replace") if isinstance(content, bytes) else content or ""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.full_size.on_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/gpu"), help="folder of the results (runs/gpu)")
    add("--only", nargs="+", default=list(JOBS), choices=list(JOBS), help="(all)")
    add("--limit", type=float, default=600, metavar="S", help="seconds for each model (600)")
    add("--tiny", action="store_true", help="tiny models on the CPU, to try the program itself")
    options, more = parser.parse_known_args(arguments)  # the rest goes to every program
    options.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in options.only:
        extra = [*(TINY[name] + TINY_ALL if options.tiny else ()), *more]
        print(f"{name} ...", flush=True)
        results[name] = run(name, extra, options.out, options.limit)
        print((options.out / f"{name}.txt").read_text().rstrip(), flush=True)
    place = options.out / "results.json"
    place.write_text(json.dumps(results, indent=1) + "\n")
    failed = [f"{name}: {found['failed']}" for name, found in results.items() if "failed" in found]
    print("\n".join([*failed, str(place)]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
