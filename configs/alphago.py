"""AlphaGo, AlphaGo Zero and AlphaZero: Go on boards of any size, tic-tac-toe and connect four.

    python experiments/alphago.py --config configs/alphago.py
    python experiments/alphago.py --config configs/alphago.py:pipeline
    python experiments/alphago.py --config configs/alphago.py:tic_tac_toe
    python experiments/alphago.py --config configs/alphago.py:paper --dry_run v5e:16x16
    python experiments/alphago.py --config configs/alphago.py:alphago \\
        --config.alphago.sgf_folder=FOLDER

The first checks the claims on a board of 5x5, three seeds. One step of a run is one move in each of
the games that are played side by side, and the updates that follow it. The papers' own runs take 64
GPUs and thousands of TPUs; `:go7` and `:go9` are for one GPU and have not been run. The last one is
the pipeline of 2016 at its own size, on people's games as SGF files; the paper's are of u-go.net.

Komi on 5x5 was chosen among 6.5, 14.5 and 24.5 on seed 0: with 6.5 black wins nearly all games, and
the value has nothing to tell; with 24.5 REINFORCE wins too few games as black to learn from. 14.5
lets both learn.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative

ALLOWED = {"optimizer.warmup_updates": non_negative}  # 0: the rate is there at once

# Every key that another arm sets: those go back to this one's run.
ALPHAZERO = {
    "method": "alphazero",
    "num_steps": 600,
    "rival": "",
    "self_play.noise_share": 0.25,
    "self_play.searches": True,
}
# As many games as AlphaZero plays.
# Score of the sampled policy against random moves, on seeds 10 and 11; about 0.04 of it is chance.
TRIED = {
    "reinforce": "rates of 0.0005 (0.43), 0.004 (0.46), 0.03 (0.60), 0.1 (0.52, 0.51), 0.3 (0.51, "
    "0.56); with four times the games 0.001 (0.52), 0.004 (0.59)",
}

REINFORCE = {"method": "reinforce", "num_steps": 32, "rival": "alphazero"}


def ablations(config: ConfigDict) -> None:
    """What the search and its noise are for: self-play without either, on 5x5."""
    config.arms = ConfigDict(
        {
            "alphazero": ALPHAZERO,
            "no_noise": {"self_play.noise_share": 0.0, "rival": "alphazero"},
            "no_search": {"self_play.searches": False},
        },
        convert_dict=False,
    )


def pipeline_5x5(config: ConfigDict) -> None:
    """The pipeline of 2016 on 5x5; its expert is the search of the arm `alphazero`."""
    config.arms = ConfigDict(
        {"alphazero": ALPHAZERO, "alphago": {"method": "alphago", "rival": "alphazero"}},
        convert_dict=False,
    )


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    config.game.update(size=3, komi=2.5, max_plies=12, history=1)
    config.model.update(blocks=1, filters=4, value_hidden=4)
    config.search.simulations = 4
    config.self_play.games = 8
    config.memory.rows = 30
    config.train.batch_size = 8
    config.optimizer.warmup_updates = 2
    config.reinforce.update(games=8, pool=2)
    config.alphago.update(filters=4, layers=2, value_hidden=4, expert_batches=2)
    config.alphago.update(policy_steps=4, batch_size=8, reinforce_steps=4)
    config.alphago.update(value_positions=16, value_steps=4, value_batch_size=8, longest_start=4)
    config.eval.openings = 4
    config.elo.snapshots = 1
    config.log_every_steps = 2
    config.checkpoint_every_steps = 10
    config.seeds = (0,)
    config.check_claims = False
    config.elo.watch = False
    config.arms = ConfigDict({"alphazero": {**ALPHAZERO, "num_steps": 30}}, convert_dict=False)


def smoke_all(config: ConfigDict) -> None:
    """As `:smoke`, with every method: minutes, for all that has to be compiled."""
    smoke(config)
    config.elo.watch = True
    config.arms.reinforce = {**REINFORCE, "num_steps": 4}
    config.arms.alphago = {"method": "alphago", "rival": "alphazero"}


def pipeline() -> ConfigDict:
    """The stages of 2016: supervision, reinforcement, values, and the search that mixes them."""
    return ConfigDict(
        {
            "stage": "policy",  # or "reinforce", "value": which is built by itself, for its size
            "sgf_folder": "",  # of people's games; "": those of the search of the arm `rival`
            "filters": 32,
            "layers": 5,  # of the convolutions before the last one, 12 in the paper
            "value_hidden": 32,
            "expert_batches": 6,  # of self_play.games games each; the expert is the arm `rival`
            "policy_steps": 1_400,
            "batch_size": 128,
            "policy_rate": 0.05,
            "halve_every": 0,  # updates; 0: never
            "reinforce_steps": 100,
            "reinforce_rate": 0.002,
            "value_positions": 4_096,
            "value_steps": 768,
            "value_batch_size": 128,
            "value_rate": 0.02,
            "longest_start": 20,  # U is uniform over 1 to this
            "prior_temperature": 1.5,  # 1 / beta
            "c_puct": 5.0,
            "threshold": 0,  # visits before a move gets a node of its own
            "mixing": 0.5,  # lambda
        }
    )


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.method = "alphazero"  # or "alphago_zero", "alphago" (2016), "reinforce" (no search)
    config.game = ConfigDict(
        {
            "name": "go",  # or "tic_tac_toe", "connect_four", which take no size and no komi
            "size": 5,
            "komi": 14.5,
            "max_plies": 50,  # 0: two for every point of the board
            "history": 2,  # boards that the network sees; 8 in the paper
        }
    )
    config.model = ConfigDict(
        {
            "blocks": 2,
            "filters": 32,
            "value_hidden": 32,
        }
    )
    config.search = ConfigDict(
        {
            "simulations": 24,
            "c_init": 1.25,
            "c_base": 19652.0,  # 0: the prior's weight does not grow with the visits
            "leaves": 1,  # found one after the other, evaluated together
            "virtual_loss": 1.0,  # games that a leaf in evaluation counts as lost
            "symmetries": True,  # each position is evaluated as it looks after a random one
            "reuse": False,  # the tree below the move that was played
        }
    )
    config.self_play = ConfigDict(
        {
            "games": 128,  # side by side
            "searches": True,  # or the policy plays by itself, and learns its own moves
            "noise_alpha": 10 / 26,  # of the root's Dirichlet noise: ten over the number of moves
            "noise_share": 0.25,  # epsilon; 0: none
            "explore_plies": 10,  # in which moves are drawn; then the most visited is played
            "resign_wrong": 0.0,  # games given up that would have been won; 0: none is given up
        }
    )
    config.memory = ConfigDict({"rows": 600})  # plies of each game
    config.train = ConfigDict(
        {
            "updates": 2,  # in each step, after one move of every game
            "batch_size": 256,
            "symmetries": True,
            "value_weight": 1.0,
        }
    )
    config.optimizer = ConfigDict(
        {
            # From a share of the run on, the rate.
            "rates": ((0.0, 0.05), (0.6, 0.01), (0.9, 0.0015)),
            "warmup_updates": 100,
            "momentum": 0.9,
            "l2": 1e-4,
        }
    )
    # The evaluator of AlphaGo Zero: the newest network plays for the others' sake once it wins.
    config.gate = ConfigDict({"every_steps": 0, "openings": 40, "win_share": 0.55})
    # REINFORCE: the policy against its own past.
    config.reinforce = ConfigDict(
        {
            "games": 64,  # in a batch
            "pool": 8,  # past policies
            "pool_every_steps": 4,
            "learning_rate": 0.03,  # of a gradient that is a sum over the moves of a game
            "value_weight": 1.0,
        }
    )
    config.alphago = pipeline()
    config.eval = ConfigDict(
        {
            "openings": 80,  # each played with both colours
            "opening_plies": 2,  # random moves
            "seed": 1000,  # of the openings and of the untrained network
        }
    )
    config.elo = ConfigDict(
        {
            "snapshots": 6,  # players of the past, at equal parts of the run
            "watch": True,  # the last of them plays the first, and the game is kept as SGF
        }
    )
    config.rival = ""  # an arm whose search meets what this arm has learned
    config.num_steps = 600
    config.log_every_steps = 25
    config.seeds = (0, 1, 2)
    config.arms = ConfigDict({"alphazero": ALPHAZERO, "reinforce": REINFORCE}, convert_dict=False)
    return common.choose(config, VARIANTS, variant)


def alone(config: ConfigDict) -> None:
    """One run, on the game and at the sizes that a variant says."""
    common.single(config)
    config.eval.openings = 100
    config.log_every_steps = 100
    config.checkpoint_every_steps = 1_000
    config.seeds = (0,)


def tic_tac_toe(config: ConfigDict) -> None:
    """Tic-tac-toe: minutes on a laptop; played well, every game is a draw."""
    alone(config)
    config.game.update(name="tic_tac_toe", max_plies=9, history=1)
    config.model.update(blocks=1, filters=16, value_hidden=16)
    config.search.simulations = 32
    config.self_play.update(noise_alpha=1.0, explore_plies=4)
    config.memory.rows = 100
    config.num_steps = 400


def connect_four(config: ConfigDict) -> None:
    """Connect four; an hour on a laptop, minutes on a GPU."""
    alone(config)
    config.game.update(name="connect_four", max_plies=42, history=1)
    config.model.update(blocks=3, filters=64, value_hidden=64)
    config.search.simulations = 64
    config.self_play.update(noise_alpha=1.4, explore_plies=10)
    config.num_steps = 5_000
    config.memory.rows = 1_000


def alphago_zero(config: ConfigDict) -> None:
    """5x5 as AlphaGo Zero has it: an evaluator, resignation, the tree below the move kept."""
    alone(config)
    config.method = "alphago_zero"
    config.search.update(c_base=0.0, reuse=True)
    config.self_play.resign_wrong = 0.05
    config.gate.every_steps = 100


def small_go(config: ConfigDict, size: int, komi: float, blocks: int, steps: int) -> None:
    alone(config)
    config.game.update(size=size, komi=komi, max_plies=0, history=4)
    config.model.update(blocks=blocks, filters=64, value_hidden=64)
    config.search.simulations = 100
    config.self_play.update(games=512, noise_alpha=10 / (size * size + 1), explore_plies=size * 2)
    config.memory.rows = 2_000
    config.train.update(updates=4, batch_size=1_024)
    config.optimizer.warmup_updates = 1_000
    config.num_steps = steps


def paper(config: ConfigDict) -> None:
    """AlphaGo Zero, 19x19, 20 blocks: the paper's network and schedule, self-play in the step."""
    alone(config)
    config.method = "alphago_zero"
    config.published_as = "20 blocks"
    config.game.update(size=19, komi=7.5, max_plies=722, history=8)
    config.model.update(blocks=19, filters=256, value_hidden=256)
    config.search.update(simulations=1_600, c_base=0.0, reuse=True)
    config.self_play.update(games=2_048, noise_alpha=0.03, explore_plies=30, resign_wrong=0.05)
    # 500,000 games of 293 plies. One move of 2,048 games and one update make seven games a step,
    # as 4.9 million games in 700,000 steps do.
    config.memory.rows = 71_536
    config.train.update(updates=1, batch_size=2_048)
    config.optimizer.update(
        rates=((0.0, 1e-2), (400 / 700, 1e-3), (600 / 700, 1e-4)), warmup_updates=0
    )
    # 400 games in the paper; so many divide over the chips of a slice.
    config.gate.update(every_steps=1_000, openings=256)
    config.eval.openings = 200
    config.elo.snapshots = 0
    config.num_steps = 700_000


