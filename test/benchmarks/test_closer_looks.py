# SPDX-License-Identifier: Apache-2.0
"""The benchmark of closer looks runs on any folder of pictures."""

import json

import cv2
import numpy as np

from benchmarks import closer_looks


def test_groups_by_heads_and_prints_ratios(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "nobody.png"), np.full((120, 160, 3), 90, np.uint8))
    closer_looks.main(tmp_path, each=1)
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    nobody = numbers["nobody"]
    assert nobody["pictures"] == 1 and nobody["ratio"] > 0 and nobody["tile"] > 0
