# SPDX-License-Identifier: Apache-2.0
"""Changes to exported graphs: weights in 8 bits, files half as large, no traces of their making."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

SMALL = 1024  # elements; what is smaller is not worth halving
HALVED = ".half"  # behind names of weights that are stored in 16 bits


def write_int8(source: Path, target: Path) -> None:
    """Round the weights of all matrix products to 8 bits, their inputs as they come.

    Signed and per channel: with unsigned or per-tensor weights ONNX Runtime is slower than with 32
    bits. Of the weights' range seven bits are used: x86 processors without VNNI (before about 2019)
    add pairs of products in 16 bits, which eight would overflow.
    """
    model = onnx.load(source)
    del model.graph.value_info[:]  # shapes that the library's own rewriting makes wrong
    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"WeightSymmetric": True, "MatMulConstBOnly": True},
    )


def tidy(file: Path) -> None:
    """Make a graph's file smaller and free of traces of its making; what it computes stays."""
    model = onnx.load(file)
    halve(model.graph)
    forget_origin(model)
    onnx.save(model, file)


def halve(graph: GraphProto) -> None:
    """Store 32-bit weights in 16 bits where that loses nothing, as with checkpoints in 16 bits.

    ONNX Runtime widens them once, when it loads the file.
    """
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, name + HALVED))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    for number, node in enumerate(casts):
        graph.node.insert(number, node)


def forget_origin(model: ModelProto) -> None:
    """Take out which line of which source made each node: paths of the exporter's machine."""
    graph = model.graph
    named = [*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for part in (model, graph, *model.functions, *named):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
