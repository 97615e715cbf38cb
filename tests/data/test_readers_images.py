"""Readers of images, on small files in their formats."""

import io

import numpy as np
import pytest
from scipy.io import savemat

from research import data
from research.core import UserError
from research.data.sources.readers import image_files, scene_files
from tests.data.formats import encode, picture, write_zip


def equal(left, right):
    np.testing.assert_array_equal(left, right)
    return True


def test_omniglot(tmp_path):
    image = picture(0)
    write_zip(
        tmp_path / "images_background_small1.zip",
        {
            "images_background_small1/": "",
            "__MACOSX/x.png": "not an image",
            "images_background_small1/Greek/character03/0396_07.png": encode(image),
        },
    )
    (record,) = image_files.omniglot(tmp_path, "small1")
    assert equal(record.pop("image"), image)
    assert record == {
        "alphabet": image_files.ALPHABETS.index("Greek"),
        "alphabet_char_id": 2,
        "label": 395,
    }
    assert len(set(image_files.ALPHABETS)) == 50 and image_files.ALPHABETS == sorted(
        image_files.ALPHABETS
    )


def test_omniglot_runs(tmp_path):
    members = {"run01/class_labels.txt": ""}
    for item, label in enumerate([2, 1, 3], 1):
        test, training = f"run01/test/item0{item}.png", f"run01/training/class0{item}.png"
        members[test] = encode(np.full((4, 4), item, np.uint8))
        members[training] = encode(np.full((4, 4), 10 * item, np.uint8))
        members["run01/class_labels.txt"] += f"{test} run01/training/class0{label}.png\n"
    write_zip(tmp_path / "all_runs.zip", members)
    (run,) = image_files.omniglot_runs(tmp_path, "test")
    assert run["training"][:, 0, 0].tolist() == [10, 20, 30]
    assert run["test"][:, 0, 0].tolist() == [1, 2, 3]
    assert run["answer"].tolist() == [1, 0, 2]


def test_tiny_imagenet(tmp_path):
    root = "tiny-imagenet-200"
    write_zip(
        tmp_path / "some.zip",
        {
            f"{root}/wnids.txt": "n2\nn1\n",
            f"{root}/train/n1/images/n1_0.JPEG": encode(picture(0), "JPEG"),
            f"{root}/train/n1/n1_boxes.txt": "",
            f"{root}/train/n2/images/n2_0.JPEG": encode(picture(1), "JPEG"),
            f"{root}/val/val_annotations.txt": "val_9.JPEG\tn2\t0\t0\t1\t1\n",
            f"{root}/val/images/val_9.JPEG": encode(picture(2), "JPEG"),
        },
    )
    train = image_files.tiny_imagenet(tmp_path, "train")
    assert [(r["label"], r["id"]) for r in train] == [(1, "n1_0.JPEG"), (0, "n2_0.JPEG")]
    (validation,) = image_files.tiny_imagenet(tmp_path, "validation")
    assert validation["label"] == 0 and validation["image"].shape == (8, 8, 3)


def test_facades(tmp_path):
    both = np.concatenate([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)], 1)
    write_zip(tmp_path / "facades128.zip", {"facades/val/1.jpg": encode(both, "PNG")})
    (record,) = image_files.facades(tmp_path, "validation")
    assert record["photo"].max() == 0 and record["labels"].min() == 255
    assert not len(image_files.facades(tmp_path, "train"))


def test_emoji_pairs(tmp_path):
    members = {
        f"{d}/{c}.png": encode(picture(i)) for i, d in enumerate(("noto", "emojitwo")) for c in "ab"
    }
    write_zip(tmp_path / "emoji_pairs64.zip", members)
    first, second = image_files.emoji_pairs(tmp_path, "train")
    assert (first["codepoint"], second["codepoint"]) == ("a", "b")
    assert equal(first["noto"], picture(0)) and equal(first["emojitwo"], picture(1))


def test_utkface(tmp_path):
    write_zip(tmp_path / "utkface64.zip", {"31_1_4_2017.jpg": encode(picture(0))})
    (record,) = image_files.utkface(tmp_path, "train")
    assert (record["age"], record["sex"], record["race"]) == (31, 1, 4)


