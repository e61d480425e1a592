# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.install` counts."""

import pytest

from benchmarks.install import RUNTIME, TORCH, megabytes, named, with_all_they_need


def test_the_runtime_needs_neither_torch_nor_scipy():
    runtime = with_all_they_need(named(RUNTIME))
    assert {"numpy", "onnxruntime", "lapx", "huggingface-hub"} <= runtime  # the last by tokenizers
    assert not {"torch", "transformers", "scipy"} & runtime
    assert {"torch", "sympy"} <= with_all_they_need(named(TORCH))


def test_what_a_package_holds_and_one_that_is_not_there():
    assert 1 < megabytes("numpy") < megabytes("torch")
    with pytest.raises(SystemExit, match="no-such-package is not installed: run `make test`"):
        with_all_they_need(["no_such_package"])
