# SPDX-License-Identifier: Apache-2.0
"""Head poses without ROS: from image files, and in a browser."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .mirror import MIRROR_CHOICES
from .model_options import add_model_options
from .pictures import read_picture
from .requirements import remedy

if TYPE_CHECKING:
    from .heads import HeadEstimate

PREDICT = """\
Find every head in each image and say how it is turned.

Prints one JSON object a line:
  {"image": ..., "heads": [{"box": [x0, y0, x1, y1], "yaw": ..., "pitch": ..., "roll": ...,
   "spread": [x, y, z], "score": ...}]}
Boxes are in pixels, angles in degrees: yaw > 0 turns the nose to the image's left; pitch > 0 is
up and roll > 0 clockwise while |yaw| < 90, both reversed beyond. The spread says how sure that is:
standard deviations in degrees of the head's rotation about the camera's axes x (right), y (down)
and z (ahead), null where unknown. Heads go from left to right.

Images that cannot be read get a message and the exit status 1; the others are still processed.
"""
DOWNLOAD = """\
Fetch a model into the cache of huggingface_hub (HF_HOME says where that lies) and print its folder.
From then on its name does wherever a model is named, also without a network (HF_HUB_OFFLINE=1).

Says what it fetches and how large that is. Takes safetensors, exported graphs and JSON files, never
code and never pickle. A model that is in the cache is not fetched again, and not renewed: to have
another state of it, name that revision.
"""
HOST = "127.0.0.1"
WEB = """\
Serve a page on which you drop a photo or a video, or use the webcam: it shows boxes, head axes, who
looks at the camera, and a table of angles. Open the address that is printed; Ctrl-C ends it.

The page is served to this machine alone unless --host names another address. Nothing is loaded
from or sent to the network: no telemetry, no share link, no fonts. Uploads lie in a temporary
folder that is deleted at the end. Browsers give a page the webcam only on this machine, or over
HTTPS.
Needs gradio: pip install -r requirements-web.txt, or hpe_vlm_ros[web].
"""
EXAMPLE = """\
example:
  python -m hpe_vlm_ros predict photo.jpg --draw out
