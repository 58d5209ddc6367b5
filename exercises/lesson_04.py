"""Checkers for the exercises of lesson 04."""

import math

from exercises import Wrong, as_number, call, close, exercise, recognize


@exercise("4.1")
def weight_std(answer):
    """The std of weights that bring 300 inputs of rms 0.5 to outputs of rms 1."""
    std = as_number(answer, "the std")
    right = 1 / (0.5 * math.sqrt(300))
    usual = [
        (1 / math.sqrt(300), "that is right for inputs of rms 1. How large are these?"),
        (0.5 / math.sqrt(300), "the right two numbers; but small inputs ask for larger weights."),
        (right**2, "that is the right E[w²]. Which std has it?"),
        (1 / (0.5 * 300), "the rms is in the right place. And fan_in, does it stand under a root?"),
        (1 / 300, "the right fan_in, without its root. And how large are the inputs?"),
        (
            1 / math.sqrt(0.5 * 300),
            "nearly: 0.5 is the rms of the inputs, and the formula has E[x²]. Which is which?",
        ),
        (
            1 / (0.5 * math.sqrt(27)),
            "the rms is in the right place; but on the way forward, what counts: inputs or outputs?",
        ),
        (1 / math.sqrt(27), "27 is the number of outputs. What feeds one neuron?"),
        (
            math.sqrt(2 / 327) / 0.5,
            "that is Xavier's mean of fan_in and fan_out. Here only the way forward is asked for.",
        ),
        (
            math.sqrt(2 / 327),
            "that is Xavier's std, for inputs of rms 1. Asked is the way forward.",
        ),
        (
            math.sqrt(2) * right,
            "√2 too large: that is the gain of a ReLU, and this layer has no bend.",
        ),
        (5 / 3 * right, "5/3 too large: that is the gain of a tanh, and this layer has no bend."),
    ]
    if std <= 0:
        raise Wrong(f"{std:.4g}: can weights with such a std give outputs at all?")
    recognize(std, usual, 0.005, relative=True)
    if not close(std, right, 0.005 * right):
        outputs = std * 0.5 * math.sqrt(300)
        raise Wrong(
            f"with {std:.4g} the outputs get the rms {outputs:.3g}. What does E[y²] consist of?"
        )
    return "The rule, solved for another layer: it passes on what it gets, and you decide by which factor."


@exercise("4.2")
def leaky_gain(answer):
    """The gain of a leaky ReLU with any slope on the negative side."""
    for slope in (0.5, 0.1, 1.0, 0.0, math.sqrt(5)):
        gain = as_number(call(answer, slope), f"the gain for slope {slope:.3g}")
        kept = (1 + slope**2) / 2  # E[f²]
        mean = (1 - slope) / math.sqrt(2 * math.pi)
        right = kept**-0.5
        if close(gain, right, 0.005):
            continue
        usual = [
            (2**0.5, "that is the gain of the ReLU itself. What is left of the negative half?"),
            (
                (2 / (1 + slope)) ** 0.5,
                "nearly: a negative number keeps the share a of itself. And of its square?",
            ),
            (
                1 / kept,
                "that is the factor for the mean square. What multiplies the numbers themselves?",
            ),
            (kept**0.5, "upside down: that is what is left, and the gain makes up for it."),
            (kept, "that is E[f²], what is left of the squares. Which gain makes up for it?"),
            (
                (1 + slope**2) ** -0.5,
                "each side is there; but each holds only half of the numbers.",
            ),
            (
                (kept - mean**2) ** -0.5,
                "that takes the variance of what is left. Which mean does the next layer add up?",
            ),
        ]
        shown = f"{gain:.4g} for slope {slope:.3g}"
        recognize(gain, usual, 0.005, start=f"{shown}: ")
        raise Wrong(f"{shown}. What does each half of the numbers keep of its squares?")
    return "Slope √5 gives 0.577: you have derived the size that nn.Linear draws with."


@exercise("4.3")
def branch_gain(answer):
    """The gain for which depth linear layers with skip connections make the rms grow by a factor."""
    for depth, growth in ((50, 2), (10, 1.5), (1, 3)):
        gain = as_number(call(answer, depth, growth), "the gain")
        right = math.sqrt(growth ** (2 / depth) - 1)
        if close(gain, right, 0.005 * right):
            continue
        of_rms, of_square = growth ** (1 / depth), growth ** (2 / depth)  # in one layer
        usual = [
            (
                math.sqrt(of_rms - 1),
                "`growth` is that of the rms, and what is multiplied in each layer is the mean square.",
            ),
            (
                of_rms - 1,
                "the powers are right; but sizes that are independent do not add, their squares do.",
            ),
            (
                of_rms,
                "that would be right without the skip connections. What does `h +` add to each layer?",
            ),
            (of_square - 1, "nearly: that is gain²."),
            (
                math.sqrt((growth**2 - 1) / depth),
                "as if each layer added as much as the first one. What does it multiply?",
            ),
            (
                of_square,
                "that is the factor of one layer, with its own input in it. Which part comes from W?",
            ),
            (1 / math.sqrt(depth), "a rule of thumb, without a look at `growth`."),
            (
                math.sqrt(growth**2 - 1),
                "that is right for a single layer. And for all of them together?",
            ),
        ]
        shown = f"{gain:.4g} for {depth} layers and a growth of {growth}"
        recognize(gain, usual, 0.005, relative=True, start=f"{shown}: ")
        becomes = 0.5 * depth * math.log10(1 + gain**2) if abs(gain) < 1e100 else math.inf
        grown = f"{10**becomes:.3g}" if becomes < 300 else "more than 1e300"
        raise Wrong(
            f"{shown}: with it the rms would grow by {grown}. What does one layer do to it?"
        )
    return "So the deeper the stack, the smaller each contribution: deep networks scale their branches like this."
