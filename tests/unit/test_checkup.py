"""The checkup of any network: it finds what is there, changes nothing, and never breaks.

tests/checkup/ has the faulty and the healthy designs by which it is measured; here is what they do not show.
"""

import copy
import json
import math
import random
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import checkup
import helpers

LOSS = nn.CrossEntropyLoss()
CLASSES = 27


@pytest.fixture(autouse=True)
def _seed():
    """Dropout draws from torch's own random numbers: whatever ran before, they are the same for each test."""
    torch.manual_seed(0)


def contexts(count=64, length=3):
    g = torch.Generator().manual_seed(1)
    X = torch.randint(0, CLASSES, (count, length), generator=g)
    return X, torch.randint(0, CLASSES, (count,), generator=g)


def points(count=64, size=10):
    g = torch.Generator().manual_seed(2)
    x = torch.randn((count, size), generator=g)
    return x, torch.randint(0, CLASSES, (count,), generator=g)


def pictures(count=32, classes=10):
    g = torch.Generator().manual_seed(3)
    x = torch.randn((count, 3, 16, 16), generator=g)
    return x, torch.randint(0, classes, (count,), generator=g)


def series_network(**options):
    options = {"gain": 5 / 3, "last_scale": 0.1} | options
    return helpers.MLP(torch.Generator().manual_seed(helpers.SEED), CLASSES, **options)


