"""Ways to break domain randomization, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/domain_randomization.py"
LOOK = "research/papers/domain_randomization/random_look.py"
HERE = "tests/papers/domain_randomization"

MUTANTS = [
    Mutant(
        "one_texture_for_all_images",
        LOOK,
        "index += (drawn * self.textures).astype(jnp.uint32) * jnp.uint32(len(drawn))",
        "index += (0 * drawn).astype(jnp.uint32)",
        f"{HERE}/test_looks.py::test_a_surface_has_so_many_textures[3]",
    ),
    Mutant(
        "all_surfaces_look_alike",
        LOOK,
        "index = jnp.arange(len(drawn), dtype=jnp.uint32)",
        "index = 0 * jnp.arange(len(drawn), dtype=jnp.uint32)",
        f"{HERE}/test_looks.py::test_a_surface_has_so_many_textures[3]",
    ),
    Mutant(
        "no_noise",
        LOOK,
        "kind, amount = jnp.floor(_NOISES * drawn[0]), self.noise * drawn[1]",
        "kind, amount = jnp.floor(_NOISES * drawn[0]), 0 * drawn[1]",
        f"{HERE}/test_looks.py::test_noise_has_three_kinds_and_at_most_its_amount",
    ),
    Mutant(
        "the_camera_stands_still",
        SCRIPT,
        "return Tabletop(scene.shape, scene.radius, distractors, radius_range, camera)",
        "return Tabletop(scene.shape, scene.radius, distractors, radius_range, False)",
        f"{HERE}/test_update.py::test_what_is_random_is_what_the_config_says",
    ),
    Mutant(
        "no_distractors",
        SCRIPT,
        "return Tabletop(scene.shape, scene.radius, distractors, radius_range, camera)",
        "return Tabletop(scene.shape, scene.radius, 0, radius_range, camera)",
        f"{HERE}/test_update.py::test_what_is_random_is_what_the_config_says",
    ),
    Mutant(
        "it_is_tested_on_the_look_of_training",
        SCRIPT,
        'if look == "trained":',
        "if look:",
        f"{HERE}/test_update.py::test_the_unseen_look_is_the_same_for_all_and_no_look_of_training",
    ),
    Mutant(
        "distances_are_not_squared",
        SCRIPT,
        "return error.mean(), Aux(",
        "return jnp.sqrt(error).mean(), Aux(",
        f"{HERE}/test_update.py::test_two_updates_regress_positions",
    ),
    Mutant(
        "paper_has_small_images",
        "configs/domain_randomization.py",
        "image_size=224",
        "image_size=128",
        f"{HERE}/test_paper_table.py::test_settings",
    ),
]
