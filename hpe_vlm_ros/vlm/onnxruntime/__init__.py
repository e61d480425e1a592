# SPDX-License-Identifier: Apache-2.0
"""Exported models in ONNX Runtime; `import onnxruntime` is always the library's."""

import os

# ONNX Runtime for Linux sends usage data to its maker (seen with 1.31). It reads this variable when
# it is first imported; its own disable_telemetry_events() comes too late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
