"""Images, texts and pairs of one's own: what is read, how it is split, what is refused."""

import numpy as np
import pytest
from PIL import Image

from research import data
from research.core import UserError
from research.data.images.images import Images, ImageSplits
from research.data.text.parallel import parallel_text
from research.data.text.tokenization import JointBPE


def message(name, split="train"):
    with pytest.raises(UserError) as caught:
        data.load(name, split)
    text = str(caught.value)
    assert "\n" not in text
    return text


def write_image(path, colour=(10, 20, 30), size=(6, 4), **save):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **save)


@pytest.fixture
def photos(tmp_path):
    """60 images of three classes, in several formats."""
    for i in range(60):
        kind = ("png", "bmp", "gif", "tiff")[i % 4]
        write_image(tmp_path / "photos" / ("cat", "dog", "eel")[i % 3] / f"{i}.{kind}", (i, i, i))
    return tmp_path / "photos"


def names_of(folder, split, options=""):
    """Which files a split has, told by their grey."""
    return {int(r["image"][0, 0, 0]) for r in data.load(f"folder:{folder}{options}", split)}


def test_classes_are_folders_by_name(photos):
    train = data.load(f"folder:{photos}", "train")
    assert train.class_names == ("cat", "dog", "eel")
    record = train[0]
    assert record["image"].shape == (4, 6, 3) and record["image"].dtype == np.uint8
    for record in train:
        assert abs(int(record["image"][0, 0, 0]) % 3 - record["label"]) in (0, 1, 2)
    assert "3 classes, train, split by shares (0.1 test, 0.1 validation, seed 0)" in train.origin


@pytest.mark.parametrize("kind", ["jpg", "webp", "tif", "ppm", "ico"])
def test_formats_that_pillow_reads(tmp_path, kind):
    for name in ("cat", "dog"):
        write_image(tmp_path / name / f"a.{kind}", (200, 100, 50), (16, 16))
    dataset = data.load(f"folder:{tmp_path}?test=0&validation=0", "train")
    assert len(dataset) == 2
    np.testing.assert_allclose(dataset[0]["image"][8, 8], (200, 100, 50), atol=4)


