# SPDX-License-Identifier: Apache-2.0
"""What the runtime takes from the disk and to import, beside the road through torch.

    python -m benchmarks.install

Counts the files of everything that `pip install hpe_vlm_ros` brings and of what the torch extra
adds to it, as installed here (torch's CPU build; the CUDA one is several times as large), and
times both imports in fresh processes. The last line is one JSON object: `runtime_mb, torch_mb,
install_ratio, import_ms, torch_import_ms, import_ratio`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
RUNTIME, TORCH = "requirements.txt", "requirements-torch.txt"
IMPORT = "import hpe_vlm_ros.perceiver, cv2, {}"
ROUNDS = 5


def named(file: str) -> list[str]:
    """The packages that a requirements file asks for."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [Requirement(line).name for line in lines if line and not line.startswith("-")]


def with_all_they_need(names: list[str]) -> set[str]:
    """The installed packages among `names` and everything they depend on here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed: run `make test` once, then this") from None
        found.add(name)
        parsed = [Requirement(need) for need in needs]
        waiting += [r.name for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def megabytes(name: str) -> float:
    """What a package's files hold, without the bytecode that Python writes later."""
    files = [Path(str(f.locate())) for f in distribution(name).files or [] if f.suffix != ".pyc"]
    return sum(f.stat().st_size for f in files if f.is_file()) / 1e6


def import_ms(library: str) -> float:
    """Median time of a fresh process that imports the perceiver and a runtime."""
    seconds = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORT.format(library)], check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[1:])  # the first also reads the disk


def main() -> None:
    runtime = with_all_they_need(named(RUNTIME))
    extra = with_all_they_need(named(TORCH)) - runtime
    sizes = {name: megabytes(name) for name in runtime | extra}
    for title, names in (("runtime", runtime), ("torch adds", extra)):
        print(f"{title}: {sum(sizes[n] for n in names):.0f} MB")
        for name in sorted(names, key=sizes.__getitem__, reverse=True):
            if sizes[name] >= 1:
                print(f"  {sizes[name]:6.0f}  {name}")
    small = sum(sizes[n] for n in runtime)
    large = small + sum(sizes[n] for n in extra)
    fast, slow = import_ms("onnxruntime"), import_ms("torch, transformers")
    print(f"imports: {fast:.0f} ms, through torch {slow:.0f} ms")
    result = {
        "runtime_mb": round(small),
        "torch_mb": round(large),
        "install_ratio": round(small / large, 3),
        "import_ms": round(fast),
        "torch_import_ms": round(slow),
        "import_ratio": round(fast / slow, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
