"""The four statistics are the lecture's numbers, and the pictures show the statistics."""

import math
import time

import pytest
import torch
from matplotlib.figure import Figure

import helpers


@pytest.fixture(scope="module")
def examples():
    names = helpers.load_names()
    stoi, _ = helpers.build_vocabulary(names)
    return helpers.build_dataset(helpers.split_names(names)[0], stoi)


@pytest.fixture
def probed(examples):
    """A function that makes the deep network, and passes its first minibatch forward and backward."""
    X, Y = examples

    def make(**settings):
        g = torch.Generator().manual_seed(helpers.SEED)
        network = helpers.MLP(g, last_scale=0.1, **settings)
        batch = torch.randint(0, len(X), (32,), generator=g)
        network.loss = helpers.forward_backward(network, X[batch], Y[batch])
        return network

    return make


@pytest.mark.parametrize(
    ("settings", "stds", "saturations"),
    [
        ({"gain": 5 / 3}, (0.75, 0.69, 0.67, 0.66, 0.66), (20.25, 8.38, 6.62, 5.47, 6.12)),
        (
            {"gain": 5 / 3, "batchnorm": True},
            (0.63, 0.65, 0.64, 0.64, 0.64),
            (3.78, 2.62, 2.78, 2.91, 3.03),
        ),
        (
            {"gain": 0.2, "batchnorm": True},
            (0.63, 0.65, 0.64, 0.64, 0.64),
            (3.78, 2.62, 2.78, 2.91, 3.03),
        ),
    ],
    ids=["gain 5/3", "batchnorm", "batchnorm, gain 0.2"],
)
def test_activations_at_step_0(probed, settings, stds, saturations):
    rows = helpers.activation_rows(probed(**settings).hidden)
    assert [row.layer for row in rows] == [f"layer {i}" for i in range(1, 6)]
    assert [row.std for row in rows] == pytest.approx(stds, abs=0.0051)
    assert [100 * row.saturation for row in rows] == pytest.approx(
        saturations, abs=0.035
    )  # one value of 3,200


def test_small_and_large_gains(probed):
    small = helpers.activation_rows(probed(gain=1.0).hidden)
    assert (small[0].std, small[-1].std) == pytest.approx((0.62, 0.32), abs=0.005)
    assert small[0].saturation == pytest.approx(0.035, abs=0.0004)
    assert all(row.saturation < 0.001 for row in small[1:])
    assert all(row.saturation > 0.40 for row in helpers.activation_rows(probed(gain=3.0).hidden))


def test_a_histogram_is_a_density(probed):
    network = probed(gain=5 / 3)
    rows = helpers.activation_rows(network.hidden)
    rows += helpers.gradient_rows(network.hidden) + helpers.weight_rows(network.weights)
    for row in rows:
        assert len(row.edges) == len(row.density) + 1
        assert (row.density * row.edges.diff()).sum().item() == pytest.approx(1, abs=1e-4)


def test_the_rows_are_those_of_the_tensors(probed):
    network = probed(gain=5 / 3)
    for row, layer in zip(helpers.gradient_rows(network.hidden), network.hidden, strict=True):
        assert row.std == pytest.approx(layer.out.grad.std().item())
        assert row.mean == pytest.approx(layer.out.grad.mean().item())
    rows = helpers.weight_rows(network.weights)
    assert [row.layer for row in rows] == [
        "embedding",
        *(f"layer {i}" for i in range(1, 6)),
        "output",
    ]
    for row, w in zip(rows, network.weights.values(), strict=True):
        assert row.std == pytest.approx(w.grad.std().item())
        assert row.ratio == pytest.approx((w.grad.std() / w.std()).item())


def test_the_last_layer_made_ten_times_smaller_has_a_ten_times_larger_ratio(probed):
    ratios = [row.ratio for row in helpers.weight_rows(probed(gain=5 / 3).weights)]
    assert ratios[-1] > 8 * max(ratios[:-1])


