# SPDX-License-Identifier: Apache-2.0
"""Streaming: the right bytes in the right files, little memory, and refusals that name names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hpe_vlm_ros.vlm.model_folder import INDEX
from training.merging.registry import Layer, chosen
from training.merging.similarity import row_cosine
from training.merging.sources import Checkpoint, check_alike
from training.merging.stream import (
    BLEND,
    ORIGINAL,
    SAME,
    TUNED,
    merge,
    outcomes,
    similarities,
    write_safetensors,
)


def checkpoint(folder: Path, *shards: dict[str, torch.Tensor]) -> Checkpoint:
    folder.mkdir()
    places = {}
    for number, tensors in enumerate(shards):
        save_file(tensors, folder / f"{number}.safetensors")
        places |= dict.fromkeys(tensors, f"{number}.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    return Checkpoint(folder)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "far.weight": torch.randn(4, 6),
        "far.bias": torch.randn(4),
        "near.weight": torch.randn(4, 6),
        "same.weight": torch.randn(4, 6),
        "norm.weight": torch.randn(6),
    }


@pytest.fixture
def tuned(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    moved = {name: tensor + 0.01 for name, tensor in tensors.items()}
    moved["far.weight"] = tensors["far.weight"].flip(0)
    return moved | {"same.weight": tensors["same.weight"].clone()}


def merged(one, two, out, method="winner_takes_all", **options):
    """Outcomes by name, and the checkpoint written."""
    out.mkdir()
    names = ["far", "near", "same"]
    cosines = similarities(one, two, names)
    sides = merge(one, two, chosen(method, options), cosines, out)
    return outcomes(names, cosines, sides), Checkpoint(out)


def split(tensors: dict[str, torch.Tensor], *names: str) -> list[dict[str, torch.Tensor]]:
    first = {name: tensors[name] for name in names}
    return [first, {name: t for name, t in tensors.items() if name not in first}]


def test_layers_come_whole_from_one_model(tmp_path, tensors, tuned):
    one = checkpoint(tmp_path / "one", *split(tensors, "far.weight", "norm.weight"))
    two = checkpoint(tmp_path / "two", *split(tuned, "same.weight"))  # cut in another way
    became, out = merged(one, two, tmp_path / "out")
    assert {name: outcome.side for name, outcome in became.items()} == {
        "far": ORIGINAL,
        "near": TUNED,
        "same": SAME,
    }
    assert became["far"].similarity < 0.95 < became["near"].similarity < became["same"].similarity
    expected = tuned | {name: tensors[name] for name in ("far.weight", "far.bias")}
    for name, tensor in expected.items():
        assert out.read(name).equal(tensor), name


def test_files_are_cut_as_the_originals(tmp_path, tensors, tuned):
    one = checkpoint(tmp_path / "one", *split(tensors, "far.weight", "norm.weight"))
    _, out = merged(one, checkpoint(tmp_path / "two", tuned), tmp_path / "out")
    assert {file.name: set(names) for file, names in out.files.items()} == {
        file.name: set(names) for file, names in one.files.items()
    }
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    assert index["weight_map"].keys() == tensors.keys()
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in tensors.values())


def test_a_blend_is_called_one(tmp_path, tensors, tuned):
    one, two = checkpoint(tmp_path / "one", tensors), checkpoint(tmp_path / "two", tuned)
    became, out = merged(one, two, tmp_path / "out", "task_arithmetic")
    assert {outcome.side for outcome in became.values()} == {BLEND, SAME}
    half = (tensors["near.weight"] + tuned["near.weight"]) / 2
    torch.testing.assert_close(out.read("near.weight"), half)
    became, _ = merged(one, two, tmp_path / "none", "task_arithmetic", weight=0.0)
    assert {outcome.side for outcome in became.values()} == {ORIGINAL, SAME}


def test_the_originals_precision_stays(tmp_path, tensors, tuned):
    half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    one, two = checkpoint(tmp_path / "one", half), checkpoint(tmp_path / "two", tuned)
    _, out = merged(one, two, tmp_path / "out", "lora_folding")
    assert set(out.types.values()) == {"BF16"}
    assert out.read("near.weight").equal(tuned["near.weight"].bfloat16())


def test_any_type_and_shape_can_be_written(tmp_path):
    tensors = {
        "matrix": torch.randn(3, 5).half(),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "none": torch.zeros(0, 4),
        "flags": torch.tensor([True, False, True]),
        "counts": torch.arange(6).view(2, 3),
    }
    save_file(tensors, tmp_path / "library.safetensors")
    (tmp_path / "library.safetensors").rename(tmp_path / "model.safetensors")
    source = Checkpoint(tmp_path)
    header = {name: (source.types[name], source.shapes[name]) for name in tensors}
    write_safetensors(tmp_path / "own.safetensors", header, tensors.values())
    written = load_file(tmp_path / "own.safetensors")
    assert written.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert written[name].dtype == tensor.dtype and written[name].equal(tensor), name


def test_other_names_and_shapes_are_refused_by_name(tmp_path, tensors, tuned):
    one = checkpoint(tmp_path / "one", tensors)
    tuned["near.weight"] = tuned["near.weight"].T.contiguous()
    tuned["extra.weight"] = tuned.pop("norm.weight")
    two = checkpoint(tmp_path / "two", tuned)
    with pytest.raises(ValueError, match="differ in 3 tensors") as error:
        check_alike(one, two)
    for part in (
        f"norm.weight only in {one.folder}",
        f"extra.weight only in {two.folder}",
        "near.weight is (4, 6) and (6, 4)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["far.weight", "far.bias", "same.weight", "norm.weight"])
@pytest.mark.parametrize("broken", ["one", "two"])
def test_a_broken_model_is_refused_by_name(tmp_path, tensors, tuned, broken, name, value):
    """Wherever it is, in whichever model, and before anything is written."""
    (tensors if broken == "one" else tuned)[name].view(-1)[-1] = value
    one, two = checkpoint(tmp_path / "one", tensors), checkpoint(tmp_path / "two", tuned)
    with pytest.raises(ValueError, match=rf"{broken}: {name} has values that are not finite"):
        merged(one, two, tmp_path / "out", "lora_folding")
    assert not list((tmp_path / "out").iterdir())


def test_a_broken_model_in_8_bits_is_refused_by_name(tmp_path, tensors):
    eight = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tensors.items()}
    one = checkpoint(tmp_path / "one", eight)
    assert similarities(one, one, ["far"]) == {}
    eight["norm.weight"] = torch.full((6,), torch.nan).to(torch.float8_e4m3fn)
    with pytest.raises(ValueError, match="two: norm.weight has values that are not finite"):
        similarities(one, checkpoint(tmp_path / "two", eight), ["far"])


def test_values_beyond_the_precision_are_refused(tmp_path, tensors, tuned):
    tuned["norm.weight"][3] = 1e6
    half = {name: tensor.half() for name, tensor in tensors.items()}
    one, two = checkpoint(tmp_path / "one", half), checkpoint(tmp_path / "two", tuned)
    with pytest.raises(ValueError, match="norm.weight has values that torch.float16"):
        merged(one, two, tmp_path / "out")


def test_a_method_must_keep_the_shape(tmp_path, tensors, tuned):
    one, two = checkpoint(tmp_path / "one", tensors), checkpoint(tmp_path / "two", tuned)
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"far.bias: .* made \(2,\) out of \(4,\)"):
        merge(one, two, lambda a, b, layer: a[:2], {}, tmp_path / "out")


def test_a_file_that_is_no_safetensors_is_named(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="model.safetensors cannot be read"):
        Checkpoint(tmp_path)


def memory(field: str) -> float:
    """MB of this process from /proc: VmRSS is now, VmHWM the peak."""
    line = next(x for x in open("/proc/self/status", encoding="utf-8") if x.startswith(field))
    return int(line.split()[1]) / 1024


def peak_of(run, *arguments) -> float:
    """MB of memory beyond what is in use now."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = memory("VmRSS")
    run(*arguments)
    return memory("VmHWM") - before


