# SPDX-License-Identifier: Apache-2.0
"""Stage 3 from folder to folder: what it writes loads, and a failure leaves nothing half done."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from jsonargparse import ArgumentParser
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.diagnosis import ADAPTER_OPTIONS, ADAPTER_WEIGHTS
from hpe_vlm_ros.vlm.families import COGVLM
from hpe_vlm_ros.vlm.model_folder import load_facts
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.configuration import CogVLMConfig, grounding_generalist_17b
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training import stage3_merge
from training.merging import report
from training.merging.stream import ORIGINAL, SAME, TUNED, Outcome
from training.model import fold_adapter
from training.model.lora import add_lora, fold_lora, save_adapter, trainable
from training.supervision.read_outs import READ_OUTS, read_outs_of

RECIPES = sorted((Path(__file__).parents[2] / "config" / "training").glob("*merge*.yaml"))
CHANGED = 2 * 2 + 2 * 4 + 2  # language QKV and dense, the tower's, and one MLP


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders "original" and "tuned" (after LoRA), and the "adapter" that lies between them."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    vision = {"image_size": 32, "patch_size": 16, "hidden_size": 24, "num_hidden_layers": 4}
    vision |= {"num_heads": 3, "intermediate_size": 40}
    config = CogVLMConfig(
        vision_config=vision,
        vocab_size=1280,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    model, processor = CogVLMForCausalLM(config), CogVLMProcessor.embedded(config)
    checkpoint.save(folder / "original", model, processor, torch.float32)
    add_lora(model)
    for number, parameter in enumerate(trainable(model)):
        parameter.data += 0.01 * number * torch.randn_like(parameter)
    save_adapter(folder / "adapter", model)
    fold_lora(model)
    checkpoint.save(folder / "tuned", model, processor, torch.float32)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load_model(folder).state_dict()


def settings_of(arguments: list[str]) -> dict:
    """What the command line makes of its arguments."""
    parser = ArgumentParser()
    parser.add_function_arguments(stage3_merge.main, as_positional=False)
    parser.add_argument("--config", action="config")
    settings = parser.instantiate(parser.parse_args(arguments)).as_dict()
    settings.pop("config")
    return settings


def merged(models: Path, out: Path, *arguments: str, tuned: Path | None = None) -> dict[str, int]:
    tuned = tuned or models / "tuned"
    places = [f"--original={models / 'original'}", f"--tuned={tuned}", f"--out={out}"]
    return stage3_merge.main(**settings_of([*arguments, *places]))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_writes_a_model_that_loads(recipe, models, tmp_path):
    out = tmp_path / "deep" / "out"
    totals = merged(models, out, f"--config={recipe}")
    assert totals[ORIGINAL] >= 1 and totals[ORIGINAL] + totals[TUNED] == CHANGED
    content = json.loads((out / "merge.json").read_text())
    original, tuned, result = weights(models / "original"), weights(models / "tuned"), weights(out)
    for name, layer in content["layers"].items():
        source = original if layer["side"] == ORIGINAL else tuned
        assert result[f"{name}.weight"].equal(source[f"{name}.weight"]), name
    checkpoint.load_processor(out, checkpoint.load_config(out))
    assert not list(tmp_path.glob("deep/*.partial"))


def test_stage_4_finds_the_read_outs_of_stage_2_in_the_merged_model(models, tmp_path):
    run = tmp_path / "stage2"
    shutil.copytree(models / "tuned", run / "model")
    assert read_outs_of(run / "model") is None
    (run / READ_OUTS).write_bytes(b"read-outs")
    merged(models, tmp_path / "stage3", tuned=run / "model")
    kept = read_outs_of(tmp_path / "stage3")
    assert kept == tmp_path / "stage3" / READ_OUTS and kept.read_bytes() == b"read-outs"
    weights(tmp_path / "stage3")  # they are no part of the model


def test_options_of_the_command_line_reach_the_method(models, tmp_path):
    totals = merged(models, tmp_path / "out", "--options.keep", "0.5")
    assert totals[ORIGINAL] == totals[TUNED] == CHANGED // 2
    content = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert content["options"] == {"threshold": 0.95, "lowest": 0.01, "keep": 0.5}
    layers = content["layers"].values()
    low = [layer["similarity"] for layer in layers if layer["side"] == ORIGINAL]
    high = [layer["similarity"] for layer in layers if layer["side"] == TUNED]
    assert max(low) < min(high) < 1
    assert {layer["similarity"] for layer in layers if layer["side"] == SAME} == {1.0}


def test_an_option_of_the_recipe_can_be_overridden():
    places = ["--original=a", "--tuned=b", "--out=c", "--options.keep=0.3"]
    assert settings_of([f"--config={RECIPES[1]}", *places])["options"] == {
        "keep": 0.3,
        "lowest": 0.01,
    }


def test_an_adapter_is_as_good_as_the_model_it_makes(models, tmp_path):
    merged(models, tmp_path / "model", "--options.keep=0.5")
    merged(models, tmp_path / "adapter", "--options.keep=0.5", tuned=models / "adapter")
    one, two = weights(tmp_path / "model"), weights(tmp_path / "adapter")
    assert all(two[name].equal(tensor) for name, tensor in one.items())


def test_an_adapter_of_another_model_is_refused(models, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for file in (models / "adapter").iterdir():
        (odd / file.name).write_bytes(file.read_bytes().replace(b"layers.3.mlp", b"layers.9.mlp"))
    with pytest.raises(ValueError, match=r"changes model.vision.transformer.layers.9.mlp.fc1.bias"):
        merged(models, tmp_path / "out", tuned=odd)


def test_an_adapter_of_another_base_is_refused(models, tmp_path):
    """By shape, and by what it says of the weights that it was trained on."""
    odd = shutil.copytree(models / "adapter", tmp_path / "odd")
    options = json.loads((odd / ADAPTER_OPTIONS).read_text())
    mark = checkpoint.fingerprint(models / "original")
    (odd / ADAPTER_OPTIONS).write_text(json.dumps(options | {"base": mark}))
    merged(models, tmp_path / "fits", tuned=odd)
    (odd / ADAPTER_OPTIONS).write_text(json.dumps(options | {"base": "01234567"}))
    with pytest.raises(
        ValueError, match=rf"trained on other weights \(01234567\).*\({mark}\): give"
    ):
        merged(models, tmp_path / "out", tuned=odd)
    tensors = load_file(odd / ADAPTER_WEIGHTS)
    name = next(name for name in sorted(tensors) if name.endswith("lora_B.weight"))
    tensors[name] = torch.zeros(len(tensors[name]) + 3, tensors[name].shape[1])
    save_file(tensors, odd / ADAPTER_WEIGHTS)
    weight = name.replace("lora_B.weight", "weight")
    with pytest.raises(ValueError, match=rf"changes {weight} of shape \(.*\); in .*original it is"):
        merged(models, tmp_path / "out", tuned=odd)


def test_a_broken_adapter_is_named(models, tmp_path):
    odd = shutil.copytree(models / "adapter", tmp_path / "odd")
    tensors = load_file(odd / ADAPTER_WEIGHTS)
    name = next(name for name in tensors if name.endswith("lora_B.weight"))
    tensors[name][0, 0] = torch.nan
    save_file(tensors, odd / ADAPTER_WEIGHTS)
    module = name.removesuffix(".lora_B.weight")
    with pytest.raises(ValueError, match=rf"odd: {module}.weight has values that are not finite"):
        merged(models, tmp_path / "out", tuned=odd)


def test_an_adapter_of_peft_is_folded_by_the_command_that_is_given(models, tmp_path):
    """Twice the update of an own adapter would be another model: peft's is an ordinary LoRA."""
    model = checkpoint.load_model(models / "original")
    targets = ["language_expert_dense", "attention.dense"]
    adapted = get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=targets))
    torch.manual_seed(1)
    for parameter in trainable(adapted):
        parameter.data = 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(tmp_path / "my adapter")
    with pytest.raises(ValueError, match="holds a peft adapter, .* fold it first: python") as error:
        merged(models, tmp_path / "out", tuned=tmp_path / "my adapter")
    module, *arguments = shlex.split(str(error.value).split("python -m ")[1])
    assert module == "training.model.fold_adapter"
    assert arguments[::2] == ["--original", "--adapter", "--out"]
    fold_adapter.main(*map(Path, arguments[1::2]))
    folded = tmp_path / "my adapter-folded"
    before, after = weights(models / "original"), weights(folded)
    changed = {name for name, tensor in after.items() if not tensor.equal(before[name])}
    assert {name.split(".")[-2] for name in changed} == {"language_expert_dense", "dense"}
    state = load_file(tmp_path / "my adapter" / "adapter_model.safetensors")
    name = "model.layers.1.self_attn.language_expert_dense"
    a, b = (state[f"base_model.model.{name}.lora_{letter}.weight"] for letter in "AB")
    torch.testing.assert_close(after[f"{name}.weight"], before[f"{name}.weight"] + 2 * b @ a)
    merged(models, tmp_path / "out", tuned=folded)
    for load in (checkpoint.load_model, load_facts):
        with pytest.raises(CheckpointError, match="fold it first: python .*--original ORIGINAL"):
            load(tmp_path / "my adapter")


