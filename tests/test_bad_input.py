"""Bad input of every kind: one line on the terminal, exit code 2, and nothing written.

The cases are tables: flags, values, configuration files, places, data, finished runs. They run in
this process and end before anything is compiled; those that need real data are marked slow.
"""

import functools
from pathlib import Path

import pytest

from research import app, config

ROOT = Path(__file__).resolve().parents[1]
TOY = ROOT / "tests" / "toys" / "experiments" / "line.py"


@functools.cache
def script(name):
    return config.load_module(TOY if name == "line" else ROOT / "experiments" / f"{name}.py")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs in an empty folder, without data of this machine; what would be trained, fails."""
    monkeypatch.setattr(app, "train", lambda *_: pytest.fail("it was not refused"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDMARKS_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))


def contents(folder):
    """Every file with its size and time; `folder` itself too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found[path] = (about.st_size, about.st_mtime_ns if path.is_file() else 0)
    return found


def refused(run, tmp_path, capsys, words=""):
    """Asserts that `run()` is refused as bad input is; returns the line."""
    before = contents(tmp_path)
    capsys.readouterr()
    code = run()
    said = capsys.readouterr().err
    assert code == 2, said
    assert said.startswith("error: ") and said.endswith("\n"), said
    assert said.count("\n") == 1 and said[:-1].isprintable(), said
    assert len(said) < 1500, said
    assert contents(tmp_path) == before
    assert words in said, said
    return said


# Flags of the toy: (arguments, words of the line).
FLAGS = [
    (["line"], "unknown flag 'line'"),
    (["--wrkdir=x"], "did you mean '--workdir'"),
    (["--dryrun", "v5e:2x2"], "did you mean '--dry_run'"),
    (["-x"], "unknown flag"),
    (["--"], "unknown flag"),
    ([""], "unknown flag ''"),
    (["--a\nb"], "unknown flag '--a\\nb'"),
    (["--x" * 5000], "unknown flag"),
    (["--workdir"], "needs a value"),
    (["--workdir", "--arm=fast"], "needs a value"),
    (["--config"], "needs a value"),
    (["--arm=fast", "--arm=slow"], "given twice"),
    (["--config.num_steps=1", "--config.num_steps=2"], "given twice"),
    (["--arm=fats"], "did you mean 'fast'"),
    (["--arm="], "no arm ''"),
    (["--arm=a\nb"], "no arm 'a\\nb'"),
    (["--config.learning_rat=1"], "did you mean 'learning_rate'"),
    (["--config.mesh.fdsp=1"], "did you mean 'mesh.fsdp'"),
    (["--config.=1"], "no configuration key"),
    (["--config..=1"], "no configuration key"),
    (["--config.name.deeper=1"], "no configuration key"),
    (["--config.a\nb=1"], "no configuration key"),
    (["--config.mesh=1"], "is a group"),
    (["--config.mesh={}"], "is a group"),
    (["--config.arms.fast={1: 2}"], "keys of the configuration"),
    (["--config.arms.fast={'nothing': 2}"], "no configuration key 'nothing'"),
    (["--config.arms.fast={'num_steps': 'a'}"], "num_steps"),
    (["--config.arms.fast=[1]"], "arms.fast"),
    (["--config.seed=1"], "--config.seeds"),
    (["--config.learning_rate=0.5"], "is what the arms slow set"),
    (["--workdir=gs://bucket/run"], "not in this machine's file system"),
    (["--workdir=~nobody_of_this_name/run"], "--workdir"),
    (["--dry_run="], "unknown topology"),
    (["--dry_run=nonsense"], "nonsense"),
    (["--dry_run=v5e:²x2"], "²"),
    (["--dry_run=v5e:0x2"], "v5e"),
    (["--dry_run=gpu:-1"], "gpu"),
    (["--config.published_as=nothing", "--dry_run=gpu:1"], "published_as"),
    (["--config.published_as=nothing"], "published_as"),
]

