"""The keys that every run has; a paper's config file adds its own to them."""

from ml_collections import ConfigDict


def run_config() -> ConfigDict:
    """Configuration of the loop. Every `configs/<paper>.py` starts from this."""
    config = ConfigDict()
    config.seed = 0  # of one run; set from `seeds`
    config.seeds = (0,)  # repeats of every arm
    config.vmap_seeds = False  # train them together, if the data is made inside the step
    # Arm -> overrides, such as `config.arms.plain = {"model.residual": False}`.
    config.arms = ConfigDict(convert_dict=False)
    config.check_claims = True  # False where a run is too short, or too long, to judge them
    config.published_as = ""  # key of PAPER.parameters whose count this configuration has

    # Begins with the weights of a finished run, or of a .safetensors file, as far as they fit.
    config.init_from = ""
    config.mesh = ConfigDict({"data": -1, "fsdp": 1, "model": 1})  # -1: all devices that are left
    config.compute_dtype = "float32"  # "bfloat16" for mixed precision; parameters stay float32
    config.max_grad_norm = 0.0  # 0: no clipping

    config.steps_per_call = 1  # steps in one dispatch, for steps much shorter than a millisecond
    config.log_every_steps = 100
    config.eval_every_steps = 0  # 0: at the end only
    config.checkpoint_every_steps = 0  # 0: at the end, and when the run is told to stop
    config.keep_checkpoints = 2  # the newest, beside the best by `best_metric`
    config.best_metric = ""  # such as "test/error"
    config.best_mode = "min"
    config.profile_at_step = 0  # trace the dispatches that follow this step; 0: never

    # Where metrics go beside the run's own files: "tensorboard", "wandb", package.module:make.
    config.writers = ("tensorboard",)
    config.tensorboard_axis = "step"  # or what a step consumes, such as "frames" or "tokens"

    config.data = ConfigDict({"dir": ""})  # where data sets lie; "" for $LANDMARKS_DATA
    return config
