# SPDX-License-Identifier: Apache-2.0
"""All readers by name."""

from __future__ import annotations

from collections.abc import Callable

from ..labels import read_labels
from ..sample import Sample
from .agora import read_agora
from .coco import read_coco
from .crowdhuman import read_crowdhuman
from .directmhp import read_directmhp
from .mp100 import read_mp100
from .panoptic import read_panoptic
from .refcoco import read_refcoco

# Each but `scenes` takes a `report` as well.
READERS: dict[str, Callable[..., list[Sample]]] = {
    "agora": read_agora,
    "coco": read_coco,
    "crowdhuman": read_crowdhuman,
    "directmhp": read_directmhp,
    "mp100": read_mp100,
    "panoptic": read_panoptic,
    "refcoco": read_refcoco,
    "scenes": read_labels,
}
