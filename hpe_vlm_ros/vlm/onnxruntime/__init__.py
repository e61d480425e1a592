# SPDX-License-Identifier: Apache-2.0
"""Exported models in ONNX Runtime; `import onnxruntime` is always the library's."""
