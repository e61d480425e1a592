# SPDX-License-Identifier: Apache-2.0
"""RefCOCO's references and objects."""

import pickle

import pytest

from training.data.readers.refcoco import image_numbers, read_refcoco


def reference(ref_id, ann_id, image_id, split, *sentences):
    return {
        "ref_id": ref_id,
        "ann_id": ann_id,
        "category_id": 1,
        "file_name": f"COCO_train2014_{image_id:012d}_{ann_id}.jpg",
        "image_id": image_id,
        "split": split,
        "sent_ids": list(range(len(sentences))),
        "sentences": [
            {"raw": text.upper(), "sent": text, "sent_id": n, "tokens": text.split()}
            for n, text in enumerate(sentences)
        ],
    }


REFERENCES = [
    reference(11, 101, 1, "train", "left guy", "man in the café"),
    reference(12, 102, 1, "train", "right guy"),
    reference(13, 103, 1, "train", "beyond the border"),
    reference(14, 999, 1, "train", "object that is not listed"),
    reference(15, 101, 9, "train", "picture that is not listed"),
    reference(16, 101, 1, "train", " "),
    reference(17, 104, 2, "train", "its picture is missing"),
    reference(18, 105, 3, "testA", "a boy"),
]


@pytest.fixture
def folder(tmp_path, picture, write_json):
    folder, name = tmp_path / "refcoco", "COCO_train2014_{:012d}.jpg"
    for number in (1, 3):
        picture(tmp_path / "train2014" / name.format(number), 80, 60)
    images = [
        {"id": n, "file_name": name.format(n), "width": 80, "height": 60} for n in range(1, 4)
    ]
    boxes = [(101, 1, [4, 6, 20, 30]), (102, 1, [70, 6, 20, 30]), (103, 1, [90, 6, 20, 30])]
    boxes += [(104, 2, [4, 6, 20, 30]), (105, 3, [4.5, 6, 20, 30])]
    objects = [{"id": a, "image_id": i, "bbox": b, "category_id": 1} for a, i, b in boxes]
    write_json(folder / "instances.json", {"images": images, "annotations": objects})
    write_references(folder, REFERENCES)
    return folder


def write_references(folder, content, protocol=2):
    """Protocol 2 is that of the published files, which Python 2 wrote."""
    (folder / "refs(unc).p").write_bytes(pickle.dumps(content, protocol))


def test_one_sample_for_each_reference(folder, report):
    samples = read_refcoco(folder, folder.parent / "train2014", report=report)
    expressions = [sample.expressions for sample in samples]
    assert [[e.ref_id for e in found] for found in expressions] == [[11], [12]]
    assert expressions[0][0].sentences == ("left guy", "man in the café")
    assert list(expressions[0][0].box) == [4, 6, 24, 36]
    assert list(expressions[1][0].box) == [70, 6, 80, 36]  # cut to the picture
    assert all(s.heads == [] and not s.all_heads and s.focal is None for s in samples)
    assert samples[0].load().shape == (60, 80, 3)


def test_everything_left_out_is_counted(folder, report):
    read_refcoco(folder, folder.parent / "train2014", report=report)
    assert report.left_out == {
        "object outside the picture": 1,
        "reference without its picture or object in instances.json": 2,
        "reference without a sentence": 1,
        "picture missing": 1,
    }
    assert report.kept["expressions"] == 2 and report.source == {"expressions": 42404}


def test_parts_and_excluded_pictures(folder, report):
    images = folder.parent / "train2014"
    assert [s.expressions[0].ref_id for s in read_refcoco(folder, images, ("testA",))] == [18]
    excluded = image_numbers(folder, ("train",))
    assert excluded == {1, 2, 9}
    assert read_refcoco(folder, images, exclude_images=excluded, report=report) == []
    assert report.left_out == {"reference to an excluded picture": 7}
    with pytest.raises(ValueError, match="no part .'test'"):
        read_refcoco(folder, images, ("test",))


def test_a_pickle_that_names_a_function_is_refused(folder):
    write_references(folder, [*REFERENCES, print])
    with pytest.raises(ValueError, match=r"refs\(unc\)\.p: refused.*print"):
        read_refcoco(folder, folder.parent / "train2014")


@pytest.mark.parametrize("content", [{"ref_id": 1}, [1, 2], [{"split": "train"}]])
def test_another_pickle_is_refused(folder, content):
    write_references(folder, content)
    with pytest.raises(ValueError, match="references"):
        read_refcoco(folder, folder.parent / "train2014")


def test_text_of_python_2_is_read(folder):
    """Python 2 wrote its byte strings as such: opcode U with UTF-8 inside."""
    content = pickle.dumps(REFERENCES[:1], 2)
    text = "man in the café".encode()
    modern, old = b"X" + len(text).to_bytes(4, "little") + text, b"U" + bytes([len(text)]) + text
    assert content.count(modern) == 1
    (folder / "refs(unc).p").write_bytes(content.replace(modern, old))
    (sample,) = read_refcoco(folder, folder.parent / "train2014")
    assert sample.expressions[0].sentences[1] == "man in the café"


def test_the_folder_tells_the_data_set(tmp_path):
    with pytest.raises(ValueError, match="refcoco, refcoco\\+, refcocog"):
        read_refcoco(tmp_path, tmp_path)
