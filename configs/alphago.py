"""AlphaGo, AlphaGo Zero and AlphaZero: Go on boards of any size, tic-tac-toe and connect four.

    python experiments/alphago.py --config configs/alphago.py
    python experiments/alphago.py --config configs/alphago.py:tic_tac_toe
    python experiments/alphago.py --config configs/alphago.py:paper --dry_run v5e:16x16

The first checks the claims on a board of 5x5, three seeds. One step of a run is one move in each of
the games that are played side by side, and the updates that follow it. The papers' own runs take 64
GPUs and thousands of TPUs; `:go7` and `:go9` are for one GPU and have not been run.

Komi on 5x5 was chosen among 6.5, 14.5 and 24.5 on seed 0: with 6.5 black wins nearly all games, and
the value has nothing to tell; with 24.5 REINFORCE wins too few games as black to learn from. 14.5
lets both learn.
"""

from ml_collections import ConfigDict

from configs import common


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    config.game.update(size=3, komi=2.5, max_plies=12, history=1)
    config.model.update(blocks=1, filters=4, value_hidden=4)
    config.search.simulations = 4
    config.self_play.games = 8
    config.memory.rows = 30
    config.train.batch_size = 8
    config.optimizer.warmup_updates = 2
    config.eval.openings = 4
    config.elo.snapshots = 1
    config.num_steps = 30
    config.log_every_steps = 5
    config.checkpoint_every_steps = 10
    config.steps_per_call = 5
    config.seeds = (0,)
    config.check_claims = False
    config.arms = ConfigDict({"alphazero": {}}, convert_dict=False)


def pipeline() -> ConfigDict:
    """The stages of 2016: supervision, reinforcement, values, and the search that mixes them."""
    return ConfigDict(
        {
            "stage": "policy",  # or "reinforce", "value": which is built by itself, for its size
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
            "learning_rate": 0.004,  # of a gradient that is a sum over the moves of a game
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
    config.elo = ConfigDict({"snapshots": 4})  # players of the past, at equal parts of the run
    config.rival = ""  # an arm whose search meets what this arm has learned
    config.num_steps = 600
    config.log_every_steps = 25
    config.seeds = (0, 1, 2)
    config.arms = ConfigDict(
        {
            # Every key that another arm sets: those go back to this one's run.
            "alphazero": {
                "method": "alphazero",
                "num_steps": 600,
                "rival": "",
                "self_play.noise_share": 0.25,
                "self_play.searches": True,
            },
            "no_noise": {"self_play.noise_share": 0.0, "rival": "alphazero"},
            "no_search": {"self_play.searches": False},
            "alphago": {"method": "alphago", "rival": "alphazero"},
            "reinforce": {"method": "reinforce", "num_steps": 32, "rival": "alphazero"},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)


VARIANTS = {"smoke": smoke}
