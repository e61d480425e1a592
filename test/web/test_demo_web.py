# SPDX-License-Identifier: Apache-2.0
"""The page of `demo-web`, served by its program and used in headless Chromium."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

gradio = pytest.importorskip("gradio", reason="needs requirements-test.txt")
selenium = pytest.importorskip("selenium", reason="needs requirements-test.txt")
cbook = pytest.importorskip("matplotlib.cbook", reason="needs requirements-test.txt")

from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import (  # noqa: E402
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds
SCREENSHOT = Path(tempfile.gettempdir()) / "demo-web.png"
PHOTO = Path(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))  # US Navy, public domain
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--window-size=1300,1300",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # nobody is asked whether the page may use the camera
)


@pytest.fixture(scope="module")
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that answers nothing: its address, and first lines of what was sent through it."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(300).decode(errors="replace").split("\r\n")[0])

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=5)


@pytest.fixture(scope="module")
def page(proxy: tuple[str, list[str]], tmp_path_factory: Any) -> Iterator[tuple[str, Path]]:
    """Address of the page of the running program, and the folder in which it keeps uploads."""
    folder = tmp_path_factory.mktemp("temporary")
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    environment = os.environ | dict.fromkeys(names, proxy[0])
    environment |= {"no_proxy": "127.0.0.1,localhost", "TMPDIR": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = subprocess.Popen(
        [sys.executable, "-u", "-m", "hpe_vlm_ros", "demo-web", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    output = program.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", output)
    try:
        assert found, output
        yield found.group(), folder
    finally:
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=PATIENCE) in (0, 130)
    assert not list(folder.glob("head-poses-*"))  # uploads are gone
    assert not proxy[1]  # neither program nor page asked for anything elsewhere


@pytest.fixture(scope="module")
def camera(tmp_path_factory: Any) -> Path:
    """What the browser's camera sees: the photograph, which moves, so that no two images in a row
    are the same."""
    file = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    small = cv2.resize(portrait(), (320, 240))  # larger ones only keep the browser busy
    views = (np.roll(small, step, axis=1) for step in range(10))
    file.write_bytes(b"".join(cv2.imencode(".jpg", view)[1].tobytes() for view in views))
    return file


@pytest.fixture(scope="module")
def browser(proxy: tuple[str, list[str]], camera: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        missing = "there is no chromium and chromedriver: apt install chromium chromium-driver"
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--use-file-for-fake-video-capture={camera}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


def portrait() -> np.ndarray:
    """The photograph in a camera's shape, BGR."""
    image = cv2.imread(str(PHOTO))
    return cv2.resize(image[:480, :512], (640, 480))


def until(browser: webdriver.Chrome, found: Callable[[webdriver.Chrome], Any]) -> Any:
    """What is found, once it is; a picture of the page where it never is."""
    try:
        stale = [StaleElementReferenceException]  # the page may draw a part anew meanwhile
        return WebDriverWait(browser, PATIENCE, 0.1, stale).until(found)
    except TimeoutException:
        browser.save_screenshot(str(SCREENSHOT))
        pytest.fail(f"not within {PATIENCE} s; the page then: {SCREENSHOT}")


def text_of(browser: webdriver.Chrome, name: str) -> str:
    parts = browser.find_elements(By.ID, name)
    return parts[0].text if parts else ""


def press(browser: webdriver.Chrome, name: str) -> None:
    """Clicks the button or tab of this name, once it is there."""

    def found(b: webdriver.Chrome) -> Any:
        buttons = b.find_elements(By.TAG_NAME, "button")
        return next((x for x in buttons if x.is_displayed() and x.text == name), None)

    until(browser, found).click()


def chooser(browser: webdriver.Chrome, kind: str) -> Any:
    """The input for files of a kind in the tab that is open."""
    selector = f"input[type=file][accept*={kind}]"
    return until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, selector))[-1]


def requested(browser: webdriver.Chrome) -> set[str]:
    """Addresses that the page asked for since this was last called."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = (e["params"]["request"]["url"] for e in events if e["method"].endswith("BeSent"))
    return {address for address in sent if not address.startswith(("data:", "blob:"))}


def test_a_photo_and_a_video(page: tuple[str, Path], browser: Any, tmp_path) -> None:
    address, folder = page
    browser.get(address)
    chooser(browser, "image").send_keys(str(PHOTO))
    until(browser, lambda b: "head" in text_of(b, "photo-found"))
    summary = text_of(browser, "photo-found")
    assert summary.startswith("1 head. 1 looks at the camera."), summary
    yaw, pitch, roll = map(float, re.search(r"left (-?\d+) (-?\d+) (-?\d+) yes", summary).groups())
    assert abs(yaw) < 30 and abs(pitch) < 30 and abs(roll) < 20
    shown = browser.find_elements(By.CSS_SELECTOR, "img")
    assert [image for image in shown if image.is_displayed()]
    assert list(folder.glob("head-poses-*/**/*.*"))  # where uploads lie until the end

    film = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 20.0, (640, 480))
    for _ in range(20):
        writer.write(portrait())
    writer.release()
    press(browser, "Video")
    chooser(browser, "video").send_keys(str(film))
    until(browser, lambda b: "at 100% of the video" in text_of(b, "video-found"))
    summary = text_of(browser, "video-found")
    assert "1 looks at the camera" in summary and "h0001" in summary
    until(browser, lambda b: [v for v in b.find_elements(By.CSS_SELECTOR, "video") if plays(b, v)])

    asked = requested(browser)
    assert asked and all(url.startswith(address) for url in asked), asked


def plays(browser: Any, video: Any) -> bool:
    """Whether a video is one of heads that the browser can play, ten frames a second of it."""
    source, length = browser.execute_script(
        "return [arguments[0].currentSrc, arguments[0].duration]", video
    )
    return "heads" in source and bool(length) and 0.8 <= length <= 1.2


def test_the_webcam(page: tuple[str, Path], browser: Any) -> None:
    """It is not mirrored, and no image of it gets onto the disk."""
    address, folder = page
    browser.get(address)
    press(browser, "Webcam")
    press(browser, "Click to Access Webcam")
    stored = set(folder.glob("head-poses-*/**/*.*"))
    press(browser, "Record")
    first = until(browser, drawing)
    until(browser, lambda b: drawing(b) not in ("", first))
    assert "1 looks at the camera" in text_of(browser, "webcam-found")
    coded = base64.b64decode(drawing(browser).partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR).astype(int)
    true = cv2.resize(portrait(), shown.shape[1::-1])
    straight, mirrored = (abs(shown - view).mean() for view in (true, true[:, ::-1]))
    assert straight < 0.7 * mirrored
    assert set(folder.glob("head-poses-*/**/*.*")) == stored
    press(browser, "Stop")


def drawing(browser: webdriver.Chrome) -> str:
    """The address of the image that is drawn last, which holds the image itself."""
    images = browser.find_elements(By.CSS_SELECTOR, ".drawing img")
    return next((i.get_attribute("src") for i in images if i.is_displayed()), "")


def test_what_the_program_says_when_it_cannot_serve(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hpe_vlm_ros", "demo-web", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    done = run("--model", "nowhere")
    assert done.returncode == 1 and "there is no model folder nowhere" in done.stderr
