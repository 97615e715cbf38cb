"""Auto-Encoding Variational Bayes (Kingma and Welling, 2013).

    python experiments/vae.py
    python experiments/vae.py --config configs/vae.py:mnist --config.data.dir=DIR

The default trains on scikit-learn's digits, with nothing downloaded: one model of ten latents by the
reparameterised bound, by wake-sleep and by the score function's gradient, the first with 200 latents
too, and a model of three latents by the bound, by wake-sleep and by Monte Carlo EM, whose marginal
likelihood is estimated. Minutes on two cores.

Paper: curves of the bound for 3 to 200 latents (figure 2) and of the marginal likelihood (figure 3).
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import any_number, non_negative, one_of, share

ALLOWED = {
    "method": one_of("aevb", "score_function", "wake_sleep", "mcem", "full_vb"),
    "estimator": one_of("A", "B"),
    "dreams": one_of("samples", "means"),
    "model.likelihood": one_of("bernoulli", "gaussian"),
    "model.activation": one_of("tanh", "softplus", "relu"),
    "eval.marginal_images": non_negative,  # 0: the marginal likelihood is not estimated
    "mcem.acceptance": share,
    "full_vb.log_var": any_number,
}

TRIED: dict[str, str] = {}


def arm(method: str, latent_size: int, learning_rate: float, **more: object) -> dict:
    """Overrides of an arm."""
    return {
        "method": method,
        "model.latent_size": latent_size,
        "learning_rate": learning_rate,
        **more,
    }


def marginal(method: str, learning_rate: float, num_images: int) -> dict:
    """Figure 3: three latents and 100 hidden units, for which log p(x) can be estimated."""
    return arm(
        method,
        3,
        learning_rate,
        **{"model.hidden": 100, "eval.marginal_images": num_images},
    )


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.aevb_10 = arm("aevb", 10, 0.02)
    config.arms.wake_sleep_10 = arm("wake_sleep", 10, 0.02)
    config.arms.score_function_10 = arm("score_function", 10, 0.02)
    config.arms.aevb_200 = arm("aevb", 200, 0.02)
    config.arms.marginal_aevb = marginal("aevb", 0.02, 360)
    config.arms.marginal_wake_sleep = marginal("wake_sleep", 0.02, 360)
    config.arms.marginal_mcem = marginal("mcem", 0.02, 360)
    config.seeds = (0, 1, 2)
    config.method = "aevb"  # "score_function", "wake_sleep", "mcem", "full_vb"
    config.estimator = "B"  # of the bound: "A" without the divergence in closed form
    config.dreams = "samples"  # of wake-sleep: "means" for grey ones
    config.num_samples = 1  # L
    config.batch_size = 100  # M
    config.total_images = 300_000  # training samples evaluated
    config.learning_rate = 0.02  # of Adagrad
    config.model = ConfigDict(
        {
            "latent_size": 10,
            "hidden": 200,
            "likelihood": "bernoulli",
            "activation": "tanh",
            "init_std": 0.01,  # «N(0, 0.01)»; the released code has it as the deviation
        }
    )
    # Appendix E; a trajectory and then so many updates of the decoder.
    config.mcem = ConfigDict({"num_leapfrog": 10, "num_updates": 5, "acceptance": 0.9})
    config.full_vb = ConfigDict({"log_var": -8.0})  # of q(theta), at the start
    config.data.update(
        {
            "name": "digits",  # or a name for data.load
            "train_split": "train[:1400]",
            "test_split": "test",
            "num_train": 1400,
            "height": 8,
            "width": 8,
        }
    )
    config.eval = ConfigDict(
        {
            "num_images": 360,  # of each split, for the bound
            "num_samples": 10,
            "batch_size": 360,
            "marginal_images": 0,
            "marginal_batch_size": 90,
            "hmc_samples": 50,  # each half
            "hmc_leapfrogs": 4,
            "hmc_burn_in": 100,
            "num_weights": 5000,  # of importance sampling
        }
    )
    config.steps_per_call = 50
    config.log_every_steps = 100
    return common.choose(config, VARIANTS, variant)


VARIANTS = {}