def seeded(build):
    """The network that `build` draws, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def plain(*sizes, bend=nn.Tanh):
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), bend()]
    return nn.Sequential(*layers[:-1])


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 16)
        self.memory = kind(16, 64, num_layers=2, batch_first=True)
        self.output = nn.Linear(64, CLASSES)

    def forward(self, X):
        return self.output(self.memory(self.embedding(X))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.output = nn.Linear(32, CLASSES)

    def forward(self, X):
        return self.output(self.encoder(self.embedding(X))[:, -1])


def convolutions(batchnorm, bias=False):
    layers, channels = [], [3, 16, 32, 32, 32]
    for before, after in pairwise(channels):
        layers.append(nn.Conv2d(before, after, 3, padding=1, bias=bias or not batchnorm))
        layers += [nn.BatchNorm2d(after)] if batchnorm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def found(report):
    """The ids, and no rule that could not be applied."""
    assert not [note for note in report.notes if "could not be looked at" in note], report.notes
    return [finding.id for finding in report.findings]


# ---------------------------------------------------------------- Nothing is changed


def state(model):
    """All of a model that a checkup could change."""
    return copy.deepcopy(
        {
            "numbers": {name: value.clone() for name, value in model.state_dict().items()},
            "gradients": {name: p.grad for name, p in model.named_parameters()},
            "asks": {name: p.requires_grad for name, p in model.named_parameters()},
            "modes": {name: module.training for name, module in model.named_modules()},
            "hooks": {
                name: (len(module._forward_hooks), len(module._forward_pre_hooks))
                for name, module in model.named_modules()
            },
        }
    )


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("build", "data"),
    [
        (lambda: convolutions(batchnorm=True), pictures),
        (Recurrent, contexts),
        (Encoder, contexts),
        (lambda: nn.Sequential(nn.Linear(10, 8), nn.Linear(9, 27)), points),  # its forward raises
    ],
)
def test_the_model_stays_as_it_is(build, data, training):
    model, (x, y) = seeded(build).train(training), data()
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    next(reversed(list(model.parameters()))).requires_grad_(False)
    handle = model.register_forward_hook(lambda *_: None)
    before, numbers = state(model), torch.random.get_rng_state()
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    checkup.diagnose(model, x, y, LOSS, optimizer=optimizer)
    checkup.diagnose(model, x, y, LOSS, lr=1000)  # large enough for more steps on a copy
    assert same(state(model), before)
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert not optimizer.state
    handle.remove()


def test_buffers_that_a_pass_replaces_are_put_back():
    class Cache(nn.Linear):
        def __init__(self):
            super().__init__(10, CLASSES)
            self.register_buffer("last", torch.zeros(3))
            self.register_buffer("none", None)

        def forward(self, x):
            self.register_buffer("last", x)  # another tensor of another shape
            self.none = x
            return super().forward(x)

    model = Cache()
    last = model.last
    assert found(checkup.diagnose(model, *points(), LOSS)) == []
    assert model.last is last
    assert last.tolist() == [0, 0, 0]
    assert model.none is None


def test_no_hook_stays_on_a_tensor():
    """What a module returns may live on, as a weight does."""
    weight = nn.Parameter(torch.randn(64, CLASSES))

    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.same = weight, nn.Identity()

        def forward(self, x):
            return self.same(self.weight)

    checkup.diagnose(Same(), *points(), LOSS)
    assert not weight._backward_hooks


def test_a_network_of_the_series_stays_as_it_is():
    network, (X, Y) = series_network(batchnorm=True), contexts()
    running = network.layers[1].running_mean.clone()
    report = checkup.diagnose(network, X, Y, LOSS, lr=0.1)
    assert torch.equal(network.layers[1].running_mean, running)
    assert all(p.grad is None for p in network.parameters())
    assert report.loss == pytest.approx(F.cross_entropy(network(X), Y).item(), abs=1e-6)


class Listed(nn.Module):
    """Its layers, among them a BatchNorm and a Dropout, stand in a plain list, and it counts its calls."""

    def __init__(self):
        super().__init__()
        self.first, self.calls, self.history = nn.Linear(10, 32), 0, []
        self.rest = [nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, CLASSES)]
        self.table = {"scale": torch.ones(32), "step": torch.zeros(1)}

    def forward(self, x):
        self.calls += 1
        self.history.append(x)
        self.table["step"] += 1
        x = self.first(x) * self.table["scale"]
        for layer in self.rest:
            x = layer(x)
        return x


def test_modules_that_are_not_registered_stay_as_they_are_and_are_found():
    model = seeded(Listed)
    norm = model.rest[0]
    before = copy.deepcopy(norm.state_dict())
    report = checkup.diagnose(model, *points(), LOSS, lr=0.1)
    assert found(report)[0] == "unregistered"
    assert "rest[" in report.findings[0].where
    assert same(dict(norm.state_dict()), dict(before))
    assert all(p.grad is None for p in norm.parameters())
    assert norm.training and model.rest[1].training
    assert (model.calls, model.history, model.table["step"].item()) == (0, [], 0)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.rest)


def test_inputs_targets_and_other_random_numbers_stay():
    class InPlace(nn.Linear):
        def forward(self, x):
            random.random()
            return super().forward(x.mul_(2))

    (x, y), state = points(), random.getstate()
    kept = x.clone()
    checkup.diagnose(InPlace(10, CLASSES), x, y, LOSS, lr=0.1)
    assert torch.equal(x, kept)
    assert random.getstate() == state


def test_checkpointed_layers_stay_as_they_are():
    class Checkpointed(nn.Module):
        def __init__(self, reentrant):
            super().__init__()
            self.body, self.output = plain(10, 32, 32), nn.Linear(32, CLASSES)
            self.first, self.reentrant = nn.Linear(10, 10), reentrant

        def forward(self, x):
            run = torch.utils.checkpoint.checkpoint
            return self.output(run(self.body, self.first(x), use_reentrant=self.reentrant))

    for reentrant in (False, True):
        model = seeded(lambda reentrant=reentrant: Checkpointed(reentrant))
        model.output.weight.grad = torch.ones_like(model.output.weight)
        before = state(model)
        report = checkup.diagnose(model, *points(), LOSS, lr=0.1)
        assert found(report) == [], str(report)
        assert len(report.weights) == 4
        assert same(state(model), before)


# ---------------------------------------------------------------- The rows


def test_its_rows_are_those_of_lesson_07():
    network, (X, Y) = series_network(), contexts()
    report = checkup.diagnose(network, X, Y, LOSS, lr=0.1)
    helpers.forward_backward(network, X, Y)
    bends = [row for row in report.outputs if "Tanh" in row.layer]
    for ours, theirs in zip(bends, helpers.activation_rows(network.hidden), strict=True):
        assert ours.std == pytest.approx(theirs.std, rel=1e-4)
        assert ours.saturation == pytest.approx(theirs.saturation, abs=0.05)  # from a sample
    bends = [row for row in report.gradients if "Tanh" in row.layer]
    for ours, theirs in zip(bends, helpers.gradient_rows(network.hidden), strict=True):
        assert ours.std == pytest.approx(theirs.std, rel=0.01)  # around 0
    for ours, theirs in zip(report.weights, helpers.weight_rows(network.weights), strict=True):
        assert ours.ratio == pytest.approx(theirs.ratio, rel=0.2)  # norms, and not stds
        assert report.updates[ours.layer] == pytest.approx(0.1 * ours.ratio, rel=1e-4)


def test_a_list_of_layers_is_a_network():
    layers = series_network().layers
    report = checkup.diagnose(layers, torch.randn(64, 30), contexts()[1], LOSS)
    kinds = [type(layer).__name__ for layer in layers]
    assert [row.layer for row in report.outputs] == [f"{k} {kind}" for k, kind in enumerate(kinds)]


def test_shared_modules_are_told_apart_by_their_calls():
    shared = nn.Linear(10, 10)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(10, CLASSES))
    report = checkup.diagnose(model, *points(), LOSS)
    names = [row.layer for row in report.outputs]
    assert names == ["0 Linear", "1 Tanh", "0 Linear (call 2)", "3 Tanh", "4 Linear"]
    assert len(report.weights) == 2
    assert found(report) == ["layers-shared"]


def test_only_innermost_modules_have_rows():
    report = checkup.diagnose(seeded(Encoder), *contexts(), LOSS)
    outer = ("encoder", "Encoder", "encoder.layers.0")
    assert not any(row.layer in outer for row in report.outputs)


def test_functions_have_rows_as_modules_have():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(10, 20), nn.Linear(20, CLASSES)

        def forward(self, x):
            return self.second(F.relu(self.first(x - 100)))

    report = checkup.diagnose(seeded(Functional), *points(), LOSS)
    assert [row.layer for row in report.outputs] == ["first", "relu", "second"]
    dying = seeded(Functional)
    nn.init.constant_(dying.first.bias, -1e4)
    assert found(checkup.diagnose(dying, *points(), LOSS))[0] == "dead-units"


def test_a_weight_that_is_computed_does_not_hide_its_layer():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(10, CLASSES)))
    (row,) = checkup.diagnose(model, *points(), LOSS).outputs
    assert row.layer.startswith("0 ")


def test_sparse_gradients_are_measured():
    model = nn.Sequential(
        nn.Embedding(CLASSES, 8, sparse=True), nn.Flatten(), nn.Linear(24, CLASSES)
    )
    rows = checkup.diagnose(seeded(lambda: model), *contexts(), LOSS, lr=0.1).weights
    assert [row.layer for row in rows] == ["0.weight", "2.weight"]
    assert rows[0].std > 0


class OwnTanh(nn.Tanh):
    """A kind of its own."""


@pytest.mark.parametrize(
    ("bend", "share"),
    [
        (OwnTanh(), 0.75),
        (nn.ReLU6(), None),  # of which 0 and 6 are the ends, and nothing is wrong with 0
        (nn.Hardtanh(-2, 2), 0.5),
        (nn.Tanh(), 0.75),
        (nn.Sigmoid(), 0.5),
    ],
)
def test_each_kind_of_bend_has_its_own_ends(bend, share):
    x = torch.tensor([[-9.0, 1.0, 1.5, 9.0]] * 4)
    x = x * torch.tensor([1.0, 1.0, 2.0, 1.0]) if isinstance(bend, nn.Tanh) else x
    report = checkup.diagnose(nn.Sequential(bend), x, x, nn.MSELoss())
    assert report.outputs[0].saturation == share


# ---------------------------------------------------------------- The report


@pytest.mark.parametrize("lr", [None, 0.1])
@pytest.mark.parametrize("build", [Encoder, Recurrent])  # the second has no layers to compare
def test_its_pictures_can_be_drawn(build, lr):
    figure = plt.figure()
    checkup.diagnose(seeded(build), *contexts(), LOSS, lr).draw(figure)
    assert len(figure.axes) == 4
    assert all(axes.get_lines() for axes in figure.axes)
    assert all(axes.get_title() and axes.get_xlabel() for axes in figure.axes)
    plt.close(figure)


def test_an_empty_report_can_be_drawn():
    figure = plt.figure()
    checkup.Report().draw(figure)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    plt.close(figure)


def ill():
    return checkup.diagnose(seeded(lambda: with_bias(-10)), *points(), LOSS, lr=0.1)


def test_a_report_can_be_used_in_a_test_suite():
    healthy = checkup.diagnose(seeded(lambda: plain(10, 50, CLASSES)), *points(), LOSS, lr=0.1)
    assert healthy.healthy
    healthy.raise_if("remark")
    report = ill()
    assert not report.healthy
    report.raise_if("error")
    with pytest.raises(AssertionError, match="dead-units") as caught:
        report.raise_if()
    assert caught.value.findings == report.findings
    with pytest.raises(ValueError, match="severity is 'bad'"):
        report.raise_if("bad")


def test_a_report_can_be_kept_as_json():
    kept = json.loads(json.dumps(ill().to_dict(), allow_nan=False))
    assert not kept["healthy"]
    (first, *_) = kept["findings"]
    assert set(first) == {"id", "severity", "what", "where", "evidence", "remedy", "lesson"}
    assert all(first.values())
    json.dumps(checkup.Report().to_dict(), allow_nan=False)


def test_a_report_is_shown_in_notebooks_with_words_for_the_picture():
    page = ill()._repr_html_()
    assert "dead-units" in page and "<th scope=" in page
    assert 'alt="Four pictures. The outputs' in page
    assert "No finding" in checkup.Report()._repr_html_()


def test_findings_can_be_ignored_or_stand_in_a_baseline(tmp_path):
    model, batch = seeded(lambda: with_bias(-10)), points()
    ids = found(checkup.diagnose(model, *batch, LOSS))
    report = checkup.diagnose(model, *batch, LOSS, ignore=ids)
    assert report.findings == []
    assert f"findings ignored: {len(ids)}" in report.notes
    with pytest.raises(ValueError, match="no finding has the id"):
        checkup.diagnose(model, *batch, LOSS, ignore=["dead"])
    checkup.diagnose(model, *batch, LOSS).save_baseline(tmp_path / "known.json")
    known = checkup.diagnose(model, *batch, LOSS, baseline=tmp_path / "known.json")
    assert known.healthy
    assert f"findings in the baseline: {len(ids)}" in str(known)
    with pytest.raises(FileNotFoundError):
        checkup.diagnose(model, *batch, LOSS, baseline=tmp_path / "none.json")


def test_every_kind_has_a_remedy_and_a_lesson():
    for kind in checkup.KINDS.values():
        assert kind.severity in checkup.SEVERITIES
        assert kind.what and len(kind.remedy) > 10 and len(kind.lesson) == 2
    for cause, others in checkup.FOLLOWS.items():
        assert {cause, *others} <= set(checkup.KINDS)


def test_it_needs_nothing_but_torch(tmp_path):
    """Copied into an empty folder, and without matplotlib."""
    (tmp_path / "checkup.py").write_bytes(Path(checkup.__file__).read_bytes())
    code = """
