# SPDX-License-Identifier: Apache-2.0
"""The remote client against llama.cpp's own server, with a tiny vision model of random weights.

    pip install xllamacpp gguf
    python -m benchmarks.remote_llama_cpp

xllamacpp is llama.cpp with its HTTP server as a wheel (34 MB). What a model of random weights can
show: grammar, alternatives and pictures go through. Accuracy, or whether a square is found, it
cannot. The tests' own servers stand in for this one where it is not installed.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.remote.endpoint import Endpoint
from hpe_vlm_ros.remote.language import angles, boxes
from hpe_vlm_ros.remote.model import RemoteModel
from hpe_vlm_ros.remote.pictures import data_url, jpeg
from hpe_vlm_ros.remote.settings import Settings

WIDTH, LAYERS, HEADS, PATCH, SIDE = 64, 2, 4, 28, 224
TEMPLATE = (
    "{% for m in messages %}<s>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}\n{% endfor %}"
)


def write_language(path: Path, rng: np.random.Generator) -> None:
    """A Llama of two layers whose tokens are bytes and printable letters."""
    from gguf import GGUFWriter, TokenType

    letters = [chr(code) for code in range(33, 127)] + ["▁"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    kinds += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(letters)
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    tensors = {"token_embd": (len(tokens), WIDTH), "output": (len(tokens), WIDTH)}
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"blk.{layer}.{name}"] = (WIDTH, WIDTH)
        tensors[f"blk.{layer}.ffn_gate"] = tensors[f"blk.{layer}.ffn_up"] = (2 * WIDTH, WIDTH)
        tensors[f"blk.{layer}.ffn_down"] = (WIDTH, 2 * WIDTH)
        tensors[f"blk.{layer}.attn_norm"] = tensors[f"blk.{layer}.ffn_norm"] = (WIDTH,)
    tensors["output_norm"] = (WIDTH,)
    for name, shape in tensors.items():
        writer.add_tensor(f"{name}.weight", _weights(shape, rng))
    _finish(writer)


def write_vision(path: Path, rng: np.random.Generator) -> None:
    """LLaVA's tower and projector (docs of tools/mtmd), of one layer."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", True)
    numbers = {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": 2 * WIDTH,
        "block_count": 2,
        "projection_dim": WIDTH,
        "attention.head_count": HEADS,
    }
    for name, value in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for name in ("image_mean", "image_std"):
        writer.add_array(f"clip.vision.{name}", [0.5] * 3)
    patches = (SIDE // PATCH) ** 2 + 1
    tensors: dict[str, tuple[int, ...]] = {
        "v.class_embd": (WIDTH,),
        "v.patch_embd.weight": (WIDTH, 3, PATCH, PATCH),
        "v.position_embd.weight": (patches, WIDTH),
    }
    matrices = {f"mm.{i}": (WIDTH, WIDTH) for i in (0, 2)}
    norms = ["v.pre_ln"]
    for layer in range(2):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            matrices[f"v.blk.{layer}.{name}"] = (WIDTH, WIDTH)
        matrices[f"v.blk.{layer}.ffn_up"] = (2 * WIDTH, WIDTH)
        matrices[f"v.blk.{layer}.ffn_down"] = (WIDTH, 2 * WIDTH)
        norms += [f"v.blk.{layer}.ln1", f"v.blk.{layer}.ln2"]
    for name, shape in matrices.items():
        tensors |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        tensors |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    for name, shape in tensors.items():
        writer.add_tensor(name, _weights(shape, rng))
    _finish(writer)


def _weights(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    scale = 0.3 if len(shape) > 1 else 0.02
    return (rng.normal(0, scale, shape) + (len(shape) == 1)).astype(np.float32)


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def start(folder: Path) -> tuple[Any, str]:
    """The server, which ends with the process, and its address."""
    import xllamacpp

    rng = np.random.default_rng(0)
    write_language(folder / "tiny.gguf", rng)
    write_vision(folder / "mmproj.gguf", rng)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "tiny.gguf")
    parameters.mmproj.path = str(folder / "mmproj.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 4096, 2, False
    parameters.verbosity = 0
    parameters.cpuparams.n_threads = 1
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    server = xllamacpp.Server(parameters)
    return server, f"{server.listening_address}/v1"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server, address = start(Path(folder))
        settings = Settings(timeout=120)
        perceiver = HeadPerceiver(RemoteModel(address, settings), mirror=False)
        print(address, perceiver.model_id)
        for name, value in perceiver.facts().items():
            print(f"{name}: {value}")
        noise = np.random.default_rng(1).integers(0, 256, (540, 960, 3), dtype=np.uint8)
        for head in perceiver.poses(noise, [(100, 100, 200, 220), (500, 90, 640, 250)]):
            print([round(v, 1) for v in (head.yaw, head.pitch, head.roll)], "spread", head.spread)
        endpoint, picture = Endpoint(address, settings), data_url(jpeg(noise))
        for what, language in (("boxes", boxes(3)), ("angles", angles()), ("no grammar", None)):
            until = time.monotonic() + settings.timeout
            (reply,) = endpoint.ask(["Heads?"], picture, 120, until, language)
            kept = "" if language is None else f", in it: {language.matches(reply.text)}"
            print(f"{what}: {reply.text!r}{kept}")
        del server  # ends it


if __name__ == "__main__":
    main()
