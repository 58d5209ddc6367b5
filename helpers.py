"""What the lessons share: a table of contents. Each piece is built by hand in the lesson named here.

    Setup        setup, progress, stoppable                                              every lesson
    Data         load_names, build_vocabulary, build_dataset, split_names, load_splits             01
    Network      draw_parameters, starter_logits                                                   01
    Training     train, minibatch, lecture_lr, inference, evaluate, sample_names, block_means,
                 mean_and_error                                                            01
    Panels       Guess, Panel, static_twin                                               every lesson
    Theory       gaussian_mean, tanh_std, tanh_stds, tanh_fixed_point, saturated_share,
                 gradient_factor                                                           04
                 tanh_correlation                                                          12
    Layers       Linear, BatchNorm1d, Tanh, ReLU, MLP, to_torch                                    06
    Diagnostics  forward_backward; activation_rows, gradient_rows, weight_rows, UpdateRatios       07
    Pictures     four_pictures, plot_histograms, plot_updates                                      07
    The end      loss_log, Ledger                                                        every lesson

The code stands in the folder lessonkit/, one module for each of these lines. Shapes are written (rows, columns).
N is a number of examples; losses are in nats (natural logarithm).
"""

import platform

import matplotlib
import matplotlib.pyplot as plt
import torch

from lessonkit import ROOT
from lessonkit.data import (
    NAMES_FILE,
    Splits,
    build_dataset,
    build_vocabulary,
    load_names,
    load_splits,
    split_names,
)
from lessonkit.diagnostics import (
    SATURATED,
    USUAL_RATIO,
    Row,
    UpdateRatios,
    activation_rows,
    forward_backward,
    gradient_rows,
    measure,
    weight_rows,
)
from lessonkit.interrupts import progress, stoppable
from lessonkit.layers import MLP, BatchNorm1d, Linear, ReLU, Tanh, to_torch
from lessonkit.ledger import Ledger
from lessonkit.panels import Guess, Panel, describe_figures, static_twin
from lessonkit.pictures import (
    four_pictures,
    layer_colors,
    move_histograms,
    plot_histograms,
    plot_updates,
)
from lessonkit.story import STORY, TRAINING_STEPS, loss_log
from lessonkit.theory import (
    gaussian_mean,
    gradient_factor,
    saturated_share,
    tanh_correlation,
    tanh_fixed_point,
    tanh_std,
    tanh_stds,
)
from lessonkit.training import (
    SEED,
    Losses,
    block_means,
    draw_parameters,
    evaluate,
    inference,
    lecture_lr,
    mean_and_error,
    minibatch,
    sample_names,
    starter_logits,
    train,
)


def setup():
    """Start a lesson: the figure style of the series, one torch thread, the versions it runs with.

    One thread is the fastest choice for networks this small: the threads' talk costs more than they save.
    """
    plt.style.use(ROOT / "lessons.mplstyle")
    describe_figures()
    torch.set_num_threads(1)
    print(
        f"Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}, "
        f"matplotlib {matplotlib.__version__}"
    )