import sys
for name in ("matplotlib", "lessonkit", "helpers", "ipywidgets"):
    sys.modules[name] = None
import torch, checkup
model = torch.nn.Linear(3, 2)
report = checkup.diagnose(model, torch.randn(8, 3), torch.arange(8) % 2, torch.nn.CrossEntropyLoss())
print(report._repr_html_().count("<img"), report.healthy)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == ["0", "True"], done.stderr


# ---------------------------------------------------------------- Healthy networks


def residual():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(plain(64, 64, 64, bend=nn.ReLU) for _ in range(4))
            self.enter, self.output = nn.Linear(10, 64), nn.Linear(64, CLASSES)

        def forward(self, x):
            x = self.enter(x)
            for block in self.blocks:
                x = x + block(x)
            return self.output(x)

    return Residual()


def drawn_anew():
    model = Encoder()
    for p in model.encoder.parameters():
        if p.ndim > 1:
            nn.init.xavier_uniform_(p)
    return model


@pytest.mark.parametrize(
    ("build", "data", "lr"),
    [
        (series_network, contexts, 0.1),
        (lambda: series_network(batchnorm=True), contexts, 0.1),
        (lambda: series_network(nonlinearity=helpers.ReLU, gain=2**0.5), contexts, 0.1),
        (lambda: series_network(gain=1), contexts, 0.1),
        (lambda: plain(10, 100, 100, CLASSES), points, 0.1),
        (lambda: plain(10, 100, 100, CLASSES, bend=nn.ReLU), points, 0.1),
        (lambda: convolutions(batchnorm=True), pictures, 0.1),
        (lambda: convolutions(batchnorm=False), pictures, 0.1),
        (Recurrent, contexts, 0.1),
        (lambda: Recurrent(nn.GRU), contexts, 0.1),
        (drawn_anew, contexts, 0.01),
        (residual, points, 0.1),
    ],
)
def test_a_healthy_network_gets_no_finding(build, data, lr):
    assert found(checkup.diagnose(seeded(build), *data(), LOSS, lr)) == []


def test_frozen_layers_are_a_note_and_no_finding():
    model = seeded(lambda: plain(10, 50, CLASSES))
    model[0].requires_grad_(False)
    report = checkup.diagnose(model, *points(), LOSS, lr=0.1)
    assert report.findings == []
    assert "frozen parameters, which get no gradient on purpose: 2" in str(report)


def test_a_branch_that_starts_at_zero_is_a_remark():
    model = seeded(lambda: plain(10, 50, CLASSES))
    nn.init.zeros_(model[2].weight)
    report = checkup.diagnose(model, *points(), LOSS, lr=0.1)
    assert found(report) == ["zero-by-design"]
    assert report.healthy


# ---------------------------------------------------------------- What it takes


class Answers(nn.Module):
    """Answers in the form that is asked for."""

    def __init__(self, form):
        super().__init__()
        self.form, self.layer = form, nn.Linear(10, CLASSES)

    def forward(self, x, labels=None, scale=1.0):
        logits = self.layer(x) * scale
        loss = None if labels is None else LOSS(logits, labels)
        if self.form == "object":
            return SimpleNamespace(loss=loss, logits=logits)
        return {"dict": {"loss": loss, "logits": logits}, "tuple": (logits, x)}[self.form]


@pytest.mark.parametrize("form", ["object", "dict", "tuple"])
def test_outputs_of_any_form(form):
    (x, y), model = points(), seeded(lambda: Answers(form))
    report = checkup.diagnose(model, {"x": x}, y, LOSS, lr=0.1)
    assert found(report) == []
    assert report.loss == pytest.approx(LOSS(model.layer(x), y).item())
    assert report.ignorance is not None
    whole = {
        "object": lambda out, y: LOSS(out.logits, y),
        "dict": lambda out, y: LOSS(out["logits"], y),
    }
    whole["tuple"] = lambda out, y: LOSS(out[0], y)
    assert checkup.diagnose(model, x, y, whole[form]).loss == report.loss
    if form != "tuple":
        assert checkup.diagnose(model, {"x": x, "labels": y}).loss == report.loss


def test_several_inputs_are_given_as_a_tuple():
    (x, y), model = points(), seeded(lambda: nn.Bilinear(10, 10, CLASSES))
    assert checkup.diagnose(model, (x, x), y, LOSS).loss > 0