# Values of the toy's keys: type, range, choice.
VALUES = [
    "num_steps=1.5",
    "num_steps=many",
    "num_steps=",
    "num_steps=1\n2",
    "num_steps=" + "-" * 100_000,
    "num_steps=" + "(" * 1000,
    "num_steps=" + "9" * 5000,
    "num_steps=9223372036854775808",
    "num_steps=0",
    "num_steps=-1",
    "num_steps=True",
    "num_steps=None",
    "flag=1",
    "flag=yes\n",
    "sizes=a,b",
    "sizes=1,,2",
    "sizes=(1,(2,3))",
    "sizes={1:2}",
    "sizes=1,-2",
    "worst_loss=nan",
    "worst_loss=1e999",
    "worst_loss=inf",
    "worst_loss=1_0_",
    "worst_loss=-1",
    "seeds=()",
    "seeds=-1",
    "seeds=4294967296",
    "seeds=0.5",
    "seeds=0,0",
    "seeds=a",
    "log_every_steps=0",
    "log_every_steps=-1",
    "checkpoint_every_steps=-1",
    "eval_every_steps=-1",
    "profile_at_step=-1",
    "steps_per_call=0",
    "steps_per_call=-3",
    "keep_checkpoints=0",
    "keep_checkpoints=-1",
    "best_mode=upwards",
    "best_mode=",
    "compute_dtype=float99",
    "compute_dtype=int32",
    "compute_dtype=",
    "compute_dtype=bf16",
    "max_grad_norm=-1",
    "mesh.data=0",
    "mesh.fsdp=3",
    "mesh.fsdp=-2",
    "mesh.model=1000000",
    "vmap_seeds=2",
    "data.dir=" + "x" * 5000 + "\t",
]

# Values of real scripts, whose configurations are read and checked, and nothing else.
SCRIPT_VALUES = [
    ("a2c", "agent.gamma=1.5"),
    ("a2c", "env.num_envs=0"),
    ("a2c", "agent.rollout_steps=0"),
    ("a2c", "eval.episodes=0"),
    ("a2c", "total_frames=0"),
    ("a2c", "total_frames=-5"),
    ("acktr", "optimizer.factor_decay=2"),
    ("alexnet", "batch_size=0"),
    ("alexnet", "data.num_classes=0"),
    ("alexnet", "data.reduce=0"),
    ("alexnet", "test.crops=five"),
    ("dcgan", "batch_size=-8"),
    ("dcgan", "adam_b1=1"),
    ("dcgan", "model.first_norm=layer"),
    ("dcgan", "eval.num_images=0"),
    ("ddpg", "agent.tau=2"),
    ("ddpg", "replay.capacity_frames=0"),
    ("dqn_atari", "agent.target_period_updates=-1"),
    ("dqn_atari", "agent.epsilon_end=1.5"),
    ("gpt", "model.layers=-1"),
    ("gpt", "batch.levels=0"),
    ("gpt", "batch.multiple=0"),
    ("gpt", "model.dropout=-1"),
    ("gpt", "model.dropout=1.5"),
    ("gpt", "model.num_heads=0"),
    ("gpt", "model.remat=everything"),
    ("gpt", "loss_chunks=0"),
    ("gpt", "accumulate_steps=0"),
    ("gpt", "sampling.temperature=-1"),
    ("gpt", "sampling.top_k=-1"),
    ("gpt", "sampling.top_p=0"),
    ("gpt", "sampling.prompts=()"),
    ("gpt", "data.names=()"),
    ("gpt", "data.weights=-1.0"),
    ("gpt", "optimizer.learning_rate=-1"),
    ("gpt", "optimizer.b2=1"),
    ("gpt1", "finetuning.warmup_share=1.1"),
    ("human_preferences", "reward.error_rate=-0.1"),
    ("imagenet_18min", "rate_phases=()"),
    ("imagenet_1hr", "schedule.scaling=cubic"),
    ("one_weird_trick", "fc_batch_size=0"),
    ("ppo", "agent.clip=-1"),
    ("ppo", "agent.minibatches=0"),
    ("ppo", "agent.epochs=0"),
    ("resnet", "optimizer.momentum=1"),
    ("resnet", "batch_size=0"),
    ("transformer", "label_smoothing=1"),
    ("transformer", "model.dim=0"),
    ("transformer", "data.bucket_growth=1"),
    ("trpo", "agent.kl_limit=0"),
]