def test_coco(tmp_path):
    write_zip(
        tmp_path / "coco128_train.zip",
        {
            "images/train2017/1.jpg": encode(picture(0, 10, 20)),
            "images/train2017/2.jpg": encode(picture(1)),
            "object_detection/labels/train2017/1.txt": "7 0.5 0.25 0.2 0.1\n",
            "instance_segmentation/labels/train2017/1.txt": "90 0.1 0.2 0.3 0.4 0.5 0.6\n",
            "semantic_segmentation/masks/train2017/1.png": encode(np.full((10, 20), 90, np.uint8)),
        },
    )
    with_box, without = scene_files.coco_boxes(tmp_path, "train")
    np.testing.assert_allclose(with_box["objects"]["bbox"], [[0.2, 0.4, 0.3, 0.6]], atol=1e-6)
    assert with_box["objects"]["label"].tolist() == [7]
    assert without["objects"]["bbox"].shape == (0, 4) and without["id"] == "2"
    (record,) = scene_files.coco_segmentation(tmp_path, "train")
    np.testing.assert_allclose(record["polygons"][0], [[0.2, 0.1], [0.4, 0.3], [0.6, 0.5]])
    assert record["label"].tolist() == [90] and record["mask"].shape == (10, 20)


def test_bccd(tmp_path):
    box = "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>22</xmax><ymax>5</ymax></bndbox>"
    write_zip(
        tmp_path / "BCCD.zip",
        {
            "BCCD/ImageSets/Main/val.txt": "B_1\n",
            "BCCD/JPEGImages/B_1.jpg": encode(picture(0, 10, 20)),
            "BCCD/Annotations/B_1.xml": f"<a><object><name>WBC</name>{box}</object></a>",
        },
    )
    (record,) = scene_files.bccd(tmp_path, "validation")
    np.testing.assert_allclose(record["objects"]["bbox"], [[0.1, 0.1, 0.5, 1.0]])  # cut at the edge
    assert record["objects"]["label"].tolist() == [scene_files.BLOOD_CELLS.index("WBC")]


def test_easy_vqa(tmp_path):
    write_zip(
        tmp_path / "easy_vqa.zip",
        {
            "answers.txt": "circle\nno\n",
            "train/questions.json": '[["is it red?", "no", 1], ["what is it?", "circle", 0]]',
            "train/images/0.png": encode(picture(0)),
            "train/images/1.png": encode(picture(1)),
        },
    )
    first, second = scene_files.easy_vqa(tmp_path, "train")
    assert (first["question"], first["answer"], first["label"]) == ("is it red?", "no", 1)
    assert equal(first["image"], picture(1)) and equal(second["image"], picture(0))


def test_pix2code(tmp_path):
    file = io.BytesIO()
    np.savez(file, features=np.full((4, 4, 3), 0.5, np.float32))
    write_zip(tmp_path / "eval_light.zip", {"A.gui": "row {}", "A.npz": file.getvalue()})
    (record,) = scene_files.pix2code(tmp_path, "train")
    assert record["gui"] == "row {}" and record["image"].dtype == np.float32


def test_frey_faces(tmp_path):
    """A file of the published size; a frame is a column, and its rows follow each other."""
    (tmp_path / "frey_face").mkdir()
    path = tmp_path / "frey_face" / "frey_rawface.mat"
    frames = np.random.default_rng(0).integers(0, 256, (560, 1965), np.uint8)
    savemat(path, {"ff": frames})
    dataset = data.load("frey_face", "train[:1900]", str(tmp_path))
    assert len(dataset) == 1900 and dataset[7]["image"].shape == (28, 20)
    assert equal(dataset[7]["image"][3], frames[60:80, 7])


@pytest.mark.parametrize("content", [b"", b"no matrix" * 20, b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_frey_faces_of_other_bytes(content, tmp_path):
    (tmp_path / "frey_rawface.mat").write_bytes(content)
    with pytest.raises(UserError, match="frey_rawface.mat is damaged or truncated"):
        image_files.frey_faces(tmp_path, "train")


def test_frey_faces_of_another_shape(tmp_path):
    savemat(tmp_path / "frey_rawface.mat", {"ff": np.zeros((10, 10), np.uint8)})
    with pytest.raises(UserError, match=r"ff is uint8 \[10, 10\]"):
        image_files.frey_faces(tmp_path, "train")
