"""The reader of CLEVR's own files, on a release of three questions; what is wrong is one line."""

import json

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.sources import clevr

THING = {
    "3d_coords": [1.0, -2.0, 0.5],
    "color": "cyan",
    "shape": "sphere",
    "material": "metal",
    "size": "large",
}
ASKED = [
    ("Is there a sphere?", "yes", "exist"),
    ("How many cubes?", "0", "count"),
    ("What is its color?", "cyan", "query_color"),
    ("Same size?", "no", "equal_size"),
    ("As many?", "yes", "equal_integer"),
]


def write(folder, **broken):
    questions = [
        {
            "question": text,
            "answer": answer,
            "image_index": 4,
            "image_filename": "CLEVR_train_000004.png",
            "program": [{"function": "scene"}, {"function": kind}],
        }
        for text, answer, kind in ASKED
    ]
    thing = {**THING, **broken.get("thing", {})}
    content = {
        "questions": {"questions": broken.get("questions", questions)},
        "scenes": {"scenes": [{"image_index": 4, "objects": [thing]}]},
    }
    for name, values in content.items():
        (folder / clevr.FOLDER / name).mkdir(parents=True, exist_ok=True)
        (folder / clevr.FOLDER / name / f"CLEVR_train_{name}.json").write_text(json.dumps(values))
    return clevr.find(str(folder))


def test_questions_and_scenes_are_read(tmp_path):
    folder = write(tmp_path)
    found = clevr.questions(folder, "train")
    assert [q.kind for q in found] == [
        "exist",
        "count",
        "query_attribute",
        "compare_attribute",
        "compare_numbers",
    ]
    assert found[0][:4] == ("Is there a sphere?", "yes", 4, "CLEVR_train_000004.png")
    objects = clevr.scenes(folder, "train")[4]
    assert objects.shape == (1, 18)
    np.testing.assert_allclose(objects[0, :3], [1, -2, 0.5])
    np.testing.assert_array_equal(np.nonzero(objects[0, 3:])[0] + 3, [9, 12, 15, 17])
    assert clevr.find(str(folder)) == folder, "the folder itself is as good"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"questions": [{"question": "?"}]}, "record 0 of questions has no 'image_index'"),
        ({"questions": []}, "no list of questions"),
        ({"thing": {"color": "pink"}}, "record 0 of scenes: color is one of gray"),
        ({"thing": {"3d_coords": [1, 2]}}, "record 0 of scenes"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, broken, words):
    folder = write(tmp_path, **broken)
    with pytest.raises(UserError) as error:
        clevr.questions(folder, "train"), clevr.scenes(folder, "train")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_missing_files_are_named(tmp_path):
    for data_dir in ("", str(tmp_path)):
        with pytest.raises(UserError, match=r"CLEVR not found: no CLEVR_v1.0/questions/"):
            clevr.find(data_dir)
    folder = write(tmp_path)
    with pytest.raises(UserError, match="CLEVR_val_questions.json; unpack"):
        clevr.questions(folder, "val")
    with pytest.raises(UserError, match="CLEVR_train_000004.png; unpack"):
        clevr.image_path(folder, "train", "CLEVR_train_000004.png")
