"""The diagnoses of lesson 10's clinic: which signs they have, read off any chart, with the numbers.

They are written once for all patients. So a wrong diagnosis is answered from the patient's own numbers, and health
is one of them: a treatment has helped when nothing on the new chart speaks against "nothing is wrong".
"""

import math
from dataclasses import dataclass

DIAGNOSES = {}  # by a short key


@dataclass(frozen=True)
class Diagnosis:
    """name: for the list. signs: from a Chart to pairs of whether a sign is there, and its words with numbers.

    A network suffers from it if all signs are there. expects: what the chart of such a network would show.
    """

    name: str
    lesson: str
    expects: str
    signs: object

    def evidence(self, chart):
        """The words of the signs for it, and of those against it."""
        signs = self.signs(chart)
        return [said for holds, said in signs if holds], [
            said for holds, said in signs if not holds
        ]


def diagnosis(key, name, lesson):
    """Decorate a function of signs; its docstring says what the chart would show."""

    def register(signs):
        DIAGNOSES[key] = Diagnosis(name, lesson, " ".join(signs.__doc__.split()), signs)
        return signs

    return register


def share(part):
    return f"{100 * part:.0f} %"


def small(value):
    """A number to its first digit, without an exponent."""
    if value == math.inf:
        return "more than all"
    return f"{float(f'{value:.1g}'):.12f}".rstrip("0").rstrip(".")


def said_first(chart):
    return (
        f"the first loss is {chart.first:.2f}, and knowing nothing costs "
        f"ln {chart.symbols} = {chart.nothing_known:.2f}"
    )


def said_speed(chart):
    if chart.speed == 0:
        return "picture 4: the hidden layers do not move at all"
    return (
        f"picture 4: at the end, the middle hidden layer changes by {small(chart.speed)} of its size in "
        f"a step (healthy: 0.001 to 0.01)"
    )


def said_stds(chart):
    return f"picture 1: the outputs' std is {chart.stds[0]:.2f} in layer 1 and {chart.stds[-1]:.2f} in the last"


def said_still(chart):
    return f"record: {chart.still:,} of {chart.parameters:,} parameters never moved"


def said_stuck(chart):
    return f"record: in the hidden layer with the most of them, {share(max(chart.stuck))} of the units are stuck"


def said_company(chart):
    return (
        f"record: in other company, the loss of one example differs by {chart.difference:.2f} "
        f"(healthy: 0.00)"
    )


def said_gap(chart):
    return f"record: the last minibatches cost {chart.late:.2f}, and the train names, evaluated, {chart.train:.2f}"


def batchnorm_sign(chart):
    has = chart.settings.batchnorm
    return (
        has,
        f"record: the network has {'a BatchNorm behind each Linear' if has else 'no BatchNorm'}",
    )


@diagnosis("hot", "the output layer starts too hot", "02")
def _(chart):
    """A network that is sure of wrong answers: a first loss far above that of knowing nothing, then a hockey stick;
    large gradients that come back from the output layer."""
    back = chart.gradients[-1].std
    return [
        (chart.first > chart.nothing_known + 1.7, said_first(chart)),
        (
            back > 0.01,
            f"picture 2: the last layer's gradients have std {small(back)} (healthy: 0.0003)",
        ),
    ]


@diagnosis("zero", "all weights start at zero", "02")
def _(chart):
    """Outputs and gradients that are zero everywhere, from the first layer on, and nothing that moves but the biases
    of the output layer."""
    return [
        (max(chart.stds) < 1e-6, said_stds(chart)),
        (chart.still > 0.9 * chart.parameters, said_still(chart)),
    ]


@diagnosis("fan", "the weights were not divided by √fan_in", "04")
def _(chart):
    """All hidden layers saturated alike, since each of them has weights that are too large, and gradients that grow
    from the last layer to the first."""
    grows = chart.gradients[0].std / max(chart.gradients[-1].std, 1e-30)
    return [
        (
            min(chart.ends) > 0.6,
            f"picture 1: in the layer with the fewest, {share(min(chart.ends))} of the outputs are saturated",
        ),
        (
            grows > 10,
            f"picture 2: the gradients of layer 1 are {grows:.2g} times those of the last layer",
        ),
    ]


@diagnosis("fast", "the learning rate is about ten times too large", "07")
def _(chart):
    """Updates far above the dashed line, and a loss that jumps and stays high, although the start was healthy."""
    return [
        (chart.speed > 0.015, said_speed(chart)),
        (
            chart.late > chart.letters_alone,
            f"the loss starts at {chart.first:.2f} and ends at {chart.late:.2f} (knowing no more than how often "
            f"each letter comes: {chart.letters_alone:.2f})",
        ),
    ]


