# SPDX-License-Identifier: Apache-2.0
"""docs/node.md: its generated sections are up to date, its topics are those of the node."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "node.md"
TEXT = PAGE.read_text(encoding="utf-8")


def load_script():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_script()


def rows(title: str) -> dict[str, list[str]]:
    """The page's table under this title, by its first column."""
    table = TEXT.split(f"| {title} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {first.strip(" `"): rest for first, *rest in cells}


def test_generated_sections_are_up_to_date():
    assert reference.render(TEXT) == TEXT, "run `python docs/reference.py`"


def test_a_missing_section_is_named():
    with pytest.raises(ValueError, match="begin messages"):
        reference.render(TEXT.replace("<!-- begin messages -->", ""))


def test_parameters_have_the_defaults_of_the_shipped_file():
    shipped = yaml.safe_load((ROOT / "config" / "perception.yaml").read_text(encoding="utf-8"))
    values = shipped["/**"]["ros__parameters"]
    table = rows("parameter")
    assert list(table) == list(values)
    for name, (default, *_) in table.items():
        assert yaml.safe_load(default.strip("`")) == values[name], name


def test_topics_are_those_of_the_node():
    source = (ROOT / "hpe_vlm_ros" / "nodes" / "outputs.py").read_text(encoding="utf-8")
    made = re.findall(r'^    "([~/]\S+)": \w+,$', source, re.MULTILINE)
    converted = re.search(r"CONVERTED = \((.+)\)", source)
    made += [f"~/{name}" for name in re.findall(r'"(\w+)"', converted.group(1))]
    outputs = [topic for topic, cells in rows("topic").items() if cells[1].startswith("output")]
    bodies = {f"/humans/bodies/{name}" for name in ("tracked", "<id>/roi", "<id>/skeleton2d")}
    faces = {"/humans/faces/tracked", "/humans/faces/<id>/roi", "/humans/candidate_matches"}
    elsewhere = {"/diagnostics", *faces, *bodies}
    assert set(outputs) - elsewhere == set(made)


def test_every_field_of_every_message_has_a_row():
    for path in [*(ROOT / "msg").glob("*.msg"), *(ROOT / "action").glob("*.action")]:
        section = TEXT.split(f"### {path.stem}\n", 1)[1].split("\n### ", 1)[0]
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            declared = line.partition("#")[0].split()
            if len(declared) == 2:
                name = declared[1].partition("=")[0]
                assert f"`{name}`" in section, f"{path.name}: {name}"


def test_comments_of_a_definition_stand_beside_what_they_explain():
    text = (
        "# What it is.\n#\n# More | text.\n\n# Low\n# and high.\nfloat32 a_b\nfloat32 c\n"
        "# Kind:\n#   one <id>\n#   two\n# end\nuint8 NO=0  # none of a_b\nuint8 kind\n"
    )
    assert reference.definition(text).splitlines() == [
        "What it is. More \\| text.",
        "",
        "| field | type | meaning |",
        "| --- | --- | --- |",
        "| `a_b`<br>`c` | `float32` | Low and high. |",
        "| `kind` | `uint8` | Kind:<br>one &lt;id><br>two<br>end<br>`NO` = 0: none of `a_b` |",
    ]
