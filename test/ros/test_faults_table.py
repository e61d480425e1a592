# SPDX-License-Identifier: Apache-2.0
"""docs/faults.md names tests that exist."""

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "faults.md"


def test_every_fault_names_a_test_that_exists():
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "][1:]
    known = {
        name
        for file in HERE.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(rows) >= 20
    before = ""
    for row in rows:
        last = row.rstrip("| ").rpartition("|")[2].strip()
        named = re.findall(r"`(test_\w+(?:\.py)?)`", last) or ([before] if last == "same" else [])
        assert named, f"no test: {row}"
        for name in named:
            exists = (HERE / name).is_file() if name.endswith(".py") else name in known
            assert exists, f"{name} does not exist: {row}"
        before = named[-1]