def test_a_dict_that_is_one_argument():
    class Takes(nn.Linear):
        def forward(self, batch):
            return super().forward(batch["x"])

    x, y = points()
    assert found(checkup.diagnose(Takes(10, CLASSES), {"x": x}, y, LOSS)) == []


def test_scripted_and_parallel_models_are_examined():
    model = seeded(lambda: plain(10, 50, CLASSES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        scripted = torch.jit.trace(model, points()[0])
    for one in (scripted, nn.DataParallel(model)):
        report = checkup.diagnose(one, *points(), LOSS, lr=0.1)
        assert report.healthy, str(report)
        assert report.loss > 0


def test_compiled_models_are_seen_inside():
    (x, y), model = points(), seeded(lambda: plain(10, 50, CLASSES))
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    report = checkup.diagnose(compiled, x, y, LOSS, lr=0.1)
    assert len(report.outputs) == 3
    assert any("compiled" in note for note in report.notes)
    model.compile(backend="eager")
    model(x)
    assert len(checkup.diagnose(model, x, y, LOSS, lr=0.1).outputs) == 3


def test_sparse_inputs_and_old_weight_norms_are_examined():
    (x, y), model = points(), seeded(lambda: nn.Linear(10, CLASSES))
    assert found(checkup.diagnose(model, x.to_sparse(), y, LOSS, lr=0.1)) == []
    spectral = nn.utils.parametrizations.spectral_norm(model)
    before = spectral.parametrizations.weight[0]._u.clone()
    assert found(checkup.diagnose(spectral, x, y, LOSS, lr=0.1)) == []
    assert torch.equal(spectral.parametrizations.weight[0]._u, before)


def test_few_examples_are_noted():
    x, y = points(4)
    report = checkup.diagnose(seeded(lambda: plain(10, 50, CLASSES)), x, y, LOSS, lr=0.1)
    assert report.healthy
    assert any("4 examples are too few" in note for note in report.notes)


def test_a_checkup_that_fails_itself_is_no_clean_bill(monkeypatch):
    def broken(seen):
        raise ZeroDivisionError("oh")

    model = seeded(lambda: plain(10, 50, CLASSES))
    monkeypatch.setattr(checkup, "watched_pass", broken)
    report = checkup.diagnose(model, *points(), LOSS)
    assert [finding.id for finding in report.findings] == ["not-examined"]
    assert not report.healthy


def test_autocast_and_half_precision_are_examined():
    (x, y), model = points(), seeded(lambda: plain(10, 50, CLASSES))
    with torch.autocast("cpu", torch.bfloat16):
        assert found(checkup.diagnose(model, x, y, LOSS, lr=0.1)) == []
    half = model.to(torch.bfloat16)
    assert found(checkup.diagnose(half, x.bfloat16(), y, LOSS, lr=0.1)) == []


def test_a_loss_of_a_pair_that_raises_is_quoted_for_the_pair():
    """Not for its first part alone, which is tried after that."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(10, 6)

        def forward(self, x):
            return self.layer(x), self.layer(-x)

    def loss(output, targets):
        first, second = output
        return (first - second - torch.eye(7)).square().mean()

    report = checkup.diagnose(seeded(Pair), points()[0], None, lambda o, _=None: loss(o, None))
    assert found(report) == ["loss-raises"]
    assert "size of tensor" in report.findings[0].evidence


class Halves(nn.Module):
    """Its first output is not used: autograd then calls hooks with None, on a GPU for an LSTM's, too."""

    def __init__(self):
        super().__init__()
        self.into, self.cut, self.read = nn.Linear(10, 40), Cut(), nn.Linear(20, CLASSES)

    def forward(self, x):
        return self.read(torch.tanh(self.cut(self.into(x))[1]))


class Cut(nn.Module):
    def forward(self, x):
        return x.unflatten(1, (2, -1)).unbind(1)


def test_an_output_of_several_that_nothing_uses_is_left_alone():
    (x, y), model = points(), seeded(Halves)
    assert "backward-raises" not in found(checkup.diagnose(model, x, y, LOSS, lr=0.1))


needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="it needs a GPU, and CUDA finds none here"
)


@needs_cuda
@pytest.mark.parametrize("lr", [0.1, 1e4])
def test_on_a_gpu_it_finds_what_it_finds_on_the_cpu(lr):
    model, (x, y) = seeded(lambda: plain(10, 50, CLASSES)), points()
    here = found(checkup.diagnose(model, x, y, LOSS, lr=lr))
    model = model.cuda()
    before = copy.deepcopy(model.state_dict())
    assert found(checkup.diagnose(model, x.cuda(), y.cuda(), LOSS, lr=lr)) == here
    for name, value in model.state_dict().items():
        assert value.is_cuda and torch.equal(value, before[name])
    assert not any(one._forward_hooks for one in model.modules())


@needs_cuda
def test_a_transformer_on_a_gpu_is_examined_as_on_the_cpu():
    model, (x, y) = seeded(Encoder), contexts()
    here = checkup.diagnose(model, x, y, LOSS, lr=0.1)
    there = checkup.diagnose(model.cuda(), x.cuda(), y.cuda(), LOSS, lr=0.1)
    assert found(there) == found(here)
    assert there.loss == pytest.approx(here.loss, rel=1e-3)
    assert all(p.is_cuda for p in model.parameters())


@needs_cuda
@pytest.mark.parametrize("half", ["autocast", "bf16"])
def test_a_bias_that_does_nothing_is_found_in_half_precision_on_a_gpu(half):
    model, (x, y) = seeded(lambda: convolutions(batchnorm=True, bias=True)).cuda(), pictures()
    x, y = x.cuda(), y.cuda()
    if half == "bf16":
        model, x = model.bfloat16(), x.bfloat16()
    with torch.autocast("cuda", torch.bfloat16, enabled=half == "autocast"):
        assert "useless-bias" in found(checkup.diagnose(model, x, y, LOSS))


@needs_cuda
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.BCELoss()])
def test_what_would_end_a_process_on_a_gpu_becomes_a_finding(loss):
    """A label or a probability out of range stops the GPU for good; after it nothing runs."""
    model, (x, _) = seeded(lambda: plain(10, 50, 4)).cuda(), points()
    y = torch.full((64,), 9) if isinstance(loss, nn.CrossEntropyLoss) else torch.rand(64, 4)
    report = checkup.diagnose(model, x.cuda(), y.cuda(), loss)
    assert found(report)[0] in ("targets-invalid", "logits-for-probabilities")
    torch.cuda.synchronize()
    sigmoid = nn.Sequential(model, nn.Sigmoid())
    assert checkup.diagnose(sigmoid, x.cuda(), torch.rand(64, 4).cuda(), nn.BCELoss()).loss > 0
    torch.cuda.synchronize()


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "fits"),
    [
        ("cross_entropy", (torch.zeros(4, 3), torch.tensor([0, 1, 2, -100])), {}, True),
        ("cross_entropy", (torch.zeros(4, 3), torch.tensor([0, 1, 2, 3])), {}, False),
        ("cross_entropy", (torch.zeros(4, 3, 2), torch.full((4, 2), -1)), {}, False),
        ("nll_loss", (torch.zeros(2, 3), torch.tensor([0, 255])), {"ignore_index": 255}, True),
        ("cross_entropy", (torch.zeros(4, 3), torch.zeros(4, 3)), {}, True),
        ("binary_cross_entropy", (torch.rand(4), torch.rand(4)), {}, True),
        ("binary_cross_entropy", (torch.rand(4) + 1, torch.rand(4)), {}, False),
        ("gather", (torch.zeros(4, 3), 1, torch.tensor([[2]])), {}, True),
        ("gather", (torch.zeros(4, 3), 1, torch.tensor([[3]])), {}, False),
        ("embedding", (torch.tensor([0, 7]), torch.zeros(7, 2)), {}, False),
        ("mul", (torch.tensor(1.0), 2), {}, True),
    ],
)
def test_what_a_gpu_cannot_take_is_known_before_it_gets_it(name, args, kwargs, fits):
    class Far(torch.Tensor):  # as if it were not on the CPU
        is_cpu = False

    args = tuple(one.as_subclass(Far) if isinstance(one, torch.Tensor) else one for one in args)
    if fits:
        checkup.within_range(name, args, kwargs)
    else:
        with pytest.raises((IndexError, RuntimeError), match=r"out of bounds|between 0 and 1"):
            checkup.within_range(name, args, kwargs)


