# SPDX-License-Identifier: Apache-2.0
"""A local Ray cluster whose workers are killed neither loses nor doubles a frame."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from painted import Fatal, Load, entries, write_bag

from hpe_vlm_ros.recordings.frames import ReplayError
from hpe_vlm_ros.recordings.records import from_json
from hpe_vlm_ros.replay import cluster

ROOT = Path(__file__).parents[2]
PAINTED = ROOT / "test" / "recordings"  # where `painted` lies


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="Ray is an optional extra: pip install ray")
    paths = f"{ROOT}{os.pathsep}{PAINTED}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)  # workers inherit it
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr(cluster, "RETRIES", 1)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
                 object_store_memory=80_000_000)  # fmt: skip
        yield ray
        ray.shutdown()


def content(store):
    return [replace(record, seconds=0.0) for record in store.records()]


def test_killed_workers_lose_and_double_nothing(ray, tmp_path, perceive):
    bags = [write_bag(tmp_path / f"bag{n}", entries(8)) for n in range(2)]
    whole = content(perceive(*bags, out="whole"))
    deadly = Fatal(tmp_path, yaw=-60 + 5)
    store = perceive(*bags, load=deadly, ray_address="local")
    assert (tmp_path / "death0").exists(), "no worker died"
    assert content(store) == whole
    lines = [
        line for f in (store.folder / "parts").glob("*") for line in f.read_text().splitlines()
    ]
    assert len(lines) == len({from_json(line).key for line in lines}) == 16
    again = perceive(*bags, load=Load(), ray_address="local", resume=True)
    assert content(again) == whole


def test_a_slice_that_kills_every_worker_is_named_and_the_rest_is_kept(ray, tmp_path, perceive):
    bag = write_bag(tmp_path / "bag", entries(6))
    with pytest.raises(ReplayError, match="bag: its worker died 2 times.*--resume"):
        perceive(bag, load=Fatal(tmp_path, yaw=-60 + 5, times=99), ray_address="local", slice=2)
    assert len(perceive(bag, ray_address="local", resume=True, slice=2).records()) == 6


def test_without_ray_the_remedy_is_named(bag, perceive, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ReplayError, match="pip install ray"):
        perceive(bag, ray_address="local")
