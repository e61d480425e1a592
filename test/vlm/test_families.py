# SPDX-License-Identifier: Apache-2.0
"""Every family, with random weights: what it says is valid, exact, and about the right place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_families import CHAT_FAMILIES, CLASSES, write

from hpe_vlm_ros.answers import DETECTION_PROMPT, format_boxes, grid_box, pose_prompt
from hpe_vlm_ros.perceiver import HeadPerceiver
from hpe_vlm_ros.vlm import CheckpointError
from hpe_vlm_ros.vlm.decoding.engine import Engine
from hpe_vlm_ros.vlm.families import FAMILIES, family_of
from hpe_vlm_ros.vlm.families.backend import ChatBackend
from hpe_vlm_ros.vlm.families.weights import load_model
from hpe_vlm_ros.vlm.processing import CogVLMProcessor

Image = np.ndarray
BOXES = [(100, 200, 300, 400), (150, 250, 350, 450), (500, 100, 720, 480)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder of a family, made once."""
    root = tmp_path_factory.mktemp("families")

    def folder(family: str) -> Path:
        place = root / family
        return place if place.exists() else write(place, family)

    return folder


@pytest.fixture(scope="module")
def loaded(folders: Callable[[str], Path]) -> Callable[[str], HeadPerceiver]:
    """A perceiver of a family, made once."""
    known: dict[str, HeadPerceiver] = {}

    def load(family: str) -> HeadPerceiver:
        if family not in known:
            known[family] = HeadPerceiver.load(folders(family), "cpu", max_heads=3)
        return known[family]

    return load