@diagnosis("slow", "the learning rate is about ten times too small", "07")
def _(chart):
    """A sound start in pictures 1 to 3, and updates below the dashed line in all hidden layers alike."""
    return [
        (0 < chart.speed < 6e-4, said_speed(chart)),
        (
            0 < max(chart.speeds) < 6e-4,
            f"picture 4: even the fastest hidden layer changes by {small(max(chart.speeds))} of its size",
        ),
        (chart.stds[-1] > 0.3, said_stds(chart)),
    ]


@diagnosis("dead", "dead ReLUs", "03")
def _(chart):
    """ReLUs, many units that put out 0 for every example, and no gradient that gets past them."""
    relu = chart.settings.nonlinearity == "relu"
    return [
        (relu, f"record: the hidden layers are of {'ReLU' if relu else 'tanh'}"),
        (max(chart.stuck) > 0.1, said_stuck(chart)),
        (chart.stds[0] > 0.1, said_stds(chart)),
    ]


@diagnosis("fade", "the gain is too small: the signal fades from layer to layer", "07")
def _(chart):
    """Outputs that become a little smaller with each layer, with nothing saturated, and all units still alive."""
    falls = chart.stds[-1] / max(chart.stds[0], 1e-30)
    return [
        (0 < falls < 0.4, said_stds(chart)),
        (
            chart.ends[-1] < 0.01,
            f"picture 1: {share(chart.ends[-1])} of the last layer is saturated",
        ),
        (max(chart.stuck) < 0.05, said_stuck(chart)),
    ]


@diagnosis("first", "the first layer's weights are too large", "03")
def _(chart):
    """Saturation in layer 1 and not behind it; and since its weights are large, this layer hardly moves."""
    slow = chart.speeds[0] / max(chart.speed, 1e-30)
    behind = max(chart.ends[2:])
    return [
        (chart.ends[0] > 0.6, f"picture 1: {share(chart.ends[0])} of layer 1 is saturated"),
        (
            behind < 0.3,
            f"picture 1: from layer 3 on, up to {share(behind)} of a layer is saturated",
        ),
        (0 < slow < 0.1, f"picture 4: layer 1 moves {slow:.2g} times as fast as the middle layer"),
    ]


@diagnosis("stats", "BatchNorm's running statistics have seen too little", "05")
def _(chart):
    """Training in order, but a much higher loss as soon as the network is evaluated, on the train names too; in every
    company the same."""
    return [
        batchnorm_sign(chart),
        (chart.train - chart.late > 0.1, said_gap(chart)),
        (chart.difference < 0.01, said_company(chart)),
    ]


@diagnosis("mode", "BatchNorm is still in training mode when it is evaluated", "06")
def _(chart):
    """Good losses, but an example's loss that depends on the batch that it is evaluated in."""
    return [batchnorm_sign(chart), (chart.difference > 0.01, said_company(chart))]


@diagnosis("bias", "biases before BatchNorm: harmless, but wasted", "05")
def _(chart):
    """Everything in order, but as many parameters that never move as there are units in front of a BatchNorm."""
    units = f"{chart.normed} units stand in front of a BatchNorm"
    return [
        batchnorm_sign(chart),
        (
            chart.normed > 0 and abs(chart.still - chart.normed) < 30,
            f"{said_still(chart)}; {units}",
        ),
    ]


@diagnosis("none", "nothing is wrong", "07")
def _(chart):
    """The values of a healthy network everywhere."""
    low = min(chart.speeds)
    enough = chart.letters_alone - 0.17
    return [
        (chart.first < chart.nothing_known + 0.2, said_first(chart)),
        (0.25 < chart.stds[-1] < 1.5, said_stds(chart)),
        (
            max(chart.ends) < 0.5,
            f"picture 1: up to {share(max(chart.ends))} of a layer is saturated",
        ),
        (6e-4 < chart.speed < 0.015, said_speed(chart)),
        (
            low > 3e-4,
            f"picture 4: the slowest hidden layer changes by {small(low)} of its size in a step",
        ),
        (
            chart.dev < enough,
            f"record: the dev loss is {chart.dev:.2f} (healthy: below {enough:.2f})",
        ),
        (not chart.settings.batchnorm or chart.train - chart.late < 0.1, said_gap(chart)),
        (chart.difference < 0.01, said_company(chart)),
        (chart.still < 60, said_still(chart)),
        (max(chart.stuck) < 0.05, said_stuck(chart)),
    ]
