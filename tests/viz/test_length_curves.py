"""A picture for one seed and for several."""

from PIL import Image

from research.viz.length_curves import plot_by_length


def test_one_seed_and_several(tmp_path):
    sizes = []
    for scores in ({5: 30.0, 10: 20.0}, {10: [20.0, 25.0], 5: [30.0, 31.0]}):
        plot_by_length(tmp_path / "a.png", {"ours": scores}, "words", "BLEU")
        sizes.append(Image.open(tmp_path / "a.png").size)
    assert sizes[0] == sizes[1] == (720, 456)