# What only the building of an experiment finds: values that do not go together.
BUILT = [
    ("ddpg:smoke", ["writers=('tensorbored',)"], "writers has 'tensorbored'; there are"),
    ("ddpg:smoke", ["writers=('nowhere.at_all:make',)"], "there is no module 'nowhere'"),
    ("ddpg:smoke", ["tensorboard_axis=tokens"], "tensorboard_axis is one of step, frames"),
    ("gpt", ["data.length=23"], "even length"),
    ("gpt", ["model.vocab_size=8"], "model room for 8"),
    ("gpt", ["data.num_keys=30"], "data.num_keys"),
    ("gpt", ["data.num_labels=11"], "data.num_labels"),
    ("gpt", ["model.max_length=50"], "prompts of up to 63 tokens"),
    ("gpt:tiny_shakespeare", ["eval.stride_tokens=500"], "eval.stride_tokens"),
    ("gpt", ["model.max_length=8"], "max_length"),
    ("resnet:smoke", ["model.variant=bogus"], "model.variant"),
    ("resnet:smoke", ["model.variant=cifar9"], "6n + 2"),
    ("resnet:smoke", ["model.shortcut=Z"], "model.shortcut"),
    ("resnet:smoke", ["model.stride_in=5x5"], "model.stride_in"),
    ("resnet:smoke", ["data.name=../../etc"], "no data set is called"),
    ("resnet:smoke", ["data.name="], "no data set is called ''"),
    ("resnet:smoke", ["data.name=no_such_set"], "no data set is called"),
    ("resnet:smoke", ["data.train_split=train[:0.5]"], "split"),
    ("resnet:smoke", ["data.train_split=dev"], "dev"),
    ("resnet:smoke", ["data.train_split=train[:0]"], "data.num_train"),
    ("resnet:smoke", ["data.reduce=3"], "data.reduce=3"),
    ("gpt", ["loss_chunks=5"], "loss_chunks=5"),
    ("transformer:smoke", ["data.tokens_per_batch=1000000"], "fill no batch"),
    ("resnet:smoke", ["data.num_classes=5"], "has the label"),
    ("resnet:smoke", ["data.name=mnist", "data.dir=/nowhere"], "which is not a folder"),
    ("transformer:smoke", ["data.vocab_size=100"], "data.vocab_size"),
    ("transformer:smoke", ["model.positions=rotary"], "rotary"),
    ("transformer:smoke", ["model.positions=learned", "model.max_length=40"], "model.max_length"),
    ("dcgan:smoke", ["data.image_size=20"], "image_size"),
    ("ppo:smoke", ["env.name=NoSuchGame-v0"], "NoSuchGame"),
    ("ppo:smoke", ["env.name=Cartpole-v1"], "did you mean 'CartPole-v1'"),
    ("dqn_atari:smoke", ["model.variant=bogus"], "model.variant is one of"),
    ("alexnet:smoke", ["model.activation=swish"], "model.activation"),
    ("one_weird_trick:smoke", ["loss=hinge"], "loss is one of"),
    ("ppo:smoke", ["env.name="], "no environment is called ''"),
    ("ppo:smoke", ["total_frames=1"], "makes no step"),
]

CONFIG_FILES = {
    "nothing": "",
    "a syntax error": "def get_config(:\n",
    "no Python": "\x00\x01\x02",
    "raises": "raise RuntimeError('two\\nlines')\n",
    "imports nothing": "import no_such_module_anywhere\n",
    "exits": "import sys\nsys.exit(3)\n",
    "no variants": "def get_config(variant=''):\n    return {}\n",
    "no get_config": "VARIANTS = {}\n",
    "gives a dictionary": "VARIANTS = {}\ndef get_config(variant=''):\n    return {'seeds': 1}\n",
    "gives nothing": "VARIANTS = {}\ndef get_config(variant=''):\n    pass\n",
    "get_config raises": "VARIANTS = {}\ndef get_config(variant=''):\n    return {}['x']\n",
    "takes no variant": "VARIANTS = {}\ndef get_config():\n    pass\n",
    "another script's": (ROOT / "configs" / "ppo.py").read_text(),
}

