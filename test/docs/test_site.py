# SPDX-License-Identifier: Apache-2.0
"""The documentation site: a strict build, all pages reachable, nothing loaded from the network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Strict: a broken link, anchor or page without a place in the navigation fails the build."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_built(site):
    pages = {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")}
    built = {path.name for path in site.glob("*.html")}
    assert pages | {"index.html", "model_card.html", "404.html"} == built


def test_the_site_loads_nothing_from_the_network(site):
    loaded = r"<(?:script|img|source|iframe)\b[^>]*?\bsrc=\"?([^\s\">]+)|<link\b([^>]*)>"
    for page in site.glob("*.html"):
        for source, attributes in re.findall(loaded, page.read_text(encoding="utf-8")):
            fetched = re.search(r"rel=\"?(?:stylesheet|preload|icon|preconnect)", attributes)
            assert not source.startswith(("http:", "https:", "//")), (page.name, source)
            assert not (fetched and "//" in attributes), (page.name, attributes)
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\([\"']?(?:https?:)?//", text), sheet.name


def test_links_out_of_the_documentation_lead_to_the_repository(site):
    page = (site / "node.html").read_text(encoding="utf-8")
    assert re.search(r'href="https://[^"]+/blob/HEAD/config/perception\.yaml"', page)
    assert 'src="docs/figures/' not in (site / "index.html").read_text(encoding="utf-8")


def test_scripts_are_not_published(site):
    assert not list(site.rglob("*.py"))


def test_pages_name_one_thing_once():
    """A page has one title, and the navigation lists each page once."""
    listed = re.findall(
        r"[\w/]+\.md", yaml.safe_dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    )
    assert len(set(listed)) == len(listed)
    for path in (ROOT / "docs").glob("*.md"):
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, path.name