# ---------------------------------------------------------------- Findings


def with_bias(value):
    model = plain(10, 50, CLASSES, bend=nn.ReLU)
    nn.init.constant_(model[0].bias, value)
    return model


def zeros():
    model = plain(10, 50, CLASSES)
    for p in model.parameters():
        nn.init.zeros_(p)
    return model


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x)


class Detached(nn.Module):
    def forward(self, x):
        return x.detach()


def with_nan():
    model = plain(10, 50, CLASSES)
    model[2].weight.data[0, 0] = math.nan
    return model


FAULTS = [
    ("first-loss-high", lambda: series_network(last_scale=10), contexts, "output"),
    ("saturated", lambda: series_network(gain=6), contexts, "3 Tanh and 4 more"),
    (
        "signal-grows",
        lambda: series_network(gain=4, nonlinearity=helpers.ReLU),
        contexts,
        "3 ReLU to 11 ReLU",
    ),
    ("signal-fades", lambda: plain(*[10, *[50] * 20, CLASSES]), points, "0 Linear to 38 Linear"),
    ("dead-units", lambda: with_bias(-10), points, "1 ReLU"),
    ("units-alike", zeros, points, "0.weight"),
    (
        "missing-gradient",
        lambda: nn.Sequential(nn.Linear(10, 10), Detached(), nn.Linear(10, CLASSES)),
        points,
        "0.weight and 1 more",
    ),
    (
        "useless-bias",
        lambda: convolutions(batchnorm=True, bias=True),
        pictures,
        "0.bias and 3 more",
    ),
    ("not-finite", with_nan, points, "2.weight"),
    (
        "not-finite",
        lambda: nn.Sequential(nn.Linear(10, 10), Logarithm(), nn.Linear(10, CLASSES)),
        points,
        "1 Logarithm",
    ),
    ("missing-gradient", lambda: nn.Sequential(nn.Tanh()), lambda: points(64, 27), "model"),
    ("forward-raises", lambda: plain(9, CLASSES), points, "0 Linear"),
    ("targets-invalid", lambda: plain(10, 5, 4), points, "targets"),
    ("not-initialized", lambda: nn.Sequential(nn.LazyLinear(CLASSES)), points, "model"),
    ("layers-start-alike", Encoder, contexts, "encoder.layers.0"),
]


@pytest.mark.parametrize(("id", "build", "data", "where"), FAULTS)
def test_a_fault_is_found_first(id, build, data, where):
    report = checkup.diagnose(seeded(build), *data(), LOSS, lr=0.1)
    assert found(report)[0] == id, str(report)
    assert found(report).count(id) == 1
    assert where in report.findings[0].where
    assert str(report.findings[0]) in str(report)


@pytest.mark.parametrize("bend", [nn.Tanh, nn.ReLU])
def test_a_fading_signal_gets_the_gain_of_its_own_nonlinearity(bend):
    model = seeded(lambda: plain(*[10, *[50] * 20, CLASSES], bend=bend))
    report = checkup.diagnose(model, *points(), LOSS)
    (fades,) = (one for one in report.findings if one.id == "signal-fades")
    assert f'nonlinearity="{bend.__name__.lower()}"' in fades.remedy


class TwoHeads(nn.Module):
    def __init__(self, gives):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(10, 20), nn.Linear(20, CLASSES), nn.Linear(20, 3)
        self.gives = gives

    def forward(self, x):
        x = self.body(x).tanh()
        a, b = self.a(x), self.b(x)
        return (a, {"unused": b, "detached": b.detach(), "dropped": a}[self.gives])


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        ("unused", "an output of the model does, and the loss does not use it"),
        ("detached", "no output depends on what comes of them"),
        ("dropped", "no output depends on what comes of them"),
    ],
)
def test_why_a_gradient_is_missing_is_told_as_it_is(gives, words):
    report = checkup.diagnose(
        seeded(lambda: TwoHeads(gives)), *points(), lambda o, y: LOSS(o[0], y)
    )
    assert found(report) == ["missing-gradient"]
    assert report.findings[0].where == "b.weight and 1 more"
    assert words in report.findings[0].evidence


@pytest.mark.parametrize(
    ("read", "mistaken"),
    [
        (lambda o: o.view(-1, 5), True),
        (lambda o: o.reshape(len(o), -1).view(-1, 5), True),
        (lambda o: o.transpose(1, 2).reshape(-1, 5), False),
        (lambda o: o.movedim(1, -1).flatten(0, 1), False),
    ],
)
@pytest.mark.parametrize("length", [7, 5])  # 5: as many places as classes
def test_scores_read_across_their_classes_are_found(read, mistaken, length):
    torch.manual_seed(0)
    x, y = torch.randn(16, 3, length), torch.randint(5, (16, length))
    report = checkup.diagnose(nn.Conv1d(3, 5, 1), x, y, lambda o, y: LOSS(read(o), y.flatten()))
    assert (found(report)[:1] == ["shape-mismatch"]) == mistaken


