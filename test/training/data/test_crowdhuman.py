# SPDX-License-Identifier: Apache-2.0
"""CrowdHuman's .odgt lines."""

import json
import struct

import pytest
from PIL import Image

from training.data.readers.crowdhuman import read_crowdhuman


def person(box, head=None, extra=None, tag="person"):
    record = {"tag": tag, "fbox": [0, 0, 9, 9], "vbox": [0, 0, 9, 9], "hbox": box}
    record |= {"head_attr": head} if head else {}
    return record | {"extra": extra or {"box_id": 0, "occ": 1}}


SEEN = {"ignore": 0, "occ": 0, "unsure": 0}
RECORDS = {
    "273271,1017c000": [
        person([10, 5, 20, 25], SEEN),
        person([-6, 40, 20, 30], {"ignore": 0, "occ": 1, "unsure": 0}),  # over the corner
        person([-30, 5, 20, 25], SEEN),  # outside
    ],
    "273271,2017c000": [
        person([10, 5, 20, 25]),  # head_attr is optional
        person([10, 5, 20, 25], {"ignore": 1, "occ": 1, "unsure": 0}),
        person([10, 5, 20, 25], {"ignore": 0, "occ": 1, "unsure": 1}),
        person([10, 5, 20, 25], SEEN, {"ignore": 1}),
        person([0, 0, 80, 60], tag="mask", extra={"ignore": 1}),
        person([50, 5, 3, 4], SEEN),
    ],
    "273271,3017c000": [person([10, 5, 20, 25], {"ignore": 1, "occ": 0, "unsure": 0})],
    "273271,missing": [person([10, 5, 20, 25], SEEN)],
    "273271,damaged": [person([10, 5, 20, 25], SEEN)],
}


@pytest.fixture
def folder(tmp_path, picture):
    for name in list(RECORDS)[:3]:
        picture(tmp_path / "Images" / f"{name}.jpg", 80, 60)
    (tmp_path / "Images" / "273271,damaged.jpg").write_bytes(b"\xff\xd8 cut off")
    lines = [json.dumps({"ID": name, "gtboxes": boxes}) for name, boxes in RECORDS.items()]
    (tmp_path / "annotation_val.odgt").write_text("\n".join(lines) + "\n")
    return tmp_path


def read(folder, **options):
    return read_crowdhuman(folder / "annotation_val.odgt", folder / "Images", **options)


def test_head_boxes_without_poses(folder, report):
    first, second = read(folder, report=report)
    assert [list(head.box) for head in first.heads] == [[10, 5, 30, 30], [0, 40, 14, 60]]
    assert all(head.rotation is None for head in first.heads)
    assert (first.width, first.height, first.focal, first.all_heads) == (80, 60, None, True)
    assert len(second.heads) == 2 and not second.all_heads


def test_everything_left_out_is_counted(folder, report):
    read(folder, report=report)
    assert report.left_out == {
        "head outside the picture": 1,
        "head marked ignore": 2,
        "head marked unsure": 1,
        "person marked ignore": 1,
        "box tagged mask": 1,
        "picture without a usable head": 1,
        "picture missing": 1,
        "picture unreadable": 1,
    }
    assert report.kept == {"images": 2, "heads": 4, "expressions": 0}
    assert report.source == {"images": 4370}


def test_odd_pictures_are_counted_and_never_blamed_on_the_label_file(folder, report):
    """An ASCII orientation, a page in place of a picture, a link to nowhere, a folder."""
    images, names = folder / "Images", ("ascii", "page", "link", "folder")
    mark = b"Exif\0\0MM" + struct.pack(">HIHHHI4sI", 42, 8, 1, 0x0112, 2, 2, b"6", 0)
    Image.new("RGB", (80, 60)).save(images / "ascii.jpg", exif=mark)
    (images / "page.jpg").write_text("<html></html>")
    (images / "link.jpg").symlink_to(images / "nowhere.png")
    (images / "folder.jpg").mkdir()
    with (folder / "annotation_val.odgt").open("w") as file:
        for name in names:
            boxes = [person([10, 5, 20, 25], SEEN)]
            file.write(json.dumps({"ID": name, "gtboxes": boxes}) + "\n")
    (sample,) = read(folder, report=report)
    assert (sample.image_path.stem, sample.width, sample.height) == ("ascii", 80, 60)
    assert report.left_out == {"picture unreadable": 2, "picture missing": 1}


def test_filters(folder, report):
    first, second = read(folder, min_side=4, report=report)
    assert len(second.heads) == 1 and report.left_out["head smaller than 4 pixels"] == 1
    assert [s.image_path for s in read(folder, min_side=4, max_heads=1)] == [second.image_path]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"ID": 1}', '{"ID": "273271,1017c000", "gtboxes": [{"hbox": [1, 1, 2, 2]}]}'],
)
def test_a_line_that_is_no_record_is_named(folder, line):
    with (folder / "annotation_val.odgt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"annotation_val\.odgt, line 6: not a CrowdHuman record"):
        read(folder)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="annotation_val"):
        read(tmp_path)
