# SPDX-License-Identifier: Apache-2.0
"""The recipes and the FSDP settings for CogVLM-17B, as far as a machine without GPUs can tell."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from jsonargparse import ArgumentParser
from safetensors.torch import load_file
from torch import distributed
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import get_scheduler

from hpe_vlm_ros.tasks import gesture
from hpe_vlm_ros.vlm.processing import CogVLMProcessor
from hpe_vlm_ros.vlm.pytorch import checkpoint
from hpe_vlm_ros.vlm.pytorch.configuration import grounding_generalist_17b
from hpe_vlm_ros.vlm.pytorch.modeling import CogVLMForCausalLM
from training import stage1_pretrain, stage2_finetune, stage4_rehearse, tell_gestures
from training.data import telling
from training.data.labels import read_labels, write_labels
from training.data.sample import Thing
from training.loop.trainer import Schedule
from training.model.lora import LoraOptions, adapter_state, add_lora, save_adapter, trainable

ROOT = Path(__file__).parents[2]
FSDP = ROOT / "config" / "accelerate" / "two_gpus_80gb.yaml"
RECIPES = {  # and pictures learnt from in all
    "cogvlm17b_stage1.yaml": (stage1_pretrain, 80_000),
    "cogvlm17b_stage2.yaml": (stage2_finetune, 200_000),  # 3.1 epochs of 64,187 heads
    "cogvlm17b_stage4.yaml": (stage4_rehearse, 40_000),  # half an epoch
}

MORE = {  # of other questions than the paper's
    "cogvlm17b_telling.yaml": "max_telling",
    "cogvlm17b_facing.yaml": "max_facing",
    "cogvlm17b_points.yaml": "max_points",
    "cogvlm17b_things.yaml": "max_points",
}


def wrapped_classes():
    return yaml.safe_load(FSDP.read_text())["fsdp_config"][
        "fsdp_transformer_layer_cls_to_wrap"
    ].split(",")


def test_accelerate_reads_the_settings():
    config = load_config_from_file(str(FSDP))
    assert config.num_processes == 2 and config.distributed_type == "FSDP"
    assert config.mixed_precision == "bf16" and config.fsdp_config["fsdp_version"] == 2


@pytest.fixture(scope="module")
def full_size():
    """CogVLM-17B without its memory."""
    with torch.device("meta"):
        return CogVLMForCausalLM(grounding_generalist_17b()).to(torch.bfloat16)


def test_the_wrapped_classes_hold_nearly_all_of_the_full_model(full_size):
    """What is outside of them is gathered for the whole step on every GPU."""
    inside = {
        id(p)
        for module in full_size.modules()
        if type(module).__name__ in wrapped_classes()
        for p in module.parameters()
    }
    outside = sum(p.numel() for p in full_size.parameters() if id(p) not in inside)
    assert outside / sum(p.numel() for p in full_size.parameters()) < 0.03


def settings(recipe, *more):
    parser = ArgumentParser()
    train = RECIPES.get(recipe, (stage2_finetune,))[0].train
    parser.add_function_arguments(train, as_positional=False)
    parser.add_argument("--config", action="config")
    parsed = parser.parse_args(["--config", str(ROOT / "config" / "training" / recipe), *more])
    options = parser.instantiate(parsed).as_dict()
    options.pop("config")
    return options


def places(recipe, data, out, base):
    found = ["--data", f"[{data}]", "--validation", str(data), "--out", str(out)]
    alone = recipe in MORE or recipe == "cogvlm17b_stage2.yaml"
    rehearsed = [] if alone else ["--rehearsal", f"[{data}]"]
    return [*found, *rehearsed, "--base", str(base)]


def test_every_full_size_recipe_is_tried():
    found = {path.name for path in (ROOT / "config" / "training").glob("cogvlm17b*.yaml")}
    assert found - {"cogvlm17b_stage3_merge.yaml"} == set(RECIPES) | set(MORE)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipe_is_the_papers(recipe, tmp_path):
    options = settings(recipe, *places(recipe, tmp_path, tmp_path, tmp_path))
    schedule, data_options = options["schedule"], options["data_options"]
    assert schedule.steps * data_options.batch_size == RECIPES[recipe][1]
    assert schedule.bf16 and schedule.activation_checkpointing
    assert options["lora"] == LoraOptions() and not options["loss_options"].image
    assert data_options.packing.detection == (recipe == "cogvlm17b_stage1.yaml")
    assert data_options.unit == "head" and data_options.augmentation is None
    assert schedule.arguments(tmp_path).adam_beta2 == 0.95


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_rate_falls_to_a_tenth_by_a_cosine(recipe, tmp_path):
    schedule = settings(recipe, *places(recipe, tmp_path, tmp_path, tmp_path))["schedule"]
    arguments = schedule.arguments(tmp_path)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=schedule.rate)
    course = get_scheduler(
        arguments.lr_scheduler_type,
        optimiser,
        arguments.warmup_steps,
        schedule.steps,
        scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
    )
    (rate,) = course.lr_lambdas
    assert schedule.warmup == 0.02 * schedule.steps
    assert [rate(0), rate(schedule.warmup)] == [0, 1]
    middle = (schedule.warmup + schedule.steps) // 2
    assert rate(middle) == pytest.approx(0.55, abs=1e-3)
    assert rate(schedule.steps) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="schedule.decay is 'step'; it must be linear or cosine"):
        Schedule(decay="step").arguments(tmp_path)


def test_the_trained_weights_are_the_papers(full_size):
    add_lora(full_size, LoraOptions())
    assert sum(p.numel() for p in trainable(full_size)) == 515_123_968
    assert {p.dtype for p in trainable(full_size)} == {torch.float32}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipe_runs_two_steps_on_tiny_layers(
    recipe, scenes, full_size_layers, tmp_path, capsys
):
    base = tmp_path / "base"
    model = CogVLMForCausalLM(full_size_layers).to(torch.bfloat16)
    checkpoint.save(base, model, CogVLMProcessor.embedded(full_size_layers), torch.bfloat16)
    quick = ["--schedule.steps=2", "--schedule.workers=0", "--schedule.save_every=2"]
    quick += ["--data_options.batch_size=2", "--threads=1", "--schedule.warmup=0"]
    options = settings(recipe, *places(recipe, scenes, tmp_path / "run", base), *quick)
    RECIPES[recipe][0].train(**options)
    output = capsys.readouterr().out.splitlines()
    heads, papers_heads = next(line for line in output if "about a head" in line).split()[-2:]
    assert (heads, papers_heads) == ("5", "94,795" if "stage1" in recipe else "64,187")
    trained = load_file(next((tmp_path / "run" / "model").glob("*.safetensors")))
    assert {t.dtype for t in trained.values()} == {torch.float32}
    moved = [t for name, t in trained.items() if name.endswith("lora_B.weight") and t.any()]
    assert moved  # they start at zero


def things(scenes, folder):
    """Pictures of scenes, each with a thing whose points have names of known words."""
    points = np.array([[10.0, 10, 2], [20, 15, 1], [0, 0, 0]])
    names, told = ("left side", "top", "bottom"), ("beside the top", "", "")
    shown = Thing("glasses", np.array([2.0, 2, 40, 30]), names, points, told)
    samples = [
        replace(sample, heads=[], all_heads=False, things=[shown]) for sample in read_labels(scenes)
    ]
    write_labels(folder / "labels.jsonl", samples)


@pytest.mark.parametrize("recipe", MORE)
def test_recipes_for_more_questions_run_on_tiny_layers(
    recipe, scenes, with_bodies, full_size_layers, tmp_path
):
    """The questions are asked, and adapters move; the vocabulary is not the full model's."""
    base, data = tmp_path / "base", tmp_path / "told"
    if recipe == "cogvlm17b_points.yaml":
        data = with_bodies
    elif recipe == "cogvlm17b_things.yaml":
        things(scenes, data)
    else:
        telling.main(scenes, tmp_path / "talk")
        tell_gestures.main(tmp_path / "talk", data, each=1)
        answers = [one.answer for sample in read_labels(data) for one in sample.instructions]
        gestures = [gesture.TASK.parse(answer).value for answer in answers if "gesture" in answer]
        assert len(set(gestures)) == len(gestures) == len(read_labels(data))
    model = CogVLMForCausalLM(full_size_layers).to(torch.bfloat16)
    checkpoint.save(base, model, CogVLMProcessor.embedded(full_size_layers), torch.bfloat16)
    quick = ["--schedule.steps=2", "--schedule.workers=0", "--schedule.save_every=2"]
    quick += ["--data_options.batch_size=2", "--threads=1", "--schedule.warmup=0"]
    options = settings(recipe, *places(recipe, data, tmp_path / "run", base), *quick)
    packing = options["data_options"].packing
    assert getattr(packing, MORE[recipe]) > 0 and not packing.detection
    stage2_finetune.train(**options)
    trained = load_file(next((tmp_path / "run" / "model").glob("*.safetensors")))
    assert [t for name, t in trained.items() if name.endswith("lora_B.weight") and t.any()]