@pytest.mark.parametrize(
    ("loss", "mistaken"),
    [
        (lambda o, y: (o - y).square().mean(), True),
        (lambda o, y: (y - o).square().mean(), True),
        (lambda o, y: (o[:, 0] - y).square().mean(), False),
        (lambda o, y: (o - y[:, None]).square().mean(), False),
        (lambda o, y: (o - y.unsqueeze(0)).square().mean(), False),
        (lambda o, y: (o - o.T).square().mean() + (o[:, 0] - y).square().mean(), False),
        (lambda o, y: (o[:, 0] - y).square().mean() * torch.ones(1), False),
        (lambda o, y: (y.abs() * (o - y[:, None]).abs()).mean(), True),
    ],
)
def test_pairs_by_mistake_are_told_from_pairs_on_purpose(loss, mistaken):
    x, _ = points()
    report = checkup.diagnose(seeded(lambda: plain(10, 20, 1)), x, x[:, 0] * x[:, 1], loss)
    assert ("shape-mismatch" in found(report)) == mistaken


def test_what_follows_from_a_cause_is_told_within_it():
    (finding,) = ill().findings
    assert finding.id == "dead-units"
    assert "gradients that are blocked (0.weight" in finding.evidence.partition("It explains")[2]


@pytest.mark.parametrize(("lr", "id"), [(1e-9, "update-too-small"), (1e4, "update-too-large")])
def test_a_rate_that_does_not_fit_is_found(lr, id):
    (finding,) = checkup.diagnose(series_network(), *contexts(), LOSS, lr).findings
    assert finding.id == id
    assert "for plain gradient descent" in finding.evidence.lower()
    assert (finding.severity == "remark") == (id == "update-too-small")


def test_the_step_is_that_of_the_optimizer():
    model, batch = seeded(lambda: plain(10, 100, 100, CLASSES)), points()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    report = checkup.diagnose(model, *batch, LOSS, optimizer=optimizer)
    before = model[2].weight.detach().clone()
    LOSS(model(batch[0]), batch[1]).backward()
    optimizer.step()
    ratio = (model[2].weight - before).norm() / before.norm()
    assert report.updates["2.weight"] == pytest.approx(ratio.item(), rel=1e-3)
    for lr, ids in ((3.0, ["update-too-large"]), (1e-8, ["update-too-small"])):
        optimizer = torch.optim.Adam(model.parameters(), lr)
        assert found(checkup.diagnose(model, *batch, LOSS, optimizer=optimizer)) == ids


def test_several_optimizers_hold_their_parts():
    model = seeded(lambda: plain(10, 50, CLASSES))
    parts = [torch.optim.SGD(model[k].parameters(), 0.1) for k in (0, 2)]
    assert found(checkup.diagnose(model, *points(), LOSS, optimizer=parts)) == []
    report = checkup.diagnose(model, *points(), LOSS, optimizer=parts[0])
    assert found(report) == ["not-in-optimizer"]
    assert report.findings[0].where == "2.weight and 1 more"


def test_gradients_that_are_off_are_told_and_stay_off():
    model = seeded(lambda: plain(10, 50, CLASSES))
    with torch.no_grad():
        report = checkup.diagnose(model, *points(), LOSS, lr=0.1)
        assert not torch.is_grad_enabled()
    assert found(report) == ["gradients-off"]
    assert report.loss > 0
    with torch.inference_mode():
        assert "gradients-off" in found(checkup.diagnose(model, *points(), LOSS))


def test_running_statistics_that_do_not_fit_are_found():
    model, (x, y) = seeded(lambda: convolutions(batchnorm=True)), pictures()
    fits = nn.Sequential(*copy.deepcopy(model))
    for part in fits:
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the mean of all batches
    fits(x)
    assert found(checkup.diagnose(fits.eval(), x, y, LOSS)) == ["mode-hides"]
    assert checkup.diagnose(fits, x, y, LOSS).healthy
    for part in model:
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean += 6
    assert found(checkup.diagnose(model.eval(), x, y, LOSS))[0] == "statistics-unfit"


def test_a_regression_is_compared_with_the_variance():
    g = torch.Generator().manual_seed(4)
    x, y = torch.randn((64, 10), generator=g), torch.randn((64, 1), generator=g)
    model = seeded(lambda: plain(10, 50, 1))
    report = checkup.diagnose(model, x, y, nn.MSELoss())
    assert found(report) == []
    assert report.ignorance == pytest.approx(y.var(correction=0).item(), rel=1e-3)
    assert found(checkup.diagnose(model, x, y + 6, nn.MSELoss())) == ["first-loss-high"]
    assert found(checkup.diagnose(model, x, y[:, 0], nn.MSELoss())) == ["shape-mismatch"]


def test_classes_for_each_place_are_understood():
    """The scores as (N, classes, length), as cross_entropy wants them, and as (N, length, classes)."""
    g = torch.Generator().manual_seed(5)
    scores = nn.Parameter(20 * torch.randn((8, 5, CLASSES), generator=g))
    labels = torch.randint(0, CLASSES, (8, 5), generator=g)

    class Table(nn.Module):
        def __init__(self, order):
            super().__init__()
            self.scores, self.order = scores, order

        def forward(self, x):
            return self.scores.permute(self.order)

    last = checkup.diagnose(
        Table((0, 1, 2)), 0, labels, lambda out, y: LOSS(out.flatten(0, 1), y.flatten())
    )
    second = checkup.diagnose(Table((0, 2, 1)), 0, labels, LOSS)
    for report in (last, second):
        assert found(report) == ["first-loss-high"]


def test_a_sparse_or_bounded_loss_is_not_compared_but_noted():
    x, _ = points(32)
    model = seeded(lambda: plain(10, 50, 8))

    def contrastive(out, _):
        out = F.normalize(out, dim=1)
        return F.cross_entropy(out @ out.roll(1, 0).T / 0.01, torch.arange(len(out)))

    report = checkup.diagnose(model, x, None, contrastive)
    assert "first-loss-high" not in found(report)
    assert any("first loss was not compared" in note for note in report.notes)


# ---------------------------------------------------------------- What goes wrong is told