CONFIG_NAMES = [
    ("nowhere.py", "no configuration file"),
    ("", "no configuration file"),
    (".", "no configuration file"),
    ("x" * 5000 + ".py", "cannot look at"),
    ("text.txt", "ends in .py"),
    ("folder.py", "no configuration file"),
    ("line.py:smok", "did you mean 'smoke'"),
    ("line.py:smoke:", "no configuration file"),
    ("no\nfile.py", "no configuration file"),
]


def run(name, *flags):
    return lambda: app.main(script(name), list(flags))


def label(value):
    """Short names of cases, where a flag or its value stands."""
    value = value[-1] if isinstance(value, list) and value else value
    return repr(value).strip("'")[:40]


@pytest.mark.parametrize(("flags", "words"), FLAGS, ids=label)
def test_flags(flags, words, tmp_path, capsys):
    refused(run("line", *flags), tmp_path, capsys, words)


@pytest.mark.parametrize("flag", VALUES, ids=label)
def test_values(flag, tmp_path, capsys):
    key = flag.partition("=")[0]
    line = refused(run("line", f"--config.{flag}"), tmp_path, capsys)
    assert key.partition(".")[0] in line


@pytest.mark.parametrize(("name", "flag"), SCRIPT_VALUES, ids=label)
def test_values_of_scripts(name, flag):
    key = flag.partition("=")[0]
    parse = functools.partial(
        config.parse, [f"--config.{flag}"], ROOT / "experiments" / f"{name}.py"
    )
    words = f"--config.{key}(=.*: takes | is what the arms .* set)"
    with pytest.raises(config.UserError, match=words) as error:
        parse()
    assert str(error.value).isprintable()


@pytest.mark.parametrize(("name", "flags", "words"), BUILT, ids=label)
def test_values_that_do_not_go_together(name, flags, words, tmp_path, capsys):
    name, _, variant = name.partition(":")
    given = ["--config", f"{ROOT}/configs/{name}.py" + (f":{variant}" if variant else "")]
    given += [f"--config.{flag}" for flag in flags]
    refused(run(name, *given), tmp_path, capsys, words)


@pytest.mark.parametrize("kind", CONFIG_FILES)
def test_configuration_files(kind, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(CONFIG_FILES[kind])
    (tmp_path / "__pycache__").mkdir()  # of the file itself, which Python may write
    line = refused(
        lambda: app.main(script("line"), ["--config", str(path), "--config.num_steps=1"]),
        tmp_path,
        capsys,
    )
    assert "mine.py" in line


@pytest.mark.parametrize(("name", "words"), CONFIG_NAMES, ids=label)
def test_names_of_configuration_files(name, words, tmp_path, capsys):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text.txt").write_text("VARIANTS = {}")
    (tmp_path / "line.py").write_text((TOY.parents[1] / "configs" / "line.py").read_text())
    refused(run("line", "--config", name), tmp_path, capsys, words)


@pytest.mark.parametrize("kind", ["file", "too long", "link to nothing", "under a file", "foreign"])
def test_places_to_write(kind, tmp_path, capsys):
    place = tmp_path / "run"
    if kind in ("file", "under a file"):
        place.write_text("")
    if kind == "link to nothing":
        place.symlink_to(tmp_path / "nothing" / "there")
    if kind == "foreign":
        place.mkdir()
        (place / "thesis.tex").write_text("")
    given = {"too long": tmp_path / ("x" * 300), "under a file": place / "deeper"}.get(kind, place)
    refused(run("line", "--workdir", str(given)), tmp_path, capsys, "workdir")