def blocks40(config: ConfigDict) -> None:
    """As `:paper`, with 40 blocks, 3.1 million steps."""
    paper(config)
    config.published_as = "40 blocks"
    config.model.blocks = 39
    config.num_steps = 3_100_000


def alphazero(config: ConfigDict) -> None:
    """AlphaZero's Go: no evaluator, no symmetries, batches of 4,096, 800 simulations."""
    paper(config)
    config.method = "alphazero"
    config.gate.every_steps = 0
    config.self_play.update(games=4_096)
    config.search.update(simulations=800, c_base=19652.0, symmetries=False)
    config.train.update(batch_size=4_096, symmetries=False)
    # Go starts at 0.02, where chess and shogi start at 0.2.
    config.optimizer.rates = ((0.0, 0.02), (3 / 7, 0.002), (5 / 7, 0.0002))


def pipeline_2016(config: ConfigDict, stage: str) -> None:
    alone(config)
    config.method = "alphago"
    config.published_as = "value 192" if stage == "value" else "policy 192"
    config.game.update(size=19, komi=7.5, max_plies=722, history=1)
    config.reinforce.update(games=128, pool=20, pool_every_steps=500)
    config.alphago.update(stage=stage, filters=192, layers=12, value_hidden=256)
    config.alphago.update(policy_steps=340_000_000, batch_size=16, policy_rate=0.003)
    config.alphago.update(halve_every=80_000_000, reinforce_steps=10_000)
    config.alphago.update(value_steps=50_000_000, value_batch_size=32, value_rate=0.003)
    config.alphago.update(value_positions=30_000_000, longest_start=450)
    config.alphago.update(prior_temperature=1 / 0.67, threshold=40)


VARIANTS = {
    "smoke": smoke,
    "smoke_all": smoke_all,
    "ablations": ablations,
    "pipeline": pipeline_5x5,
    "tic_tac_toe": tic_tac_toe,
    "connect_four": connect_four,
    "alphago_zero": alphago_zero,
    "go7": common.described(
        "7x7, for one GPU; has not been run.", small_go, 7, komi=8.5, blocks=5, steps=20_000
    ),
    "go9": common.described(
        "9x9, for one GPU; has not been run.", small_go, 9, komi=6.5, blocks=8, steps=100_000
    ),
    "paper": paper,
    "blocks40": blocks40,
    "alphazero": alphazero,
    "alphago": common.described(
        "AlphaGo (2016), 19x19: all stages, on people's games; by itself, the policy network.",
        pipeline_2016,
        stage="policy",
    ),
    "alphago_reinforce": common.described(
        "The same; by itself, its reinforcement.", pipeline_2016, stage="reinforce"
    ),
    "alphago_value": common.described(
        "The same; by itself, its value network.", pipeline_2016, stage="value"
    ),
}
