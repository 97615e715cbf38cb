"""The DCGAN pair: published counts, shapes, and what batch norm lets through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.losses import gan
from research.models import adversarial, dcgan
from research.papers.dcgan.guided_responses import guided_responses
from tests import plain_layers as plain

G = dcgan.Generator(image_size=16, channels=3, width=4)
D = dcgan.Discriminator(width=4)


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(3), (6, 16, 16, 3), minval=-1, maxval=1)


@pytest.fixture(scope="module")
def d_variables(images):
    return D.init(jax.random.key(0), images, train=True)


@pytest.fixture(scope="module")
def g_variables():
    return G.init(jax.random.key(1), jnp.zeros((2, 10)), train=True)


def count(model, *inputs):
    shapes = jax.eval_shape(lambda key: model.init(key, *inputs, train=True), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize(
    "settings, generator, discriminator",
    [
        ({"width": 64, "kernel": 4}, 3_576_704, 2_765_568),  # torch variant
        ({"width": 128, "kernel": 5}, 18_855_040, 17_232_768),
        (
            {"width": 128, "kernel": 5, "first_norm": "unit"},
            18_885_760,
            17_232_768,
        ),  # Theano, faces
    ],
)
def test_published_parameter_counts(settings, generator, discriminator):
    assert count(dcgan.Generator(**settings), jnp.zeros((2, 100))) == generator
    settings.pop("first_norm", None)
    assert count(dcgan.Discriminator(**settings), jnp.zeros((2, 64, 64, 3))) == discriminator


def test_paper_network_has_the_maps_of_figure_1():
    def shapes(model, x):
        out, maps = jax.eval_shape(
            lambda key, x: model.init_with_output(key, x, train=True)[0], jax.random.key(0), x
        )
        return out.shape, [m.shape[1:] for m in maps.values()]

    assert shapes(dcgan.Generator(), jnp.zeros((2, 100))) == (
        (2, 64, 64, 3),
        [(4, 4, 1024), (8, 8, 512), (16, 16, 256), (32, 32, 128)],
    )
    assert shapes(dcgan.Discriminator(), jnp.zeros((2, 64, 64, 3))) == (
        (2,),
        [(32, 32, 128), (16, 16, 256), (8, 8, 512), (4, 4, 1024)],
    )
    # Section 5.1: 28,672 features of a 32 px network.
    wide, image = dcgan.Discriminator(width=256), jnp.zeros((2, 32, 32, 3))
    features = jax.eval_shape(
        lambda key, x: adversarial.pooled_maps(wide, wide.init(key, x, train=True), x),
        jax.random.key(0),
        image,
    )
    assert features.shape == (2, 28_672)


def test_initial_weights_have_the_paper_distribution():
    params = dcgan.Generator(width=32).init(jax.random.key(0), jnp.zeros((2, 100)), train=True)[
        "params"
    ]
    for name, values in (
        ("project", params["project"]["kernel"]),
        ("up1", params["up1"]["kernel"]),
    ):
        np.testing.assert_allclose(values.std(), 0.02, rtol=0.03, err_msg=name)
    scale = params["norm0"]["scale"]
    np.testing.assert_allclose([scale.mean(), scale.std()], [1, 0.02], rtol=0.2)
    assert not params["norm0"]["bias"].any()
    assert set(params["up1"]) == {"kernel"}  # no biases


def test_no_norm_on_the_output_of_g_nor_on_the_input_of_d(g_variables, d_variables):
    assert set(g_variables["batch_stats"]) == {"norm0", "norm1"}
    assert set(d_variables["batch_stats"]) == {"norm2"}


@pytest.mark.parametrize("size", [4, 12, 20, 48])
def test_other_sizes_are_refused(size):
    with pytest.raises(UserError, match="power of two"):
        dcgan.num_levels(size)


def test_every_parameter_gets_a_gradient(g_variables, d_variables):
    z = dcgan.uniform_latents(jax.random.key(2), 8, 10)

    def loss(params):
        (fake, _), _ = G.apply(
            {"params": params["g"], "batch_stats": g_variables["batch_stats"]},
            z,
            train=True,
            mutable=["batch_stats"],
        )
        (logits, _), _ = D.apply(
            {"params": params["d"], "batch_stats": d_variables["batch_stats"]},
            fake,
            train=True,
            mutable=["batch_stats"],
        )
        return (logits**2).mean()

    grads = jax.grad(loss)({"g": g_variables["params"], "d": d_variables["params"]})
    for path, gradient in jax.tree_util.tree_leaves_with_path(grads):
        assert jnp.abs(gradient).max() > 0, jax.tree_util.keystr(path)


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_without_batch_norm_a_logit_is_of_its_own_image_alone(norm, images, d_variables):
    def of_others(model, variables):
        """Largest gradient of the first image's logit in the other images."""
        logit = lambda x: adversarial.train_mode(model, variables, x)[0][0]  # noqa: E731
        return float(jnp.abs(jax.grad(logit)(images)[1:]).max())

    model = dcgan.Discriminator(width=4, norm=norm)
    variables = model.init(jax.random.key(0), images, train=True)
    assert set(variables) == {"params"}
    assert of_others(model, variables) == 0 and of_others(D, d_variables) > 0
    real, fake, updated = adversarial.discriminate_pair(model, variables, images, images * 0.5)
    assert real.shape == fake.shape == (6,) and not updated
    np.testing.assert_allclose(
        adversarial.features(model, variables, np.asarray(images), batch_size=4),
        adversarial.pooled_maps(model, variables, images),
        atol=1e-5,  # other batch sizes round otherwise
    )


