"""Ways to break distributed PPO and the tracks, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/locomotion_ppo.py"
PENALTY = "research/rl/agents/kl_penalty.py"
UPDATE = "tests/papers/locomotion_ppo/test_update.py::test_the_updates_on_a_rollout_are_the_papers"

MUTANTS = [
    Mutant(
        "no_limit",
        SCRIPT,
        "policy_loss += agent.limit_weight * kl_hinge(kl, agent.kl_target)",
        "policy_loss += 0.0 * kl_hinge(kl, agent.kl_target)",
        UPDATE,
    ),
    Mutant(
        "limit_is_at_the_target",
        PENALTY,
        "return jnp.maximum(0.0, kl - 2 * kl_target) ** 2",
        "return jnp.maximum(0.0, kl - kl_target) ** 2",
        UPDATE,
    ),
    Mutant(
        "penalty_is_not_adapted",
        SCRIPT,
        "state.kl_coefficient, kl, agent.kl_target, factor=1.5",
        "state.kl_coefficient, kl, agent.kl_target, factor=1.0",
        UPDATE,
    ),
    Mutant(
        "divergence_is_the_other_way_round",
        SCRIPT,
        "kl = batch.policy.kl(pi).mean()",
        "kl = pi.kl(batch.policy).mean()",
        UPDATE,
    ),
    Mutant(
        "returns_go_on_to_the_rollouts_end",
        "research/rl/acting/rollouts.py",
        "window = self.window or self.num_steps",
        "window = self.num_steps",
        UPDATE,
    ),
    Mutant(
        "advantages_are_not_normalized",
        SCRIPT,
        "batch = batch._replace(advantage=normalize_advantage(batch.advantage))",
        "batch = batch._replace(advantage=batch.advantage)",
        UPDATE,
    ),
    Mutant(
        "the_ground_is_not_seen",
        "research/papers/locomotion_ppo/planar_track.py",
        "return jnp.concatenate([proprioception, heights - pose.root[1]])",
        "return jnp.concatenate([proprioception, 0 * heights])",
        "tests/papers/locomotion_ppo/test_tracks.py"
        "::test_exteroception_is_the_ground_around_and_ahead",
    ),
    Mutant(
        "tracks_are_as_hard_all_along",
        "research/papers/locomotion_ppo/terrain.py",
        "d = difficulty[0] + (difficulty[1] - difficulty[0]) * begin / length",
        "d = difficulty[1]",
        "tests/papers/locomotion_ppo/test_terrain.py"
        "::test_obstacles_grow_along_a_curriculum_and_not_where_hardness_stands_still",
    ),
    Mutant(
        "observations_are_as_they_come",
        "configs/locomotion_ppo.py",
        '"normalize_observations": True,',
        '"normalize_observations": False,',
        "tests/papers/locomotion_ppo/test_paper_table.py::test_settings[paper]",
    ),
]