def load_everything(folder: Path, out: Path) -> None:
    """The obvious program: both models in memory, then the merge."""
    files = sorted(file.name for file in (folder / "one").glob("*.safetensors"))
    one, two = ({f: load_file(folder / kind / f) for f in files} for kind in ("one", "two"))
    pairs = {n: (before, two[f][n]) for f in files for n, before in one[f].items()}
    layers = {name: name.removesuffix(".weight") for name in pairs}
    cosines = {layers[n]: row_cosine(*p) for n, p in pairs.items()}
    method = chosen("winner_takes_all", {})
    result = {n: method(*p, Layer(layers[n], cosines)) for n, p in pairs.items()}
    out.mkdir()
    for file in files:
        save_file({name: result[name] for name in one[file]}, out / file)


def stream(folder: Path, out: Path) -> None:
    one, two = Checkpoint(folder / "one"), Checkpoint(folder / "two")
    cosines = similarities(one, two, [name.removesuffix(".weight") for name in one.shapes])
    out.mkdir()
    merge(one, two, chosen("winner_takes_all", {}), cosines, out)


def test_memory_is_a_few_layers_not_two_models(tmp_path):
    size, width = 48, 512  # MB of a model of three files; layers of half an MB
    names = [f"layers.{i}.weight" for i in range(size * 2**20 // (2 * width * width))]
    torch.manual_seed(0)
    weights = {name: torch.randn(width, width).half() for name in names}
    moved = {n: t + 0.01 * i * torch.randn_like(t) for i, (n, t) in enumerate(weights.items())}
    for kind, tensors in (("one", weights), ("two", moved)):
        checkpoint(tmp_path / kind, *({n: tensors[n] for n in names[k::3]} for k in range(3)))
    del weights, moved, tensors
    small = peak_of(stream, tmp_path, tmp_path / "small")
    large = peak_of(load_everything, tmp_path, tmp_path / "large")
    assert large > 1.8 * size  # else the measure does not work
    assert small < size / 3  # not even one file
    for file in (tmp_path / "small").glob("*.safetensors"):
        assert file.read_bytes() and all(
            tensor.equal(load_file(tmp_path / "large" / file.name)[name])
            for name, tensor in load_file(file).items()
        )