"""


def parser() -> argparse.ArgumentParser:
    """The command line: predict, demo-web and download."""
    main = argparse.ArgumentParser("python -m hpe_vlm_ros", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True)
    predict = commands.add_parser(
        "predict",
        help="find heads and their poses in image files",
        description=PREDICT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = predict.add_argument
    add("images", nargs="+", metavar="IMAGE", help="image file (JPEG, PNG and what OpenCV reads)")
    add("--json", metavar="FILE", help="write the lines to FILE instead of printing them")
    add("--draw", metavar="FOLDER", help="also write each image with its heads drawn into FOLDER")
    add(
        "--rerun",
        metavar="FILE",
        help="also write images, boxes, axes and angles as FILE.rrd for the Rerun viewer (needs "
        "rerun-sdk)",
    )
    _model(predict)
    web = commands.add_parser(
        "demo-web",
        help="show heads of photos, videos and the webcam in a browser",
        description=WEB,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = web.add_argument
    add("--host", default=HOST, metavar="A", help=f"address to serve on (default: {HOST})")
    add("--port", type=int, default=7860, metavar="P", help="0: any that is free (default 7860)")
    _model(web)
    download = commands.add_parser(
        "download",
        help="fetch a model of the hub into the cache",
        description=DOWNLOAD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    download.add_argument("model", metavar="ORG/NAME[@REVISION]", help="such as org/name@v1.0")
    return main


def _model(to: argparse.ArgumentParser) -> None:
    """The options of whatever loads a model."""
    add = to.add_argument
    add_model_options(add)
    add("--detector", metavar="M", help="second model that finds the heads, such as embedded")
    add("--backend", default="auto", metavar="B", help="auto, onnx (exported models) or torch")
    add("--quantization", default="none", metavar="Q", help="of weights: none, int8 or int4")


def _loaded(options: argparse.Namespace) -> Any:
    """The perceiver, or two models that answer as one."""
    from .perceiver import HeadPerceiver

    perceiver: Any = HeadPerceiver.load(
        options.model,
        options.device,
        options.max_heads,
        backend=options.backend,
        quantization=options.quantization,
        tiles=options.tiles,
        mirror=MIRROR_CHOICES[options.mirror],
        refine=options.refine,
        download=options.download,
        adapter=options.adapter,
    )
    if options.detector:
        from .two_models import TwoModels

        detecting = {"tiles": options.tiles, "refine": options.refine}
        perceiver = TwoModels.load(options.detector, perceiver, **detecting)
    if warning := perceiver.warning():
        print(f"warning: {warning}", file=sys.stderr)
    return perceiver


def as_json(file: str, heads: Sequence[HeadEstimate]) -> str:
    """One line as the help text describes it; pixels and degrees to 0.1, scores to 0.001."""
    rows: list[dict[str, Any]] = [
        {
            "box": [round(v, 1) for v in head.box],
            "yaw": round(head.yaw, 1),
            "pitch": round(head.pitch, 1),
            "roll": round(head.roll, 1),
            "spread": None if head.spread is None else [round(v, 1) for v in head.spread],
            "score": round(head.score, 3),
        }
        for head in heads
    ]
    return json.dumps({"image": file, "heads": rows})


def draw(folder: Path, file: str, image: NDArray[np.uint8], heads: Sequence[HeadEstimate]) -> None:
    """Write the annotated image under its own name, numbered if that name is taken."""
    from .drawing import draw_heads

    drawn = cv2.cvtColor(draw_heads(image, heads), cv2.COLOR_RGB2BGR)
    target, number = folder / f"{Path(file).stem}.jpg", 2
    while target.exists():
        target, number = folder / f"{Path(file).stem}-{number}.jpg", number + 1
    if not cv2.imwrite(str(target), drawn):
        raise ValueError(f"{target}: cannot be written; check the folder given to --draw")


def predict(options: argparse.Namespace) -> int:
    """Runs the command predict. The exit status is 1 where the model or any picture failed;
    pictures after one that failed are still processed."""
    failed = False
    with ExitStack() as stack:
        out, rerun = sys.stdout, None
        try:
            if options.json:
                out = stack.enter_context(open(options.json, "w", encoding="utf-8"))
            if options.draw:
                Path(options.draw).mkdir(parents=True, exist_ok=True)
            if options.rerun:
                from .recordings.rerun_file import RerunFile

                rerun = stack.enter_context(RerunFile(options.rerun))
            perceiver = _loaded(options)
        except (OSError, ValueError, RuntimeError) as error:
            return complain(error)
        for number, file in enumerate(options.images):
            try:
                image = read_picture(file)
                heads = perceiver(image)
                print(as_json(file, heads), file=out, flush=True)
                if options.draw:
                    draw(Path(options.draw), file, image, heads)
                if rerun is not None:
                    rerun.write(number, heads, image, name=file)
            except (OSError, ValueError, RuntimeError) as error:  # such as of memory, or a server
                failed = bool(complain(error))
    return int(failed)


def download(options: argparse.Namespace) -> int:
    """Runs the command download, which prints the model's folder. The exit status is 1 where it
    could not be fetched."""
    from .vlm.hub import find_model

    try:
        print(find_model(options.model, download=True))
    except (OSError, ValueError) as error:
        return complain(error)
    return 0


def demo_web(options: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C. The exit status is 1 where gradio is missing, or the model or
    the address cannot be used."""
    if find_spec("gradio") is None:
        error = ModuleNotFoundError("the page needs gradio, which is missing", name="gradio")
        return complain(remedy(error))
    from .web.server import serve

    try:
        serve(_loaded(options), options.host, options.port)
    except (OSError, ValueError, RuntimeError) as error:
        return complain(error)
    return 0


def complain(error: Exception | str) -> int:
    """Prints an error to stderr; the exit status 1."""
    print(f"error: {error}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command in `arguments`, or in those of the program; the exit status, 130 after
    Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
        commands = {"predict": predict, "download": download, "demo-web": demo_web}
        return commands[options.command](options)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
