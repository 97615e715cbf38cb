"""Whatever text the command line holds: a configuration, or one line that says what is wrong."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from research import config, schema
from research.core import UserError

SCRIPT = Path(__file__).resolve().parent / "toys" / "experiments" / "line.py"
KEYS = [*dict(config.flat(config.load_config(SCRIPT.parents[1] / "configs" / "line.py"))), "arms"]

words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["--config", "--workdir", "--arm", "--dry_run", "--", "fast", "=", "~", "\0"]),
    st.builds("--config.{}={}".format, st.sampled_from(KEYS), st.text(max_size=20)),
    st.builds("--config.{}={!r}".format, st.sampled_from(KEYS), st.integers() | st.floats()),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


def outcome(argv):
    """The flags, or None where they are refused in one line."""
    try:
        return config.parse(argv, SCRIPT)
    except UserError as error:
        assert str(error) and str(error).isprintable() and len(str(error)) < 1300
        return None


@given(st.lists(words, max_size=4))
@example(["--config.num_steps=" + "-" * 10_000])
@example(["--config.sizes=" + "(" * 300])
@example(["--config", "\ud800"])
@example(["--workdir", "\0"])
@settings(max_examples=150, deadline=None)
def test_any_words(argv):
    if not {"-h", "--help", "--print_config"} & set(argv):
        outcome(argv)


@given(st.sampled_from(KEYS), values)
@settings(max_examples=200, deadline=None)
def test_any_value_is_of_its_type_and_range_or_refused(key, value):
    flags = outcome([f"--config.{key}={value!r}"])
    if flags is None or key == "arms":
        return
    before = dict(config.flat(config.load_config(flags.path)))
    after = dict(config.flat(flags.config))
    assert type(after[key]) is type(before[key])
    assert {k for k in after if after[k] is not before[k] and after[k] != before[k]} <= {key}
    schema.check(after, {}, {}, "main")


@given(
    st.integers(0, 2**31), st.floats(0, 1e30), st.text(), st.lists(st.integers(0, 9), max_size=4)
)
@settings(max_examples=50, deadline=None)
def test_what_is_written_as_a_flag_is_read_back(number, real, text, sizes):
    given_flags = {
        "num_steps": number + 1,
        "worst_loss": real,
        "name": text,
        "sizes": tuple(sizes),
        "flag": bool(number % 2),
    }
    flags = config.parse([f"--config.{k}={v}" for k, v in given_flags.items()], SCRIPT)
    assert {key: flags.config[key] for key in given_flags} == given_flags


@given(st.text(st.characters(exclude_characters="(@")))  # it is run: nothing that calls anything
@settings(max_examples=100, deadline=None)
def test_any_configuration_file(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("files") / "mine.py"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(UserError) as error:
        config.load_config(path)
    assert str(error.value).isprintable()
