# SPDX-License-Identifier: Apache-2.0
"""The page: a photo, a video or the webcam on the left, what was found on the right."""

from __future__ import annotations

import math
import os
import time
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import cv2

from hpe_vlm_ros.people.people import ROBOT, People, Person

from .viewer import Seen, Viewer, looks

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
import gradio as gr  # noqa: E402

HEADLINE = """\
# Head poses
White: box, and yaw in degrees. Blue: where the nose points. Red: the person's left; green: chin.
**Amber box: looks at the camera.** Images stay on this machine; uploads are deleted when the demo
ends.
"""
PERIOD = 0.2  # seconds between webcam images at least; the model may take longer
FIGURE: Any = {"height": 480, "format": "jpeg"}
OUTPUT: Any = {"interactive": False, "buttons": ["download", "fullscreen"], **FIGURE}
DRAWING: Any = {"elem_classes": "drawing", "padding": False}
HOW_TO_START = "<p>Allow the camera, then press <i>Record</i>. No image is stored.</p>"
HIDDEN: Any = {"show_progress": "hidden", "api_visibility": "private"}
COLUMNS = ("", "yaw", "pitch", "roll", "looks at camera", "distance*", "score")
NOTE = """\
<p class="note">Angles in degrees: yaw &gt; 0 turns the nose to the image's left, pitch &gt; 0 is up
and roll &gt; 0 clockwise while |yaw| &lt; 90. * In metres, for a lens that spans 60 degrees.</p>"""
CSS = """\
.found table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.found th, .found td { text-align: right; padding: .25rem .6rem; }
.found th { font-weight: 600; }
.found th:first-child, .found td:first-child { text-align: left; }
.found th, .found td { border: 0 !important; }
.found tr { border-bottom: 1px solid var(--border-color-primary) !important; }
.found tr.looks td { background: color-mix(in srgb, #f0a020 22%, transparent); }
.found .note { opacity: .75; font-size: .85rem; margin-top: .6rem; }
.found .sum { font-size: 1.05rem; margin: .2rem 0 .6rem; }
.drawing img { width: 100%; height: 480px; object-fit: contain; }
"""


def theme() -> gr.Theme:
    """Fonts of the reader's system: none is fetched."""
    return gr.themes.Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def page(viewer: Viewer, title: str) -> gr.Blocks:
    """The page. `title` names the model."""
    with gr.Blocks(
        title=f"Head poses: {title}", analytics_enabled=False, fill_width=True
    ) as blocks:
        gr.Markdown(HEADLINE)
        with gr.Tab("Photo"), gr.Row():
            _photo(viewer)
        with gr.Tab("Video"), gr.Row():
            _video(viewer)
        with gr.Tab("Webcam"), gr.Row():
            _webcam(viewer)
        gr.Markdown(f"Model: {title}")
    return blocks


def _photo(viewer: Viewer) -> None:
    def look(image: Any) -> tuple[Any, str]:
        if image is None:
            return None, ""
        view = viewer.photo(image)
        return view.drawing, as_html(view)

    given = gr.Image(sources=["upload"], label="Photo", buttons=[], **FIGURE)
    with gr.Column():
        shown = gr.Image(label="Heads", **OUTPUT)
        found = gr.HTML(elem_classes="found", elem_id="photo-found")
    given.change(look, given, [shown, found], **HIDDEN)


def _video(viewer: Viewer) -> None:
    """Shows every frame as it is answered, then the whole video."""

    def look(file: str | None) -> Iterator[tuple[Any, Any, str]]:
        if file is None:
            yield gr.update(value="", visible=True), gr.update(value=None, visible=False), ""
            return
        out = Path(mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR"))) / "heads.webm"
        text = ""
        try:
            for view, share in viewer.film(file, out):
                text = as_html(view, f"{share:.0%} of the video")
                shown = gr.update(value=as_image(view), visible=True)
                yield shown, gr.update(value=None, visible=False), text
        except ValueError as error:
            raise gr.Error(str(error)) from error
        yield gr.update(visible=False), gr.update(value=str(out), visible=True), text

    with gr.Column():
        film = gr.Video(sources=["upload"], label="Video", height=480, buttons=[])
        stop = gr.Button("Stop")
    with gr.Column():
        frame = gr.HTML(**DRAWING)
        result = gr.Video(
            label="Whole video", interactive=False, visible=False, height=480,
            buttons=["download"],
        )  # fmt: skip
        found = gr.HTML(elem_classes="found", elem_id="video-found")
    running = film.change(look, film, [frame, result, found], **HIDDEN)
    stop.click(None, cancels=[running])


def _webcam(viewer: Viewer) -> None:
    """Follows people from image to image; who they are is kept for each visitor."""

    def look(image: Any, people: People | None) -> tuple[str, str, People | None]:
        if image is None:
            return "", "", None
        people = people or People()
        view = viewer.follow(image, people, time.monotonic_ns())
        return as_image(view), as_html(view), people

    camera = gr.Image(
        sources=["webcam"], streaming=True, label="Webcam", buttons=[],
        # In a mirror image, left and right of the angles and axes would change places.
        webcam_options=gr.WebcamOptions(mirror=False), **FIGURE,
    )  # fmt: skip
    with gr.Column():
        live = gr.HTML(HOW_TO_START, **DRAWING)
        found = gr.HTML(elem_classes="found", elem_id="webcam-found")
    followed = gr.State(None)
    outputs = [live, found, followed]
    camera.stream(look, [camera, followed], outputs, stream_every=PERIOD, **HIDDEN)


def as_image(view: Seen) -> str:
    """The drawing within the page itself: Gradio's own image would keep every frame on the disk."""
    _, coded = cv2.imencode(".jpg", cv2.cvtColor(view.drawing, cv2.COLOR_RGB2BGR))
    source = f"data:image/jpeg;base64,{b64encode(coded.tobytes()).decode()}"
    return f'<img alt="Heads" decoding="sync" src="{source}">'  # sync: it does not flicker


def as_html(view: Seen, where: str = "") -> str:
    """A sentence and a table of the people in an image."""
    count, looking = len(view.people), sum(map(looks, view.people))
    heads = "No head" if not count else "1 head" if count == 1 else f"{count} heads"
    verb = "looks" if looking == 1 else "look"
    sentence = f"{heads}{where and ' at '}{where}."
    if count:
        sentence += f" {looking or 'None'} {verb} at the camera."
    sentence += f" The model took {view.seconds:.2f} s."
    if not count:
        return f'<p class="sum">{sentence}</p>'
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    rows = "".join(_row(number, person) for number, person in enumerate(view.people, start=1))
    return f'<p class="sum">{sentence}</p><table><tr>{head}</tr>{rows}</table>{NOTE}'


def _row(number: int, person: Person) -> str:
    gaze, distance = person.gazes[ROBOT], float(person.position.point[2])
    sure = "" if math.isnan(gaze.score) else f" ({gaze.score:.0%})"
    cells = [
        escape(person.head.id) or f"{number} from the left",
        *(f"{angle:.0f}" if math.isfinite(angle) else "–" for angle in person.angles),
        ("yes" if gaze.looking else "no") + sure,
        f"{distance:.1f}" if math.isfinite(distance) else "–",
        f"{person.score:.2f}",
    ]
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="looks">{row}</tr>' if gaze.looking else f"<tr>{row}</tr>"
