"""The four pictures (lesson 07), drawn from the rows of diagnostics.py. Drawing returns the lines, for moving them."""

from itertools import zip_longest

import matplotlib.pyplot as plt
import torch

from lessonkit.diagnostics import USUAL_RATIO, activation_rows, gradient_rows, weight_rows


def layer_colors(count):
    """Colors for `count` things in an order, such as layers: an array, (count, 4), from dark to light."""
    return plt.get_cmap("viridis")(torch.linspace(0, 0.92, count).numpy())


def plot_histograms(axes, rows, *, colors=None, legend=True, **labels):
    """Draw the histograms of rows as lines. Returns the lines, for `move_histograms`.

    colors: one for each row; if None, the first layer is the darkest. legend: beside the axes.
    """
    colors = layer_colors(len(rows)) if colors is None else colors
    lines = [
        axes.plot([], [], color=color, label=row.layer)[0]
        for row, color in zip(rows, colors, strict=True)
    ]
    move_histograms(lines, rows)
    axes.relim()
    axes.autoscale_view()
    axes.locator_params(axis="x", nbins=5)
    axes.set(ylabel="density", **labels)
    if legend:
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return lines


def move_histograms(lines, rows):
    """Give lines the histograms of other rows; a line without a row becomes empty."""
    for line, row in zip_longest(lines, rows):
        middles = [] if row is None else (row.edges[1:] + row.edges[:-1]) / 2
        line.set_data(middles, [] if row is None else row.density)


def plot_updates(axes, updates, *, colors=None, legend=True, **labels):
    """Draw the ratios of an UpdateRatios over the steps, and one dashed line at USUAL_RATIO. Returns the ratios' lines.

    colors: one for each weight; if None, the first is the darkest. legend: beside the axes.
    """
    colors = layer_colors(len(updates.ratios)) if colors is None else colors
    lines = []
    for (name, ratios), color in zip(updates.ratios.items(), colors, strict=True):
        lines += axes.plot(updates.steps, ratios, color=color, label=name)
    if not any(line.get_gid() == "usual ratio" for line in axes.get_lines()):
        axes.axhline(USUAL_RATIO, color="black", linestyle="--", gid="usual ratio")
    axes.set(yscale="log", xlabel="step", ylabel="std of update / of weight", **labels)
    if legend:
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return lines


def four_pictures(figure, network, updates):
    """The health of a network in four pictures, from the four statistics. Returns the first three's rows, for printing.

    network: an MLP after `forward_backward`. updates: the UpdateRatios of its training.
    """
    axes = figure.subplots(2, 2).flatten()
    pictures = [
        (activation_rows(network.hidden), "1 Forward: the outputs", "output"),
        (gradient_rows(network.hidden), "2 Backward: their gradients", "gradient of the output"),
        (weight_rows(network.weights), "3 Gradients of the weights", "gradient of the weight"),
    ]
    for ax, (rows, title, xlabel) in zip(axes[:3], pictures, strict=True):
        plot_histograms(ax, rows, title=title, xlabel=xlabel)
    for line, row in zip(axes[2].get_lines(), pictures[2][0], strict=True):
        line.set_label(f"{row.layer}: {row.ratio:.2g}")
    axes[2].legend(title="grad:data", fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    plot_updates(axes[3], updates, title="4 Updates against weights")
    return [rows for rows, *_ in pictures]