@pytest.fixture
def group(tmp_path):
    """A process group of one process."""
    store = f"file://{tmp_path / 'store'}"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_adapters_learn_and_are_saved_from_shards(group, full_size_layers, tmp_path):
    """Frozen bfloat16 and learning float32 weights in one shard, as with --lora at full size."""
    model = CogVLMForCausalLM(full_size_layers).to(torch.bfloat16)
    add_lora(model)
    before = {name: tensor.clone() for name, tensor in adapter_state(model).items()}
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16)
    names = wrapped_classes()
    layers = [m for m in model.modules() if type(m).__name__ in names]
    assert len(layers) == 5
    for module in (*layers, model):
        fully_shard(module, mp_policy=policy)
    optimiser = torch.optim.AdamW(trainable(model), lr=0.01)
    ids = torch.arange(6)[None] + 20
    for _ in range(2):
        logits = model(input_ids=ids).logits
        logits.float().logsumexp(-1).sum().backward()
        optimiser.step()
    save_adapter(tmp_path / "adapter", model)
    saved = load_file(next((tmp_path / "adapter").glob("*.safetensors")))
    assert saved.keys() == before.keys()
    name = "model.layers.0.self_attn.language_expert_dense.lora_B.weight"
    assert saved[name].shape == before[name].shape and saved[name].any()


def test_the_classes_to_wrap_exist():
    room = "hpe_vlm_ros.vlm.pytorch"
    modules = [importlib.import_module(f"{room}.{n}") for n in ("language", "vision")]
    assert all(any(hasattr(m, name) for m in modules) for name in wrapped_classes())
