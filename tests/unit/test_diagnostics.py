"""The four statistics are the lecture's numbers, and the pictures show the statistics."""

import math

import pytest
import torch
from matplotlib.figure import Figure

import helpers


@pytest.fixture(scope="module")
def data():
    return helpers.load_splits()


@pytest.fixture
def drawn(data):
    """A function that draws the deep network: it, and the generator that draws its minibatches next."""

    def draw(**settings):
        g = torch.Generator().manual_seed(helpers.SEED)
        return helpers.MLP(g, len(data.stoi), **{"last_scale": 0.1, **settings}), g

    return draw


@pytest.fixture
def probed(data, drawn):
    """A function that draws the deep network, and passes its first minibatch forward and backward."""

    def probe(**settings):
        network, g = drawn(**settings)
        network.loss = helpers.forward_backward(network, *helpers.minibatch(*data.train, g))
        return network

    return probe


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


def test_update_ratios_are_recorded_every_few_steps(data, drawn):
    network, g = drawn(gain=5 / 3)
    updates = helpers.UpdateRatios(network.weights, every=10)
    by_hand = []

    def record(step, lr):
        updates(step, lr)
        w = network.weights["layer 2"]
        by_hand.append((lr * w.grad).std().item() / w.data.std().item())

    helpers.train(network, *data.train, g, steps=95, record=record)
    assert updates.steps == list(range(0, 95, 10))
    assert updates.ratios["layer 2"] == pytest.approx(by_hand[::10])
    assert updates.ratios.keys() == network.weights.keys()


def test_recent_is_the_mean_of_the_last_records():
    updates = helpers.UpdateRatios({"w": torch.zeros(2)})
    assert math.isnan(updates.recent()["w"])
    updates.records = [(10 * i, {"w": ratio}) for i, ratio in enumerate((100.0, 1.0, 2.0, 3.0))]
    assert updates.recent(3)["w"] == pytest.approx(2)
    assert updates.recent()["w"] == pytest.approx(26.5)


def test_an_interruption_leaves_whole_records():
    class Interrupting(dict):
        def items(self):
            yield "a", self["a"]
            raise KeyboardInterrupt

    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    (weight**2).sum().backward()
    updates = helpers.UpdateRatios({"a": weight, "b": weight})
    updates(0, 0.1)
    updates.weights = Interrupting(updates.weights)
    with pytest.raises(KeyboardInterrupt):
        updates(10, 0.1)
    assert updates.steps == [0]
    assert [len(ratios) for ratios in updates.ratios.values()] == [1, 1]


def test_recording_changes_no_loss(data, drawn):
    losses = []
    for recorded in (False, True):
        network, g = drawn()
        record = helpers.UpdateRatios(network.weights) if recorded else None
        losses.append(helpers.train(network, *data.train, g, 50, record=record))
    assert losses[0] == losses[1]


def test_recording_is_rare_and_touches_no_weight(data, drawn):
    """What makes it cheap: of ten steps it computes in one, and keeps one number for each weight."""
    network, g = drawn()
    updates = helpers.UpdateRatios(network.weights)
    before = [w.detach().clone() for w in network.weights.values()]
    helpers.forward_backward(network, *helpers.minibatch(*data.train, g))
    for step in range(30):
        updates(step, 0.1)
    assert updates.steps == [0, 10, 20]
    assert all(len(ratios) == 3 for ratios in updates.ratios.values())
    assert all(map(torch.equal, before, network.weights.values()))


def test_the_pictures_show_the_rows(data, drawn):
    network, g = drawn(gain=5 / 3)
    updates = helpers.UpdateRatios(network.weights)
    helpers.train(network, *data.train, g, 30, record=updates)
    helpers.forward_backward(network, *helpers.minibatch(*data.train, g))
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


def test_the_usual_ratio_is_one_line_however_much_is_drawn_into_the_axes(drawn):
    """Many dashed lines on top of each other look solid, as the dashes do not fall on each other's gaps."""
    network, _ = drawn()
    ax = Figure().subplots()
    updates = helpers.UpdateRatios(network.weights)
    lines = [line for _ in range(3) for line in helpers.plot_updates(ax, updates, legend=False)]
    assert len(ax.get_lines()) == len(lines) + 1
