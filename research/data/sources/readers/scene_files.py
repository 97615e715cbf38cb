"""Images with what is in them: boxes, polygons, masks, questions, the program that draws them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from research.data.dataset import Lazy, Record
from research.data.sources.readers.opening import Archive

BLOOD_CELLS = ("RBC", "WBC", "Platelets")


def coco_boxes(folder: Path, split: str) -> Sequence[Record]:
    """image uint8 [H, W, 3], id, and objects: bbox float32 [N, 4], label int64 [N] in 0..79.

    A box is (ymin, xmin, ymax, xmax) in parts of the image's height and width, as in TFDS.
    """
    archive = Archive(folder / "coco128_train.zip")
    images = [n for n in archive.names if n.endswith(".jpg")]

    def record(name: str) -> Record:
        file = name.replace("images/", "object_detection/labels/").replace(".jpg", ".txt")
        text = archive.text(file) if file in archive.names else ""  # none: no objects
        with archive.naming(file):
            rows = np.array(text.split(), np.float32).reshape(-1, 5)  # class, centre x y, w h
        centre, size = rows[:, 2:0:-1], rows[:, 4:2:-1]
        return {
            "image": archive.image(name),
            "id": name.rsplit("/", 1)[1].removesuffix(".jpg"),
            "objects": {
                "bbox": np.concatenate([centre - size / 2, centre + size / 2], 1),
                "label": rows[:, 0].astype(np.int64),
            },
        }

    return Lazy(images, record)


def coco_segmentation(folder: Path, split: str) -> Sequence[Record]:
    """The images that have a mask: image uint8 [H, W, 3], id, mask uint8 [H, W], polygons, label.

    The mask holds COCO's panoptic category ids, 0 where nothing is labelled. `polygons` is a tuple
    with one float32 [P, 2] an instance, (y, x) in parts of height and width; `label` int64
    [instances] their category ids, 1 to 90. Two images have no instances.
    """
    archive = Archive(folder / "coco128_train.zip")
    masks = [n for n in archive.names if n.startswith("semantic_segmentation/masks/")]

    def record(mask: str) -> Record:
        stem = mask.rsplit("/", 1)[1].removesuffix(".png")
        file = f"instance_segmentation/labels/train2017/{stem}.txt"
        lines = archive.text(file).splitlines() if file in archive.names else []
        with archive.naming(file):
            rows = [np.array(line.split(), np.float32) for line in lines]
            polygons = tuple(row[1:].reshape(-1, 2)[:, ::-1] for row in rows)
        return {
            "image": archive.image(f"images/train2017/{stem}.jpg"),
            "id": stem,
            "mask": archive.image(mask, "L"),
            "polygons": polygons,
            "label": np.array([row[0] for row in rows], np.int64),
        }

    return Lazy(masks, record)


def bccd(folder: Path, split: str) -> Sequence[Record]:
    """Records have TFDS's features: image uint8 [480, 640, 3], image/filename, objects.

    Objects are a dictionary of bbox and label, int64 [N].

    A bbox float32 [N, 4] is (ymin, xmin, ymax, xmax) in parts of the image's height and width;
    labels count `BLOOD_CELLS`.
    """
    archive = Archive(folder / "BCCD.zip")
    part = "val" if split == "validation" else split
    stems = archive.text(f"BCCD/ImageSets/Main/{part}.txt").split()

    def record(stem: str) -> Record:
        file = f"BCCD/Annotations/{stem}.xml"
        text = archive.text(file)
        with archive.naming(file):
            objects = ElementTree.fromstring(text).findall("object")
            corners = [
                [
                    float(o.findtext(f"bndbox/{side}", ""))
                    for side in ("ymin", "xmin", "ymax", "xmax")
                ]
                for o in objects
            ]
            labels = [BLOOD_CELLS.index(o.findtext("name", "")) for o in objects]
        image = archive.image(f"BCCD/JPEGImages/{stem}.jpg")
        height, width = image.shape[:2]
        boxes = np.array(corners, np.float32).reshape(-1, 4) / [height, width, height, width]
        return {
            "image": image,
            "image/filename": f"{stem}.jpg",
            "objects": {
                "bbox": np.minimum(boxes, 1.0).astype(np.float32),
                "label": np.array(labels, np.int64),
            },
        }

    return Lazy(stems, record)


def easy_vqa(folder: Path, split: str) -> Sequence[Record]:
    """A question a record: image uint8 [64, 64, 3], question, answer, label (of answers.txt)."""
    archive = Archive(folder / "easy_vqa.zip")
    answers = archive.text("answers.txt").split()
    file = f"{split}/questions.json"
    text = archive.text(file)
    with archive.naming(file):
        questions = [(str(q), answers.index(a), int(image)) for q, a, image in json.loads(text)]

    def record(entry: tuple[str, int, int]) -> Record:
        question, label, image = entry
        return {
            "image": archive.image(f"{split}/images/{image}.png"),
            "question": question,
            "answer": answers[label],
            "label": label,
        }

    return Lazy(questions, record)


def pix2code(folder: Path, split: str) -> Sequence[Record]:
    """image float32 [256, 256, 3] in 0..1 and gui, the program in the domain's language; id."""
    archive = Archive(folder / "eval_light.zip")
    stems = [n.removesuffix(".gui") for n in archive.names if n.endswith(".gui")]

    def record(stem: str) -> Record:
        import io

        content = archive.bytes(f"{stem}.npz")
        with archive.naming(f"{stem}.npz"):
            image = np.load(io.BytesIO(content))["features"]
        return {"image": image, "gui": archive.text(f"{stem}.gui"), "id": stem}

    return Lazy(stems, record)
