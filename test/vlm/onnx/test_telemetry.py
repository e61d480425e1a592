# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime is told to send nothing before it is imported."""

import subprocess
import sys

CODE = """
import os, sys
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
import hpe_vlm_ros.vlm.loading
assert "onnxruntime" not in sys.modules, "it reads the variable when it is imported"
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_usage_data_is_turned_off_before_the_library_is_imported():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr
