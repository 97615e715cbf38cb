"""The figure shows every arm of a seed that has run."""

import json

from PIL import Image

from research.papers.resnet.layer_responses import save_responses


def test_arms_of_one_seed_share_a_figure(tmp_path):
    folders = [tmp_path / arm / "0" for arm in ("plain", "residual")]
    for folder, value in zip(folders, (1.0, 0.5), strict=True):
        folder.mkdir(parents=True)
        save_responses(folder, {"stem": value, "stage1_block1_1": value / 2})
    assert json.loads((folders[1] / "responses.json").read_text())["stem"] == 0.5

    def colours(folder):
        pixels = Image.open(folder / "responses.png").convert("RGB").getcolors(2**24)
        return {colour for count, colour in pixels if count > 50}

    # matplotlib's second colour is there only where there is a second curve.
    assert (255, 127, 14) in colours(folders[1]) and (255, 127, 14) not in colours(folders[0])