def test_values_that_are_not_finite_are_named():
    with pytest.raises(ValueError, match="layer 3 holds values that are not finite"):
        helpers.measure("layer 3", torch.tensor([1.0, math.nan]))


def test_equal_values_can_be_measured():
    row = helpers.measure("layer 1", torch.zeros(20))
    assert (row.mean, row.std) == (0, 0)
    assert row.density.isfinite().all()


def test_update_ratios_are_recorded_every_few_steps(examples):
    X, Y = examples
    g = torch.Generator().manual_seed(helpers.SEED)
    network = helpers.MLP(g, gain=5 / 3, last_scale=0.1)
    updates = helpers.UpdateRatios(network.weights, every=10)
    by_hand = []

    def record(step, rate):
        updates(step, rate)
        w = network.weights["layer 2"]
        by_hand.append((rate * w.grad).std().item() / w.data.std().item())

    helpers.train(network, network.parameters(), X, Y, g, steps=95, record=record)
    assert updates.steps == list(range(0, 95, 10))
    assert updates.ratios["layer 2"] == pytest.approx(by_hand[::10])
    assert updates.ratios.keys() == network.weights.keys()


def test_recording_changes_no_loss(examples):
    X, Y = examples
    losses = []
    for recorded in (False, True):
        g = torch.Generator().manual_seed(helpers.SEED)
        network = helpers.MLP(g)
        record = helpers.UpdateRatios(network.weights) if recorded else None
        losses.append(helpers.train(network, network.parameters(), X, Y, g, 50, record=record))
    assert losses[0] == losses[1]


def test_recording_is_cheap(examples):
    """The time of the recorder itself, as a share of the training it watches: asked are 15 % at most."""
    X, Y = examples
    g = torch.Generator().manual_seed(helpers.SEED)
    network = helpers.MLP(g)
    updates, spent = helpers.UpdateRatios(network.weights), []

    def timed(step, rate):
        start = time.process_time()
        updates(step, rate)
        spent.append(time.process_time() - start)

    start = time.process_time()
    helpers.train(network, network.parameters(), X, Y, g, 500, record=timed)
    assert sum(spent) < 0.15 * (time.process_time() - start - sum(spent))


def test_the_pictures_show_the_rows(examples, probed):
    X, Y = examples
    network = probed(gain=5 / 3)
    updates = helpers.UpdateRatios(network.weights)
    helpers.train(
        network, network.parameters(), X, Y, torch.Generator().manual_seed(1), 30, record=updates
    )
    helpers.forward_backward(network, X[:32], Y[:32])
    figure = Figure((10, 6))
    shown = helpers.four_pictures(figure, network, updates)
    for axes, rows in zip(figure.axes[:3], shown, strict=True):
        assert axes.get_title(loc="left") or axes.get_title()
        assert axes.get_xlabel()
        names = [
            row.layer if row.ratio is None else f"{row.layer}: {row.ratio:.2g}" for row in rows
        ]
        assert [line.get_label() for line in axes.lines] == names
        for line, row in zip(axes.lines, rows, strict=True):
            assert torch.equal(torch.as_tensor(line.get_ydata()), row.density)
    *lines, guide = figure.axes[3].lines
    assert [list(line.get_ydata()) for line in lines] == list(updates.ratios.values())
    assert set(guide.get_ydata()) == {helpers.USUAL_RATIO}


def test_lines_can_be_moved_to_other_rows_and_fewer(probed):
    axes = Figure().subplots()
    lines = helpers.plot_histograms(axes, helpers.activation_rows(probed().hidden), title="a")
    rows = helpers.activation_rows(probed(gain=3.0).hidden[:2])
    helpers.move_histograms(lines, rows)
    assert torch.equal(torch.as_tensor(lines[1].get_ydata()), rows[1].density)
    assert [len(line.get_xdata()) for line in lines] == [60, 60, 0, 0, 0]
