"""The charts of lesson 10's clinic, as pictures and in words."""

import base64
import html
import io

import ipywidgets as widgets
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import helpers
from clinic.diagnoses import share, small

NAMES = {"tanh": "tanh", "relu": "ReLU"}
HIGHEST = 10  # density of picture 1, as in lesson 07: the peak of a faded layer would press all others flat


def draw_losses(ax, chart):
    means = helpers.block_means(chart.losses, 50)
    ax.plot(chart.losses, color="0.8", linewidth=0.8)
    ax.plot([50 * k + 25 for k in range(len(means))], means)
    ax.axhline(chart.nothing_known, color="black", linestyle=":")
    highest = means[means.isfinite()].max().item() if means.isfinite().any() else 0
    ax.set(title="Loss, and its mean of 50", xlabel="step", ylabel="loss")
    ax.set(ylim=(2, max(4, chart.first + 0.5, highest + 0.5)), xlim=steps_shown(chart))


def steps_shown(chart):
    """The limits of an axis of steps."""
    return -20, len(chart.losses) + 20


def colors_of(names, chart):
    """Hidden layers from dark to light; the output layer and the embedding stand out."""
    depth = chart.settings.depth
    colors = {f"layer {k}": color for k, color in enumerate(helpers.layer_colors(depth), 1)}
    colors |= {"embedding": "0.6", "output": "C1"}
    return [colors[name] for name in names]


def draw_rows(ax, rows, chart, **labels):
    rows = [row for row in rows if row.layer in shown_names(chart)]
    colors = colors_of([row.layer for row in rows], chart)
    helpers.plot_histograms(ax, rows, colors=colors, legend=False, **labels)
    ax.locator_params(axis="x", nbins=3)
    ax.xaxis.set_major_formatter("{x:g}")


def draw_pictures(axes, chart):
    """The loss curve and the four pictures."""
    draw_losses(axes[0], chart)
    draw_rows(axes[1], chart.outputs, chart, title="1 Outputs, step 0", xlabel="output")
    axes[1].set_ylim(0, min(axes[1].get_ylim()[1], HIGHEST))
    labels = {"title": "2 Gradients, step 0", "xlabel": "gradient of the output"}
    draw_rows(axes[2], chart.gradients, chart, yscale="log", **labels)
    labels = {"title": "3 Weights' gradients", "xlabel": "gradient of the weight"}
    draw_rows(axes[3], chart.weights, chart, yscale="log", **labels)
    hidden = [row for row in chart.weights if row.layer.startswith("layer")]
    if reach := max(row.edges.abs().max().item() for row in hidden):  # 0 if all weights are 0
        axes[3].set_xlim(-reach, reach)  # the output layer's gradients may be far wider
    colors = colors_of(chart.updates.ratios, chart)
    lines = helpers.plot_updates(
        axes[4], chart.updates, colors=colors, legend=False, title="4 Updates"
    )
    for line in lines:
        line.set_visible(line.get_label() in shown_names(chart))
    axes[4].set(ylabel="update / weight", ylim=(1e-6, 2), xlim=steps_shown(chart))


def record(chart):
    """The extra lines of a chart: (what, value) pairs, the same for every patient."""
    s = chart.settings
    saturated = ", ".join(f"{100 * chart.ends[k - 1]:.0f}" for k in shown_layers(chart))
    return [
        ("hidden layers", f"{s.depth} of {s.width} {NAMES[s.nonlinearity]}"),
        ("BatchNorm", "behind each Linear" if s.batchnorm else "none"),
        ("parameters", f"{chart.parameters:,}"),
        ("of these never moved", f"{chart.still:,}"),
        ("% saturated", saturated),
        ("stuck units", f"{s.width * sum(chart.stuck):.0f} of {s.width * s.depth}"),
        ("stuck in the worst layer", share(max(chart.stuck))),
        ("first loss", f"{chart.first:.2f}"),
        ("last 100 minibatches", f"{chart.late:.2f}"),
        ("train names, evaluated", f"{chart.train:.2f}"),
        ("dev names, evaluated", f"{chart.dev:.2f}"),
        ("320 examples at once", f"{chart.together:.2f}"),
        ("the same, 8 at a time", f"{chart.apart:.2f}"),
        ("one example differs by", f"{chart.difference:.2f}"),
    ]


def draw_chart(chart, title):
    """The whole chart as a figure."""
    figure = Figure((10, 6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    axes = figure.subplots(2, 3).flatten()
    draw_pictures(axes, chart)
    axes[5].set(title="The record", xticks=[], yticks=[])
    axes[5].axis("off")
    lines = record(chart)
    for line, (what, value) in enumerate(lines):
        for x, text, side in ((0, what, "left"), (1, value, "right")):
            axes[5].text(
                x, 0.95 - line / len(lines), text, ha=side, fontsize=9, transform=axes[5].transAxes
            )
    legend(figure, axes[4], chart)
    return figure


def shown_layers(chart):
    """All layers, or of twenty the first and each fifth."""
    depth = chart.settings.depth
    every = max(1, depth // 4)
    return [k for k in range(1, depth + 1) if k == 1 or k % every == 0]


def shown_names(chart):
    """Those that are drawn, as the rows and the updates name them."""
    return ["embedding", *(f"layer {k}" for k in shown_layers(chart)), "output"]


def legend(figure, ax, chart):
    """One for all pictures, of at most seven lines."""
    lines = [line for line in ax.get_lines() if line.get_label() in shown_names(chart)]
    figure.legend(handles=lines, loc="outside lower center", ncols=7, fontsize="small")


def in_words(chart):
    """A chart in words, with numbers: the alternative text of its picture."""
    layers = shown_layers(chart)

    def of(values, say):
        return ", ".join(say(values[k - 1]) for k in layers)

    slowest, fastest = small(min(chart.speeds)), small(max(chart.speeds))
    said = [
        f"Loss from {chart.first:.2f} to {chart.late:.2f}",
        f"of the layers {', '.join(map(str, layers))}: picture 1, std "
        f"{of(chart.stds, '{:.2f}'.format)}",
        f"picture 2, std {of([row.std for row in chart.gradients], small)}",
        f"picture 3, std {of([row.std for row in chart.weights[1:]], small)}",
        f"picture 4: at the end they change by {slowest} to {fastest} of their size in a step",
    ]
    return "; ".join([*said, *(f"{what}: {value}" for what, value in record(chart))]) + "."


def png(figure):
    """The figure as text, base64 of a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def picture_as_html(picture, words):
    """A PNG, as text in base64, with its alternative text."""
    return f'<img alt="{html.escape(words)}" style="max-width: 100%" src="data:image/png;base64,{picture}">'


def show_picture(picture, words):
    """Show a PNG with its alternative text: as a widget that has it in JupyterLab too, and as a picture on the web."""
    shown = widgets.HTML(picture_as_html(picture, words))
    bundle = shown._repr_mimebundle_() | {"text/plain": words, "image/png": picture}
    display(bundle, metadata={"image/png": {"alt": words}}, raw=True)