def test_layer_norm_is_over_all_of_an_image(images):
    model = dcgan.Discriminator(width=4, norm="layer", nonlinearity=lambda x: x)
    variables = model.init(jax.random.key(0), images, train=True)
    assert variables["params"]["norm2"]["scale"].shape == (8,)
    _, maps = model.apply(variables, 100 * images, train=True)
    np.testing.assert_allclose(maps["map2"].mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(maps["map2"].std((1, 2, 3)), 1, rtol=1e-2)


def test_every_parameter_of_a_critic_gets_a_gradient_of_the_penalty(images):
    model = dcgan.Discriminator(width=4, norm="layer")
    variables = model.init(jax.random.key(0), images, train=True)

    def penalty(params):
        critic = lambda x: adversarial.train_mode(model, {"params": params}, x)[0]  # noqa: E731
        return gan.gradient_penalty(critic, images, images[::-1] * 0.5, jax.random.key(1))

    grads = jax.grad(penalty)(variables["params"])
    for path, gradient in jax.tree_util.tree_leaves_with_path(grads):
        if "norm2']['bias" not in jax.tree_util.keystr(path):
            assert jnp.abs(gradient).max() > 0, jax.tree_util.keystr(path)


def test_unknown_norm_is_one_clear_line(images):
    with pytest.raises(UserError, match="norm is one of batch, layer, none"):
        dcgan.Discriminator(width=4, norm="bogus").init(jax.random.key(0), images, train=True)


def leak(logits_on_real, fake):
    """Largest gradient of the logits on data in the samples: what one batch tells the other."""
    return float(jnp.abs(jax.grad(lambda x: (logits_on_real(x) ** 2).sum())(fake)).max())


def test_data_and_samples_are_normalised_apart(d_variables, images):
    fake = images[::-1] * 0.5

    def mixed(x):  # the classic bug
        (logits, _), _ = D.apply(
            d_variables, jnp.concatenate([images, x]), train=True, mutable=["batch_stats"]
        )
        return logits[: len(images)]

    assert leak(lambda x: adversarial.discriminate_pair(D, d_variables, images, x)[0], fake) == 0
    assert leak(mixed, fake) > 1e-6


def test_running_statistics_follow_the_data_alone(d_variables, images):
    stats = [
        adversarial.discriminate_pair(D, d_variables, images, fake)[2]["batch_stats"]
        for fake in (images * 0, images)
    ]
    jax.tree.map(np.testing.assert_array_equal, *stats)
    assert (stats[0]["norm2"]["mean"] != d_variables["batch_stats"]["norm2"]["mean"]).all()


def test_running_statistics_make_an_image_depend_on_its_own_z_alone(g_variables):
    z = dcgan.uniform_latents(jax.random.key(2), 6, 10)

    def first(z, train):
        (out, _), _ = G.apply(g_variables, z, train=train, mutable=["batch_stats"])
        return out[0]

    alone, in_batch = first(z[:2], False), first(z, False)
    np.testing.assert_allclose(alone, in_batch, atol=1e-6)
    assert np.abs(first(z[:2], True) - first(z, True)).max() > 1e-4


def test_removed_feature_maps_are_zero_everywhere(g_variables):
    z = dcgan.uniform_latents(jax.random.key(2), 3, 10)
    keep = jnp.ones(4).at[2].set(0)
    (changed, maps), (plain, before) = (
        G.apply(g_variables, z, train=False, keep=k) for k in ({"map1": keep}, None)
    )
    assert not maps["map1"][..., 2].any()
    np.testing.assert_array_equal(maps["map1"][..., :2], before["map1"][..., :2])
    assert np.abs(changed - plain).max() > 0


def test_pooled_maps_are_the_maxima_of_a_four_by_four_grid(d_variables, images):
    features = np.asarray(adversarial.pooled_maps(D, d_variables, images))
    (_, maps), _ = D.apply(d_variables, images, train=True, mutable=["batch_stats"])
    expected = []
    for m in maps.values():
        step = m.shape[1] // 4
        expected.append(
            np.stack(
                [
                    np.asarray(m)[:, i * step : (i + 1) * step, j * step : (j + 1) * step].max(
                        (1, 2)
                    )
                    for i in range(4)
                    for j in range(4)
                ],
                1,
            ).reshape(len(images), -1)
        )
    np.testing.assert_array_equal(features, np.concatenate(expected, 1))


def test_mixed_precision_keeps_parameters_and_outputs_float32(g_variables):
    half = dcgan.Generator(image_size=16, channels=3, width=4, dtype=jnp.bfloat16)
    z = dcgan.uniform_latents(jax.random.key(2), 6, 10)
    assert all(
        leaf.dtype == jnp.float32
        for leaf in jax.tree.leaves(half.init(jax.random.key(0), z, train=True))
    )
    (out, maps), (exact, _) = (m.apply(g_variables, z, train=False) for m in (half, G))
    assert out.dtype == jnp.float32 and maps["map0"].dtype == jnp.bfloat16
    np.testing.assert_allclose(out, exact, atol=0.02)


def test_host_functions_equal_one_call_in_batches(g_variables, d_variables, images):
    z = dcgan.uniform_latents(jax.random.key(2), 5, 10)
    whole, _ = G.apply(g_variables, z, train=False)
    np.testing.assert_allclose(
        adversarial.sample(G, g_variables, z, batch_size=2), whole, atol=1e-6
    )
    (own, _), _ = G.apply(g_variables, z, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(
        adversarial.sample(G, g_variables, z, statistics="batch"), own, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        adversarial.features(D, d_variables, np.asarray(images)),
        adversarial.pooled_maps(D, d_variables, images),
        rtol=1e-4,
        atol=1e-6,
    )


def test_guided_responses_lie_where_the_strongest_image_is(d_variables, images):
    rows = guided_responses(D, d_variables, np.asarray(images), num_features=2, num_images=3)
    assert rows.shape == (2, 6, 16, 16, 3)
    _, maps = D.apply(d_variables, images, train=False)
    strongest = int(maps["map2"][..., 1].max((1, 2)).argmax())
    np.testing.assert_array_equal(rows[1, 0], images[strongest])
    assert np.abs(rows[:, 1::2]).max() <= 1


def moved(variables):
    """Variables whose gains, biases and running statistics matter."""
    keys = iter(jax.random.split(jax.random.key(7), 100))
    return jax.tree.map(lambda v: v + 0.3 * jax.random.uniform(next(keys), v.shape), variables)


def normed(variables, name, x, train):
    stats = None if train else variables["batch_stats"][name]
    return plain.batch_norm(variables["params"][name], x, stats, 1e-5)


@pytest.mark.parametrize("train", [True, False], ids=("batch", "running"))
def test_the_generator_is_its_layers_written_out(train, g_variables):
    """Section 3: ReLU and batch norm in all layers but the last, which is a tanh."""
    variables, z = moved(g_variables), dcgan.uniform_latents(jax.random.key(2), 6, 10)
    found, _ = G.apply(variables, z, train=train, mutable=["batch_stats"])[0]
    variables = plain.float64(variables)
    params, up = variables["params"], [(3, 2), (3, 2)]  # "SAME", twice as large
    x = (np.asarray(z, np.float64) @ params["project"]["kernel"]).reshape(6, 4, 4, 8)
    x = plain.relu(normed(variables, "norm0", x, train))
    x = plain.conv_transpose(x, params["up1"]["kernel"], 2, up)
    x = plain.relu(normed(variables, "norm1", x, train))
    expected = np.tanh(plain.conv_transpose(x, params["up2"]["kernel"], 2, up))
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("train", [True, False], ids=("batch", "running"))
def test_the_discriminator_is_its_layers_written_out(train, d_variables, images):
    """Section 3: leaky ReLU of slope 0.2; batch norm in all layers but the first."""
    variables = moved(d_variables)
    found, _ = D.apply(variables, images, train=train, mutable=["batch_stats"])[0]
    variables = plain.float64(variables)
    params, down = variables["params"], [(1, 2), (1, 2)]  # "SAME", half as large

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    x = np.asarray(images, np.float64)
    x = leaky(plain.conv(x, params["down1"]["kernel"], 2, down))
    x = plain.conv(x, params["down2"]["kernel"], 2, down)
    x = leaky(normed(variables, "norm2", x, train))
    expected = (x.reshape(6, -1) @ params["logit"]["kernel"])[:, 0]
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_latents_are_uniform():
    z = dcgan.uniform_latents(jax.random.key(0), 100, 100)
    assert z.min() >= -1 and z.max() <= 1
    shares = np.histogram(z, 4, (-1, 1))[0] / z.size
    np.testing.assert_allclose(shares, 0.25, atol=0.02)