@pytest.mark.parametrize(
    ("loss_fn", "said"),
    [
        (nn.CrossEntropyLoss(reduction="none"), "of shape (64,)"),
        (lambda out, y: 3.0, "It returned 3.0"),
        (lambda out, y: out.sum().detach(), "The loss depends on no parameter"),
        (lambda out, y: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_loss_that_is_none_is_told(loss_fn, said):
    assert said in str(checkup.diagnose(seeded(lambda: plain(10, CLASSES)), *points(), loss_fn))


class OneWay(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        raise RuntimeError("no way back")


class NoWayBack(nn.Linear):
    def forward(self, x):
        return OneWay.apply(super().forward(x))


def test_a_backward_pass_that_raises_is_told():
    report = checkup.diagnose(seeded(lambda: NoWayBack(10, CLASSES)), *points(), LOSS)
    assert found(report) == ["backward-raises"]
    assert "no way back" in str(report)
    assert len(report.outputs) == 1


def test_an_input_that_is_not_finite_is_told():
    x, y = points()
    x[3, 4] = math.inf
    report = checkup.diagnose(seeded(lambda: plain(10, CLASSES)), x, y, LOSS)
    assert found(report) == ["not-finite"]
    assert report.findings[0].where == "inputs"


@pytest.mark.parametrize(
    "loss_fn", [lambda out, y: LOSS(out, y) * math.inf, lambda out, y: LOSS(out, y) * math.nan]
)
def test_a_loss_that_is_not_finite_is_told(loss_fn):
    report = checkup.diagnose(seeded(lambda: plain(10, CLASSES)), *points(), loss_fn)
    assert found(report) == ["not-finite"]
    assert report.findings[0].where == "loss_fn"


def test_a_gradient_that_is_not_finite_is_told_with_its_place():
    class Root(nn.Module):
        def forward(self, x):
            return (x - x.detach()).abs().sqrt()  # at 0 its slope is infinite

    model = seeded(lambda: nn.Sequential(nn.Linear(10, 10), Root(), nn.Linear(10, CLASSES)))
    (finding,) = checkup.diagnose(model, *points(), LOSS).findings
    assert (finding.what, finding.where) == ("a gradient is not finite", "0 Linear")


def test_one_score_for_each_example_is_no_error():
    """A loss that takes no classes: the labels are whole numbers, and there is one score each."""
    x, y = points()

    class Scores(nn.Linear):
        def forward(self, x):
            return super().forward(x).squeeze(1)

    report = checkup.diagnose(
        Scores(10, 1), x, y % 2, lambda out, y: F.binary_cross_entropy_with_logits(out, y.float())
    )
    assert report.findings == []


@pytest.mark.parametrize("model", [None, 3, [], [nn.Tanh()], lambda x: x])
def test_what_is_no_network_is_refused(model):
    with pytest.raises(TypeError, match=r"diagnose needs an nn\.Module"):
        checkup.diagnose(model, *points(), LOSS)


@pytest.mark.parametrize("lr", [0, -0.1, math.nan, math.inf])
def test_what_is_no_learning_rate_is_refused(lr):
    with pytest.raises(ValueError, match="must be a positive number"):
        checkup.diagnose(plain(10, CLASSES), *points(), LOSS, lr)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"optimizer": "adam"}, TypeError, "optimizer is 'adam'; it must be an optimizer"),
        ({"optimizer": torch.optim.Adam}, TypeError, "optimizer is the class Adam; it must be"),
        ({"lr": "0.1"}, TypeError, "lr is '0.1'; it must be a positive number"),
        ({"lr": True}, TypeError, "lr is True; it must be a positive number"),
        ({"lr": -1.0}, ValueError, "lr is -1.0; it must be a positive number"),
        ({"ignore": None}, TypeError, "ignore is None; it must be ids in a list"),
        ({"ignore": "dead-units"}, TypeError, "ignore is 'dead-units'; it must be ids in a list"),
        ({"ignore": [3]}, TypeError, "ignore holds what is no string"),
    ],
)
def test_an_argument_of_another_kind_is_named(options, error, words):
    with pytest.raises(error, match=words):
        checkup.diagnose(plain(10, CLASSES), *points(), LOSS, **options)


def test_a_scheduler_is_no_optimizer():
    model = plain(10, CLASSES)
    scheduler = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(model.parameters(), 0.1), 3)
    with pytest.raises(TypeError, match=r"optimizer is a StepLR; .*give the one within it"):
        checkup.diagnose(model, *points(), LOSS, optimizer=scheduler)


@pytest.mark.parametrize("text", ["hello", "{}", '["a"]', '[{"id": "dead-units"}]', "3"])
def test_a_baseline_without_findings_is_refused(text, tmp_path):
    path = tmp_path / "known.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"baseline is .* a list of findings"):
        checkup.diagnose(plain(10, CLASSES), *points(), LOSS, baseline=path)


def test_a_rate_may_be_a_tensor():
    checkup.diagnose(plain(10, CLASSES), *points(), LOSS, torch.tensor(0.1))


# ---------------------------------------------------------------- What others have found


def ids_of(report):
    return [finding.id for finding in report.findings]


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.CrossEntropyLoss()])
def test_a_tanh_behind_the_last_layer_is_seen(loss):
    model = seeded(lambda: nn.Sequential(plain(10, 20, 3), nn.Tanh()))
    x, _ = points()
    targets = 20 + 9 * x[:, :3]
    if isinstance(loss, nn.CrossEntropyLoss):
        targets = x[:, :3].argmax(1)
    assert ids_of(checkup.diagnose(model, x, targets, loss))[0] == "output-range"


@pytest.mark.parametrize("tail", [(64, 1), (64,)])
def test_one_logit_is_none_for_a_cross_entropy(tail):
    model = seeded(lambda: nn.Sequential(plain(10, 20, 1), nn.Unflatten(1, (1,))))
    x, y = points()
    targets = (y > 13).float().view(tail)
    report = checkup.diagnose(model, x, targets, lambda out, t: LOSS(out.view(tail), t))
    assert ids_of(report)[0] == "output-range", str(report)
    assert "BCEWithLogitsLoss" in report.findings[0].remedy


def test_one_example_without_a_batch_has_many_logits():
    model, x = seeded(lambda: plain(10, 20, 10)), points()[0][0]
    report = checkup.diagnose(model, x, x.softmax(0), LOSS)
    assert "output-range" not in ids_of(report), str(report)


@pytest.mark.parametrize("recurs", [True, False])
def test_a_recurrence_from_zeros_is_not_constant(recurs):
    class Recurrence(nn.Module):
        def __init__(self):
            super().__init__()
            self.given, self.own, self.out = nn.Linear(5, 20), nn.Linear(20, 20), nn.Linear(20, 3)

        def forward(self, x):
            state = torch.zeros(len(x), 20)
            for step in range(4):
                own = self.own(state if recurs else torch.zeros_like(state))
                state = torch.tanh(self.given(x[:, step]) + own)
            return self.out(state)

    x = torch.randn(64, 4, 5)
    report = checkup.diagnose(seeded(Recurrence), x, torch.randint(3, (64,)), LOSS)
    assert ("constant-units" in ids_of(report)) is not recurs, str(report)


