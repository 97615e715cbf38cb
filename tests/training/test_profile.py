from research.training.profile import Profile
from tests.training.toy import build, settings, train


def test_traces_the_dispatches_after_a_step(tmp_path):
    config = settings(profile_at_step=10)
    train(build(config), config, tmp_path)
    traces = list((tmp_path / "profile").rglob("*.xplane.pb"))
    assert traces and traces[0].stat().st_size > 0


def test_never_by_default(tmp_path):
    profile = Profile(tmp_path, 0)
    for step in range(20):
        profile.after(step)
    assert profile.left is None and list(tmp_path.iterdir()) == []
