# SPDX-License-Identifier: Apache-2.0
"""Hooks of mkdocs.yml: two more pages, links out of docs/, and room for wide pages.

README.md is the site's first page and models/embedded/README.md its page about the model. Links to
files that are no page lead to the repository, whose address stands in package.xml.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
ADDED = {"index.md": ROOT / "README.md", "model_card.md": ROOT / "models/embedded/README.md"}
WIDE = {
    "architecture.md",
    "faults.md",
    "reproduction.md",
}  # use the place of the contents at the right
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, source in ADDED.items():
        text = source.read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    folder = ADDED.get(page.file.src_uri, DOCS / page.file.src_uri).parent
    return LINK.sub(lambda match: link(folder / match[1]) + (match[2] or ""), markdown)


def link(target: Path) -> str:
    """Where a link to this file leads: a page or picture of the site, else the repository."""
    target = Path(os.path.normpath(target))
    for name, source in ADDED.items():
        if target == source:
            return name
    if target.is_relative_to(DOCS) and target.suffix != ".py":
        return target.relative_to(DOCS).as_posix()
    return f"{repository()}/blob/HEAD/{target.relative_to(ROOT).as_posix()}"


def repository() -> str:
    urls = ElementTree.parse(ROOT / "package.xml").findall("url")
    return next(url.text.strip("/") for url in urls if url.get("type") == "repository")
