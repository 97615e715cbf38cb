"""Ways to break HER, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/her.py"
HINDSIGHT = "research/rl/replay/hindsight.py"
LOOP = "tests/rl/replay/test_hindsight.py::test_relabelling_equals_a_loop"
OWN = "tests/papers/her/test_her.py"

MUTANTS = [
    Mutant(
        "goals_are_not_replaced",
        HINDSIGHT,
        "goal = jnp.where(replaced[:, None], achieved, observation[:, -self.env.goal_size :])",
        "goal = observation[:, -self.env.goal_size :]",
        f"{LOOP}[future-2]",
    ),
    Mutant(
        "rewards_are_of_the_old_goal",
        HINDSIGHT,
        "reward=self.env.reward(self.env.achieved_goal(next_observation), goal),",
        "reward=self.env.reward(self.env.achieved_goal(next_observation), "
        "observation[:, -self.env.goal_size :]),",
        f"{LOOP}[future-2]",
    ),
    Mutant(
        "future_is_any_time_of_the_episode",
        HINDSIGHT,
        "first = step + 1",
        "first = jnp.ones_like(step)",
        f"{LOOP}[future-2]",
    ),
    Mutant(
        "future_is_the_end",
        HINDSIGHT,
        "first = step + 1",
        "first = last",
        f"{LOOP}[future-2]",
    ),
    Mutant(
        "as_many_are_kept_as_are_replaced",
        HINDSIGHT,
        "jax.random.uniform(choice_key, (size,)) < self.k / (self.k + 1)",
        "jax.random.uniform(choice_key, (size,)) < 0.5",
        f"{LOOP}[future-2]",
    ),
    Mutant(
        "what_follows_keeps_the_old_goal",
        HINDSIGHT,
        "next_observation=with_goal(self.env, next_observation, goal),",
        "next_observation=next_observation,",
        f"{LOOP}[future-2]",
    ),
    Mutant(
        "target_network_is_not_used",
        SCRIPT,
        "next_q = self.q(state.target_variables, batch.next_observation).max(axis=1)",
        "next_q = self.q(state.learner, batch.next_observation).max(axis=1)",
        f"{OWN}::test_dqns_update_is_the_papers",
    ),
    Mutant(
        "targets_of_ddpg_are_not_clipped",
        SCRIPT,
        "self.networks.q(state.target_critic, batch.next_observation, next_action)\n"
        "        y = td_target(batch.reward, next_q, batch.terminated, self.gamma)\n"
        "        return jnp.clip(y, *return_range(self.gamma))",
        "self.networks.q(state.target_critic, batch.next_observation, next_action)\n"
        "        return td_target(batch.reward, next_q, batch.terminated, self.gamma)",
        f"{OWN}::test_ddpgs_update_is_the_papers[limits1]",
    ),
    Mutant(
        "actions_saturate",
        SCRIPT,
        "return self.action_penalty * jnp.mean(preactivation**2) - q.mean(), Aux()",
        "return -q.mean(), Aux()",
        f"{OWN}::test_ddpgs_update_is_the_papers[limits0]",
    ),
    Mutant(
        "targets_follow_in_every_update",
        SCRIPT,
        "return State(self.agent.update_targets(agent), moments, episodes), metrics",
        "agent = self.agent.update_targets(agent)\n"
        "        return State(self.agent.update_targets(agent), moments, episodes), metrics",
        f"{OWN}::test_a_cycle",
    ),
    Mutant(
        "paper_has_few_goals",
        "configs/her.py",
        '"k": 4,',
        '"k": 1,',
        "tests/papers/her/test_paper_table.py::test_settings",
    ),
]