def test_splits_are_disjoint_and_complete(photos):
    parts = [names_of(photos, split) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 60 and len(set.union(*parts)) == 60
    assert all(parts)


def test_a_split_stays_when_images_are_added(photos):
    before = names_of(photos, "test")
    for i in range(60, 90):
        write_image(photos / "cat" / f"{i}.png", (i, i, i))
    assert before == {i for i in names_of(photos, "test") if i < 60}


def test_a_split_does_not_depend_on_where_the_folder_lies(photos, tmp_path):
    before = names_of(photos, "test")
    assert names_of(photos.rename(tmp_path / "moved"), "test") == before


def test_shares_and_seed(photos):
    half = names_of(photos, "test", "?test=0.5&validation=0")
    assert 15 < len(half) < 45 and names_of(photos, "train", "?test=0.5&validation=0").isdisjoint(
        half
    )
    assert names_of(photos, "test", "?test=0.5&seed=1") != names_of(photos, "test", "?test=0.5")
    assert "is empty" in message(f"folder:{photos}?validation=0", "validation")
    assert "takes a share" in message(f"folder:{photos}?test=2")
    assert "takes a whole number" in message(f"folder:{photos}?seed=-1")
    assert "no option; there are test" in message(f"folder:{photos}?tst=0.1")
    assert "leave nothing to train on" in message(f"folder:{photos}?test=0.5&validation=0.5")


def test_splits_by_folders(photos, tmp_path):
    split = tmp_path / "split"
    for i, part in enumerate(("train", "train", "val", "test")):
        for name in ("cat", "dog"):
            write_image(split / part / name / f"{i}.png", (i, i, i))
    assert {int(r["image"][0, 0, 0]) for r in data.load(f"folder:{split}", "train")} == {0, 1}
    assert {int(r["image"][0, 0, 0]) for r in data.load(f"folder:{split}", "validation")} == {2}
    assert len(data.load(f"folder:{split}", "test[:50%]")) == 1
    write_image(split / "test" / "eel" / "0.png")
    assert "has a class 'eel' that" in message(f"folder:{split}", "test")
    (split / "validation").mkdir()
    assert "both val/ and validation/" in message(f"folder:{split}")


def test_train_alone_is_refused(tmp_path):
    for name in ("cat", "dog"):
        write_image(tmp_path / "train" / name / "0.png")
    assert "has a train/ but no test/" in message(f"folder:{tmp_path}")


def test_what_people_see(tmp_path):
    """Turned as the camera noted, on white where it is transparent, 16 bits not cut off."""
    from research.data.sources.own.images import read_image

    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    write_image(tmp_path / "turned.jpg", size=(6, 4), exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (6, 4, 3)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert (read_image(tmp_path / "deep.png") == 40_000 >> 8).all()
    Image.new("CMYK", (2, 2), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    assert read_image(tmp_path / "print.jpg").shape == (2, 2, 3)
    Image.new("F", (2, 2)).save(tmp_path / "numbers.tiff")
    with pytest.raises(UserError, match="not colours"):
        read_image(tmp_path / "numbers.tiff")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_image_is_named(photos, content):
    (photos / "cat" / "broken.png").write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.png is no image that Pillow reads") as caught:
        for split in ("train", "validation", "test"):
            list(data.load(f"folder:{photos}", split))
    assert "\n" not in str(caught.value)


def test_other_files_are_counted_and_hidden_ones_are_not(photos):
    (photos / "cat" / "notes.txt").write_text("three cats")
    (photos / "cat" / ".DS_Store").write_bytes(b"")
    assert "1 files that are no images left out" in data.load(f"folder:{photos}", "train").origin
    (photos / "fox").mkdir()
    assert "fox holds no image" in message(f"folder:{photos}")


@pytest.mark.parametrize("kind", ["folder", "text", "pairs"])
def test_nothing_there(kind, tmp_path):
    assert "there is no" in message(f"{kind}:{tmp_path}/nothing")
    assert "there is no" in message(f"{kind}:")
    assert "there is no" in message(f"{kind}:" + "x" * 5000)


def test_folder_of_a_file_or_without_classes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert "there is no folder" in message(f"folder:{tmp_path}/a.png")
    assert "a folder for each class of images; it has none" in message(f"folder:{tmp_path}")
    (tmp_path / "cat").mkdir()
    assert "it has only cat/" in message(f"folder:{tmp_path}")
    assert "no split 'tests'" in message(f"folder:{tmp_path}", "tests")


def test_images_of_other_sizes_need_an_augmentation_that_resizes(photos):
    splits = ImageSplits(f"folder:{photos}", 4)
    images = Images(splits, 4, augmentation="mirror", num_classes=3)
    with pytest.raises(UserError, match="4 x 6 in .* takes 4 x 4; choose one that resizes"):
        images.augmented(images.train[0], np.random.default_rng(0))
    images = Images(splits, 4, augmentation="resized", num_classes=3)
    assert images.augmented(images.train[0], np.random.default_rng(0))["image"].shape == (4, 4, 3)
    write_image(photos / "cat" / "large.png", size=(9, 9))
    with pytest.raises(UserError, match="several sizes"):
        for split in ("train", "validation", "test"):
            ImageSplits(f"folder:{photos}", 4, in_memory=True)(split)


def test_grey_networks_get_grey(photos):
    images = Images(ImageSplits(f"folder:{photos}", 4), 4, channels=1, augmentation="whole")
    image = images.augmented(images.train[0], np.random.default_rng(0))["image"]
    assert image.shape == (4, 4, 1) and image.dtype == np.uint8


# Texts.


def test_one_text_is_cut_at_lines(tmp_path):
    lines = [f"line {i} of ünicode\n" for i in range(100)]
    path = tmp_path / "book.txt"
    path.write_text("".join(lines), encoding="utf-8")
    parts = [data.load(f"text:{path}", s)[0]["text"] for s in ("train", "validation", "test")]
    assert "".join(parts) == "".join(lines)
    assert all(part.endswith("\n") for part in parts)
    assert len(parts[0]) == pytest.approx(0.8 * len("".join(lines)), rel=0.02)


def test_many_texts_are_split_as_wholes(tmp_path):
    for i in range(60):
        (tmp_path / f"{i}.md").write_text(f"text {i}")
    parts = [
        {r["text"] for r in data.load(f"text:{tmp_path}", s)}
        for s in ("train", "validation", "test")
    ]
    assert all(parts) and len(set.union(*parts)) == sum(map(len, parts)) == 60


def test_texts_by_folders(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.txt").write_text(f"of {split}")
    assert data.load(f"text:{tmp_path}", "test")[0]["text"] == "of test"
    assert "no split 'validation'" in message(f"text:{tmp_path}", "validation")


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"first line\nna\xefve\n")
    said = message(f"text:{path}")
    assert f"{path} is not UTF-8: byte 13 (line 2) is 0xef" in said
    path.write_bytes(b"\xef\xbb\xbfab\xff")
    assert "byte 5 (line 1) is 0xff" in message(f"text:{path}")
    path.write_bytes("\ufeffabc\n".encode() * 1)
    assert data.load(f"text:{path}?test=0&validation=0", "train")[0]["text"] == "abc\n"


def test_empty_texts(tmp_path):
    assert "holds no file" in message(f"text:{tmp_path}")
    (tmp_path / "empty.txt").write_text("")
    assert "is empty" in message(f"text:{tmp_path}")


# Pairs.


def write_pairs(path, count=200):
    path.write_text("".join(f"ein wort {i}\ta word {i}\n" for i in range(count)), encoding="utf-8")


def test_pairs_of_a_file_and_of_two(tmp_path):
    write_pairs(tmp_path / "pairs.tsv")
    rows = [line.split("\t") for line in (tmp_path / "pairs.tsv").read_text().splitlines()]
    for i, name in enumerate(("a.de", "a.en")):
        (tmp_path / name).write_text("".join(row[i] + "\n" for row in rows))
    for split in ("train", "validation", "test"):
        one = list(data.load(f"pairs:{tmp_path}/pairs.tsv", split))
        two = list(data.load(f"pairs:{tmp_path}/a.de,{tmp_path}/a.en", split))
        assert one == two and one[0]["source"].startswith("ein wort")
    with (tmp_path / "a.en").open("a") as file:
        file.write("one more\n")
    assert "200 lines and" in message(f"pairs:{tmp_path}/a.de,{tmp_path}/a.en")


def test_a_sentence_is_in_one_split_however_often_it_stands_there(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"ein wort {i % 40}\tword {i}\n" for i in range(200)))
    parts = [
        {r["source"] for r in data.load(f"pairs:{path}", s)}
        for s in ("train", "validation", "test")
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tb\nc\n", "line 2: a pair is two sentences with a tab between; there are 1"),
        ("a\tb\tc\n", "there are 3"),
        ("a\tb\n\tc\n", "line 2: one side is empty"),
        ("", "is empty"),
    ],
)
def test_what_is_no_pair(tmp_path, content, said):
    (tmp_path / "pairs.tsv").write_text(content)
    assert said in message(f"pairs:{tmp_path}/pairs.tsv")


def test_pairs_by_files(tmp_path):
    write_pairs(tmp_path / "train.tsv", 10)
    assert "no split 'test'" in message(f"pairs:{tmp_path}", "test")
    write_pairs(tmp_path / "test.tsv", 3)
    assert len(data.load(f"pairs:{tmp_path}", "test")) == 3
    assert "holds no train.tsv" in message(f"pairs:{tmp_path.parent}")


def test_translation_scripts_take_them(tmp_path):
    write_pairs(tmp_path / "pairs.tsv")
    learn = JointBPE(300)
    text = parallel_text(f"pairs:{tmp_path}/pairs.tsv", "", "en", "xx", learn, 0, 0)
    assert text.pairs("train")[0] == ("ein wort 0", "a word 0")
    assert str(tmp_path) in text.origin
    (tmp_path / "a.txt").write_text("a text\n" * 50)
    text = parallel_text(f"text:{tmp_path}/a.txt", "", "en", "xx", learn, 0, 0)
    with pytest.raises(UserError, match="holds no pairs of sentences"):
        text.pairs("train")