def picture(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


each = pytest.mark.parametrize("family", CHAT_FAMILIES)


@each
def test_answers_are_valid_on_random_weights(
    family: str, loaded: Callable[[str], HeadPerceiver]
) -> None:
    perceiver = loaded(family)
    for seed, size in enumerate([(48, 160), (130, 70), (64, 64)]):
        image = picture(seed, *size)
        look = perceiver.look(image)
        for detection in look.detect(3):
            x0, y0, x1, y1 = detection.box
            assert 0 <= x0 < x1 <= 999 and 0 <= y0 < y1 <= 999 and 0 <= detection.score <= 1
        poses = look.estimates(BOXES)
        assert len(poses) == 3 and all(-180 < a <= 180 for pose in poses for a in pose.written)
        sums = np.stack([pose.probabilities.sum(axis=1) for pose in poses])
        assert sums == pytest.approx(1)


def inputs(perceiver: HeadPerceiver, image: Image, prompt: str) -> dict[str, Any]:
    """One question as transformers takes it: positions and mask are left to it."""
    engine: Any = perceiver._engine
    shown = engine.processor.pixels(image)
    before, _ = engine.processor.prefix(shown)
    ids = torch.tensor([[*before, *engine.processor.encode_prompt(prompt)]])
    named = {k: torch.from_numpy(v) for k, v in shown.items() if k not in ("rows", "cols")}
    image_token = engine.backend.model.config.image_token_id
    if "image_grid_thw" in named:
        named["mm_token_type_ids"] = (ids == image_token).long()
    return named | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@each
def test_free_answers_are_those_of_generate(
    family: str, loaded: Callable[[str], HeadPerceiver]
) -> None:
    perceiver, image, count = loaded(family), picture(3, 60, 150), 6
    prompts = [pose_prompt(box) for box in BOXES] + [DETECTION_PROMPT]
    model: Any = perceiver._engine.backend.model
    grammars = [perceiver._engine.grammar.free(count) for _ in prompts]
    said = perceiver.look(image).ask(prompts, grammars)
    for prompt, answer in zip(prompts, said, strict=True):
        given = inputs(perceiver, image, prompt)
        out = model.generate(**given, max_new_tokens=count, do_sample=False, pad_token_id=0)
        assert answer.tokens == out[0, given["input_ids"].shape[1] :].tolist()


@each
def test_one_prefix_says_what_a_prefix_for_each_question_says(
    family: str, loaded: Callable[[str], HeadPerceiver]
) -> None:
    perceiver, image = loaded(family), picture(4, 90, 70)
    pixels = perceiver._engine.processor.pixels(image)
    together = perceiver._engine.look(pixels).estimates(BOXES)
    alone = perceiver._engine.look(pixels, reuse_prefix=False).estimates(BOXES)
    for one, other in zip(together, alone, strict=True):
        assert one.written == other.written
        assert one.probabilities == pytest.approx(other.probabilities, abs=2e-5)


@each
def test_two_cameras_in_turns_get_what_fresh_models_say(
    family: str, folders: Callable[[str], Path], loaded: Callable[[str], HeadPerceiver]
) -> None:
    """Pictures of different shapes have text at different positions behind them."""
    images = [picture(5, 48, 160), picture(6, 150, 64)]
    fresh = [
        HeadPerceiver.load(folders(family), "cpu").look(image).estimates(BOXES) for image in images
    ]
    shared = loaded(family)
    wide, tall = (shared.look(image) for image in images)
    first = [wide.detect(2), tall.detect(2)]  # both prefixes are there from now on
    for _ in range(2):
        for look, expected in ((wide, fresh[0]), (tall, fresh[1])):
            for pose, known in zip(look.estimates(BOXES), expected, strict=True):
                assert pose.probabilities == pytest.approx(known.probabilities, abs=2e-5)
    assert [wide.detect(2), tall.detect(2)] == first


@pytest.mark.parametrize("fails_at", [0, 1, 3])  # of the picture's forward, the first, a later one
@pytest.mark.parametrize("family", CHAT_FAMILIES)
def test_the_frame_after_one_without_memory_is_answered_as_if_nothing_had_been(
    family: str, fails_at: int, loaded: Callable[[str], HeadPerceiver]
) -> None:
    perceiver, boxes = loaded(family), [(10.0, 10.0, 40.0, 40.0)]
    image = picture(10, 60, 80)
    expected = [(head.yaw, head.pitch, head.roll) for head in perceiver.poses(image, boxes)]
    calls = []

    def run_out(*_: object) -> None:
        calls.append(1)
        if len(calls) > fails_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    model: Any = perceiver._engine.backend.model  # type: ignore[attr-defined]
    hook = model.model.register_forward_pre_hook(run_out)
    try:
        with pytest.raises(RuntimeError, match="out of memory on cpu behind .* lower max_heads"):
            perceiver(picture(13, 70, 60))
    finally:
        hook.remove()
    poses = [(head.yaw, head.pitch, head.roll) for head in perceiver.poses(image, boxes)]
    assert poses == expected


@each
def test_a_draft_changes_no_answer(family: str, loaded: Callable[[str], HeadPerceiver]) -> None:
    perceiver, image = loaded(family), picture(7, 80, 120)
    plain = perceiver.look(image).detect(3)
    right = [detection.box for detection in plain]
    for draft in (right, [(10, 20, 30, 40)], [*right[:1], (1, 2, 3, 4)]):
        drafted = perceiver.look(image).detect(3, draft)
        assert [d.box for d in drafted] == right
        assert [d.score for d in drafted] == pytest.approx([d.score for d in plain], abs=1e-4)


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen3_5"])
@pytest.mark.parametrize("size", [(48, 160), (150, 64), (33, 33)])
def test_positions_are_those_of_transformers(
    family: str, size: tuple[int, int], loaded: Callable[[str], HeadPerceiver]
) -> None:
    perceiver, image = loaded(family), picture(8, *size)
    engine: Any = perceiver._engine
    given = inputs(perceiver, image, DETECTION_PROMPT)
    expected, delta = engine.backend.model.model.get_rope_index(
        given["input_ids"], given["mm_token_type_ids"], given["image_grid_thw"]
    )
    ids, own = engine.processor.prefix(engine.processor.pixels(image))
    assert own.tolist() == expected[:, 0, : len(ids)].tolist()
    assert own.max() + 1 == len(ids) + int(delta)


@pytest.mark.parametrize("size", [(48, 160), (150, 64), (70, 70)])
def test_tiles_are_written_as_transformers_writes_them(
    size: tuple[int, int], loaded: Callable[[str], HeadPerceiver]
) -> None:
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    processor: Any = loaded("smolvlm2")._engine.processor
    shown = processor.pixels(picture(9, *size))
    rows, columns = int(shown["rows"].ravel()[0]), int(shown["cols"].ravel()[0])
    told = get_image_prompt_string(
        rows, columns, 4, "<fake_token_around_image>", "<image>", "<global-img>"
    )
    assert processor.family.before(shown, processor.config) == f"<|im_start|>User:{told}"
    assert shown["pixel_values"].shape[1] == rows * columns + 1


# A square at a known place


class Onlooker:
    """Stands for a model that sees: finds the red square in the pixels that a model of the family
    is given, and names its place as the answer wants it."""

    name, device, packs, at_once, lookahead = "onlooker", "cpu", True, 1, None

    def __init__(self, processor: Any):
        self.processor = processor

    def encode(self, pixels: Any) -> Any:
        canvas = seen_by(self.processor, pixels)
        red = canvas[0] - canvas[1] > 1.0  # normalised, so a level is some hundredths
        (rows, columns), (height, width) = np.nonzero(red), red.shape
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        cells = grid_box([float(v) for v in box], width, height)
        encode, tokenizer = self.processor.encode, self.processor.tokenizer
        answer = [
            *encode(self.processor.lead + format_boxes([cells])),
            tokenizer.eos_token_id,
        ]
        return Said([*self.processor.encode_prompt(DETECTION_PROMPT), *answer], len(tokenizer))


class Said:
    """A cache whose next token is known."""

    presence, length, start = None, 1, 1

    def __init__(self, tokens: list[int], vocabulary: int):
        self.tokens, self.vocabulary = tokens, vocabulary

    def append(self, ids: Any, positions: Any, mask: Any, wanted: Any) -> Any:
        self.length += len(ids)
        logits = np.zeros((len(wanted), self.vocabulary), np.float32)
        for row, place in enumerate(positions[wanted]):
            if place < len(self.tokens):
                logits[row, self.tokens[place]] = 50.0
        return logits

    def shrink(self, length: int) -> None:
        self.length = length


def seen_by(processor: Any, pixels: Any) -> Image:
    """The picture (3, H, W) as it is spread over what the model takes, put together again."""
    if isinstance(pixels, np.ndarray):  # CogVLM: one square
        return pixels
    values = pixels["pixel_values"]
    if "rows" in pixels:  # SmolVLM2: tiles, and the whole
        rows, columns = int(pixels["rows"].ravel()[0]), int(pixels["cols"].ravel()[0])
        side = values.shape[-1]
        canvas = np.zeros((3, rows * side, columns * side))
        for number in range(rows * columns):
            y, x = divmod(number, columns)
            part = values[0, number]
            canvas[:, y * side : (y + 1) * side, x * side : (x + 1) * side] = part
        return canvas
    _, rows, columns = pixels["image_grid_thw"][0]  # Qwen: patches, in blocks of 2 x 2
    canvas = np.zeros((3, rows * 16, columns * 16))
    places = [
        (2 * block_row + row, 2 * block_column + column)
        for block_row in range(rows // 2)
        for block_column in range(columns // 2)
        for row in range(2)
        for column in range(2)
    ]
    for patch, (row, column) in zip(values, places, strict=True):
        once = patch.reshape(3, 2, 16, 16)[:, 0]
        canvas[:, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = once
    return canvas


def drawn(height: int, width: int, box: tuple[int, int, int, int]) -> Image:
    image = np.full((height, width, 3), 120, np.uint8)
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] = (250, 10, 10)
    return image


@pytest.mark.parametrize("family", ["cogvlm", *CHAT_FAMILIES])
@pytest.mark.parametrize(
    "height, width, box",
    [(180, 320, (200, 40, 280, 120)), (320, 180, (20, 220, 100, 300)), (90, 320, (8, 10, 60, 80))],
)
def test_a_square_comes_back_in_its_own_pixels(
    family: str,
    height: int,
    width: int,
    box: tuple[int, int, int, int],
    loaded: Callable[[str], HeadPerceiver],
    tiny_config: Callable[..., Any],
) -> None:
    if family == "cogvlm":
        config = tiny_config(vision_config={"image_size": 160})
        processor: Any = CogVLMProcessor.embedded(config)
    else:
        processor = loaded(family)._engine.processor
    backend: Any = Onlooker(processor)
    (head,) = HeadPerceiver(Engine(backend, processor)).look(drawn(height, width, box)).detect(3)
    found = [v / 1000 * side for v, side in zip(head.box, (width, height) * 2, strict=True)]
    # a pixel of what the model sees, about 160 of them across, and a cell of the answer's grid
    assert np.abs(np.subtract(found, box)).max() <= 1.5 * max(width, height) / 100


# What cannot be used


def changed(folder: Path, out: Path, **fields: Any) -> Path:
    """A copy whose config.json has other fields."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    for name, value in fields.items():
        part, _, field = name.rpartition("__")
        (config[part] if part else config)[field] = value
    (out / "config.json").write_text(json.dumps(config))
    return out


def test_an_unknown_family_names_those_that_are_known(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(folders("qwen3_vl"), tmp_path / "m", model_type="paligemma")
    with pytest.raises(CheckpointError) as caught:
        HeadPerceiver.load(folder)
    assert "'paligemma'" in str(caught.value) and "docs/families.md" in str(caught.value)
    assert all(family.name in str(caught.value) for family in FAMILIES)
    assert family_of({}, "folder").name == "CogVLM"


@each
def test_weights_of_another_size_than_config_are_named(
    family: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(folders(family), tmp_path / "m", text_config__intermediate_size=80)
    with pytest.raises(CheckpointError, match="has shape .* but config.json calls for"):
        HeadPerceiver.load(folder, "cpu")
    folder = changed(folders(family), tmp_path / "n", text_config__num_hidden_layers=3)
    if family == "qwen3_5":
        config = json.loads((folder / "config.json").read_text())
        config["text_config"]["layer_types"].append("full_attention")
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="lacks .* tensors .* incomplete"):
        HeadPerceiver.load(folder, "cpu")


def test_remote_code_is_never_run(folders: Callable[[str], Path], tmp_path: Path) -> None:
    sentinel = tmp_path / "ran"
    mapped = {"AutoConfig": "evil.Config", CLASSES["qwen3_vl"]: "evil.Model"}
    folder = changed(folders("qwen3_vl"), tmp_path / "m", auto_map=mapped)
    (folder / "evil.py").write_text(f"open({str(sentinel)!r}, 'w')\n")
    HeadPerceiver.load(folder, "cpu")
    assert not sentinel.exists()


@each
def test_tokens_that_the_family_needs_are_missed_by_name(
    family: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(folders(family), tmp_path / "m")
    words = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(words.replace("<|im_start|>", "<|im_begin|>"))
    with pytest.raises(CheckpointError, match=r"lacks <\|im_start\|>"):
        HeadPerceiver.load(folder, "cpu")


def test_a_tokenizer_that_joins_digits_is_refused_by_name(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(folders("qwen3_vl"), tmp_path / "m")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["11"] = 300  # two digits in one token, as GPT-2 has them
    content["model"]["merges"] = [["1", "1"]]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="splits numbers in an unknown way"):
        HeadPerceiver.load(folder, "cpu")


def test_a_picture_that_is_too_narrow_is_refused_by_name(
    loaded: Callable[[str], HeadPerceiver],
) -> None:
    for family in ("qwen3_vl", "qwen3_5"):
        with pytest.raises(ValueError, match="2010 x 10 pixels is too narrow for Qwen3.*cut it"):
            loaded(family)(picture(0, 10, 2010))
    loaded("smolvlm2")(picture(0, 10, 2010))  # stretched to tiles


@each
def test_a_picture_longer_than_the_context_is_refused_by_name(
    family: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(folders(family), tmp_path / "m", text_config__max_position_embeddings=520)
    with pytest.raises(ValueError, match="the picture takes .* tokens"):
        HeadPerceiver.load(folder, "cpu")(picture(0, 90, 160))


def test_what_else_cannot_be_used(folders: Callable[[str], Path], tmp_path: Path) -> None:
    folder = changed(folders("qwen3_vl"), tmp_path / "m")
    with pytest.raises(CheckpointError, match="not exported for ONNX Runtime"):
        HeadPerceiver.load(folder, "cpu", backend="onnx")
    with pytest.raises(CheckpointError, match='device "cuda:9" cannot be used'):
        HeadPerceiver.load(folder, "cuda:9")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle format only"):
        HeadPerceiver.load(folder, "cpu")


@each
def test_published_weights_warn_of_their_accuracy_and_explain_the_formats(
    family: str, loaded: Callable[[str], HeadPerceiver], tmp_path: Path
) -> None:
    published = HeadPerceiver.load(write(tmp_path / "m", family, taught=False), "cpu", max_heads=2)
    assert "adapter:=" in published.warning()
    assert loaded(family).warning() == ""
    processor: Any = published._engine.processor
    taught: Any = loaded(family)._engine.processor
    for prompt in (DETECTION_PROMPT, pose_prompt(BOXES[0])):
        text = processor.decode(processor.encode_prompt(prompt))
        assert "three digits" in text and text.startswith(prompt)
        assert "three digits" not in taught.decode(taught.encode_prompt(prompt))
    published(picture(0, 64, 96))


# LoRA adapters


@pytest.fixture(scope="module")
def adapters(
    folders: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """An adapter of a family as peft saves it, with random matrices."""
    root = tmp_path_factory.mktemp("adapters")

    def adapter(family: str) -> Path:
        place = root / family
        if not place.exists():
            adapted(folders(family), family).save_pretrained(str(place))
        return place

    return adapter


def adapted(folder: Path, family: str, rank: int = 3) -> Any:
    """The model with random adapters on the layers that the family adapts."""
    from peft import LoraConfig, get_peft_model

    base = load_model(folder, known(family), "cpu")
    options = LoraConfig(r=rank, lora_alpha=6, target_modules=known(family).adapted)
    torch.manual_seed(5)
    model = get_peft_model(base, options)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def known(family: str) -> Any:
    kinds = {"qwen3_vl": "qwen3_vl", "qwen3_5": "qwen3_5", "smolvlm2": "smolvlm"}
    return family_of({"model_type": kinds[family]}, "")


@each
def test_an_adapter_says_what_it_says_unmerged(
    family: str,
    folders: Callable[[str], Path],
    adapters: Callable[[str], Path],
    loaded: Callable[[str], HeadPerceiver],
) -> None:
    image = picture(11, 60, 110)
    live = adapted(folders(family), family).get_base_model()
    processor: Any = loaded(family)._engine.processor
    expected = Engine(ChatBackend(live, processor), processor)
    unmerged = expected.look(processor.pixels(image)).estimates(BOXES)
    perceiver = HeadPerceiver.load(folders(family), "cpu", adapter=adapters(family))
    merged = perceiver.look(image).estimates(BOXES)
    plain = loaded(family).look(image).estimates(BOXES)
    for one, other, before in zip(merged, unmerged, plain, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert np.abs(one.probabilities - before.probabilities).max() > 1e-2
    assert perceiver.model_id.startswith(loaded(family).model_id + "+")
    assert perceiver.warning() == ""


@each
def test_adapters_sit_on_the_projections_of_decoder_and_tower(
    family: str, folders: Callable[[str], Path]
) -> None:
    model = load_model(folders(family), known(family), "cpu")
    linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    left = [name for name in linear if not known(family).is_adapted(name)]
    assert all("merger" in n or "connector" in n or n == "lm_head" for n in left), left
    assert any("vision" in n or "visual" in n for n in linear if known(family).is_adapted(n))


def test_adapters_that_cannot_be_used(
    folders: Callable[[str], Path], adapters: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, adapter = folders("qwen3_vl"), adapters("qwen3_vl")

    def load(place: Path, base: Path = folder) -> None:
        HeadPerceiver.load(base, "cpu", adapter=place)

    with pytest.raises(CheckpointError, match="holds no LoRA adapter"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="which .* lacks: give the model that it was trained"):
        load(adapters("smolvlm2"))
    other = shutil.copytree(adapter, tmp_path / "other")
    (other / "hpe_vlm.json").write_text(json.dumps({"base": "01234567"}))
    with pytest.raises(CheckpointError, match="was trained on weights 01234567, but .* holds"):
        load(other)
    (other / "hpe_vlm.json").unlink()
    options = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(options | {"peft_type": "LOHA"}))
    with pytest.raises(CheckpointError, match="of type LOHA: only LORA"):
        load(other)
    large = changed(folder, tmp_path / "large", text_config__intermediate_size=80)
    model = transformers.AutoModelForImageTextToText.from_config(
        transformers.AutoConfig.from_pretrained(large)
    )
    model.save_pretrained(large)
    with pytest.raises(CheckpointError, match="has 128 where .* has 80: .* another size"):
        load(adapter, large)
    pickled = shutil.copytree(adapter, tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="has no adapter_model.safetensors"):
        load(pickled)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_rounded_weights_answer_too_with_the_adapter_beside_them(
    quantization: str, folders: Callable[[str], Path], adapters: Callable[[str], Path]
) -> None:
    perceiver = HeadPerceiver.load(
        folders("qwen3_vl"),
        "cpu",
        max_heads=2,
        quantization=quantization,
        adapter=adapters("qwen3_vl"),
    )
    layers = {type(module).__name__ for module in perceiver._engine.backend.model.modules()}
    assert {"int8": "Linear8bitLt", "int4": "Linear4bit"}[quantization] in layers
    assert len(perceiver.poses(picture(12, 64, 64), [(5, 5, 40, 50)])) == 1
    assert any("lora_A" in name for name, _ in perceiver._engine.backend.model.named_parameters())


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(
    folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpe_vlm_ros.vlm.families.weights.available", lambda device: 10_000_000)
    with pytest.raises(
        CheckpointError, match=r"needs 0.0 GB on cpu, but 0.0 GB are free: try quant"
    ):
        HeadPerceiver.load(folders("qwen3_vl"), "cpu")