def test_a_pickled_adapter_is_refused(models, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="pickled ones can run code"):
        fold_adapter.main(models / "original", tmp_path / "adapter", tmp_path / "out")


def test_weights_of_another_configuration_are_refused(models, tmp_path):
    odd = tmp_path / "odd"
    shutil.copytree(models / "original", odd)
    config = json.loads((odd / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (odd / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"odd lacks model.layers.2.self_attn.*config.json calls"):
        stage3_merge.main(odd, models / "tuned", tmp_path / "out")


def test_an_interrupted_merge_leaves_no_model_and_can_be_repeated(models, tmp_path, monkeypatch):
    def draw_and_die(*args):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(report, "draw", draw_and_die)
        with pytest.raises(KeyboardInterrupt):
            merged(models, out)
    assert not out.exists() and (tmp_path / "out.partial").is_dir()
    (tmp_path / "out.partial" / "rubbish").touch()
    merged(models, out)
    assert (out / checkpoint.WEIGHTS).is_file() and not (out / "rubbish").exists()
    assert not (tmp_path / "out.partial").exists()


def test_an_existing_folder_is_never_written_to(models):
    with pytest.raises(FileExistsError, match="tuned exists already: delete it or name another"):
        merged(models, models / "tuned")


def test_histogram_counts_every_projection():
    cosines = {f"layer{i}": 0.9 + 0.001 * i for i in range(100)}
    lines = report.histogram(cosines).splitlines()
    bars = [line.split() for line in lines[1:-1]]
    assert sum(int(words[3]) for words in bars) == 100
    assert [words[0] for words in bars][:2] == ["0.900000", "0.909900"]
    assert "25% below 0.925000" in lines[-1]
    assert report.histogram({}) == "no projection differs between the two models"


def test_picture_shows_layers_that_changed(tmp_path):
    tower, decoder = "model.vision.transformer.layers", "model.layers"
    became = {f"{tower}.{i}.attention.dense": Outcome(0.9 + 0.01 * i, TUNED) for i in range(9)}
    became |= {f"{decoder}.{i}.self_attn.vision_expert_dense": Outcome(1, SAME) for i in range(9)}
    assert list(report.by_tower(became)) == ["vision tower"]
    became |= {"lm_head": Outcome(0.5, ORIGINAL)}
    assert report.by_tower(became)["other"] == {"lm_head": {0: became["lm_head"]}}
    report.draw(tmp_path / "map.png", became)
    picture = cv2.imread(str(tmp_path / "map.png"))[:, :, ::-1].reshape(-1, 3)
    seen = {
        tuple(colour) for colour in torch.unique(torch.from_numpy(picture.copy()), dim=0).tolist()
    }
    assert {(0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)} <= seen


def test_all_projections_of_the_17b_model_are_compared(tmp_path):
    grounding_generalist_17b().save_pretrained(tmp_path)
    names = stage3_merge.projections(tmp_path, COGVLM)
    assert len(names) == len(set(names)) == 32 * 10 + 63 * 4 + 4 + 1