def test_the_step_of_lbfgs_is_not_judged():
    model = seeded(lambda: plain(10, 50, CLASSES))
    optimizer = torch.optim.LBFGS(model.parameters())
    x, y = points()
    for given in (optimizer, [torch.optim.SGD(model[0].parameters(), 0.1), optimizer]):
        report = checkup.diagnose(model, x, y, LOSS, optimizer=given)
        assert report.healthy, str(report)
        assert "updates were not judged: LBFGS" in str(report)

    def closure():
        optimizer.zero_grad()
        loss = LOSS(model(x), y)
        loss.backward()
        return loss

    with checkup.watch(model, optimizer, every=1) as watcher:
        for _ in range(4):
            optimizer.step(closure)
    assert watcher.report().healthy, str(watcher.report())
    assert "updates were not judged: LBFGS" in str(watcher.report())


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adam])
def test_weight_decay_is_no_step_of_the_gradient(kind):
    model = seeded(lambda: plain(10, 50, CLASSES))
    x, y = points()
    options = {"lr": 1e-3, "eps": 1e3, "weight_decay": 0.05}
    report = checkup.diagnose(model, x, y, LOSS, optimizer=kind(model.parameters(), **options))
    assert ids_of(report) == ["update-too-small"], str(report)
    report = checkup.diagnose(
        model, x, y, LOSS, optimizer=kind(model.parameters(), **options | {"eps": 1e-8})
    )
    assert report.healthy, str(report)


# ---------------------------------------------------------------- During training


def watched(model, lr=0.1, steps=30, every=5, batch=None):
    x, y = batch or points()
    optimizer = torch.optim.SGD(model.parameters(), lr)
    with checkup.watch(model, optimizer, every=every) as watcher:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = LOSS(model(x), y)
            watcher.note_loss(loss)
            loss.backward()
            optimizer.step()
    return watcher


def test_a_training_is_watched_and_stays_what_it_is():
    models = [seeded(lambda: plain(10, 50, 50, CLASSES, bend=nn.ReLU)) for _ in range(2)]
    watcher = watched(models[0])
    optimizer = torch.optim.SGD(models[1].parameters(), 0.1)
    for _ in range(30):
        optimizer.zero_grad()
        LOSS(models[1](points()[0]), points()[1]).backward()
        optimizer.step()
    assert same(dict(models[0].state_dict()), dict(models[1].state_dict()))
    assert watcher.steps == [0, 5, 10, 15, 20, 25]
    assert all(len(ratios) == 6 for ratios in watcher.ratios.values())
    assert len(watcher.dead["1"]) == 6
    report = watcher.report()
    assert report.healthy, str(report)
    assert set(report.updates) == {"0.weight", "2.weight", "4.weight"}
    assert not any(module._forward_hooks for module in models[0].modules())


@pytest.mark.parametrize(
    ("build", "lr", "id"),
    [
        (lambda: with_bias(-10), 0.1, "dead-units"),
        (lambda: plain(10, 50, CLASSES), 1e-7, "update-too-small"),
        (with_nan, 0.1, "not-finite"),
        (lambda: nn.Sequential(plain(10, 50, CLASSES), nn.Softmax(1)), 0.01, "loss-stands"),
    ],
)
def test_what_goes_wrong_in_a_training_is_found(build, lr, id):
    report = watched(seeded(build), lr, steps=60).report()
    assert id in [finding.id for finding in report.findings], str(report)


def test_hooks_go_when_a_training_breaks_off():
    model = seeded(lambda: plain(10, 50, CLASSES, bend=nn.ReLU))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(KeyboardInterrupt), checkup.watch(model, optimizer):
        raise KeyboardInterrupt
    assert not any(module._forward_hooks for module in model.modules())
    assert not optimizer._optimizer_step_pre_hooks
    with pytest.raises(ValueError, match="every is 0"), checkup.watch(model, optimizer, every=0):
        pass
    with pytest.raises(TypeError, match="optimizer is a NoneType"), checkup.watch(model, None):
        pass


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([1.0] * 20 + [math.nan] * 20, "not-finite"),
        ([math.inf] + [1.0] * 40, "not-finite"),
        ([1.1, 2.0, 40.0] + [90.0] * 37, "update-too-large"),
        (
            [(1 + (7 * step + 4) % 40) * 0.97**step for step in range(80)],
            None,
        ),  # of single examples
        ([1 - 0.1 * step for step in range(40)], None),
        ([0.7 + 0.02 * step for step in range(40)], None),
    ],
)
def test_losses_that_end_badly_are_found(losses, found):
    model = seeded(lambda: plain(10, 50, CLASSES))
    with checkup.watch(model, torch.optim.SGD(model.parameters(), 0.1)) as watcher:
        for loss in losses:
            watcher.note_loss(loss)
    assert ids_of(watcher.report()) == ([found] if found else []), str(watcher.report())


@pytest.mark.parametrize("lr", [1, 3])
def test_a_rate_of_adam_that_replaces_the_weights_is_seen_in_a_training(lr):
    model = seeded(lambda: plain(10, 50, 50, CLASSES, bend=nn.ReLU))
    optimizer = torch.optim.Adam(model.parameters(), lr)
    with checkup.watch(model, optimizer, every=5) as watcher:
        for _ in range(20):
            optimizer.zero_grad()
            LOSS(model(points()[0]), points()[1]).backward()
            optimizer.step()
    assert [one.id for one in watcher.report().at_least("warning")][:1] == ["update-too-large"]


def test_a_bias_before_a_batchnorm_is_a_remark():
    model = nn.Sequential(nn.Linear(10, 50), nn.BatchNorm1d(50), nn.ReLU(), nn.Linear(50, CLASSES))
    report = checkup.diagnose(model, *points(), LOSS)
    assert report.healthy
    assert [(one.id, one.severity) for one in report.findings] == [("useless-bias", "remark")]


def test_a_loss_is_asked_with_few_examples_of_a_large_output():
    x, y = torch.randn(64, 10), torch.randint(0, 20_000, (64,))
    model = nn.Sequential(nn.Linear(10, 20_000), nn.Softmax(1))
    report = checkup.diagnose(model, x, y, LOSS)
    assert report.findings[0].id == "probabilities-for-logits", str(report)
