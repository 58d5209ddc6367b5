"""One interruption (■ in JupyterLab, Ctrl-C) ends all long work of a cell, and the cells below still run.

Long work counts its steps by `progress` within `stoppable`. After an interruption there are no steps left in this
cell: a second training in it ends at once.
"""

from contextlib import contextmanager

import torch
from IPython import get_ipython
from tqdm.auto import tqdm

_stopped = []  # the execution counts of the cells that were interrupted


def _this_cell():
    shell = get_ipython()
    return None if shell is None else shell.execution_count


@contextmanager
def stoppable():
    """Within it an interruption ends the block, is told, and is not raised: what comes behind the block goes on."""
    gradients = torch.is_grad_enabled()
    try:
        yield
    except KeyboardInterrupt:
        torch.set_grad_enabled(gradients)  # it may have come while a no_grad() was left
        _stopped.append(_this_cell())
        print("You stopped this. What was done so far is kept: go on with the next cell.")


def stopped():
    """Whether this cell was interrupted. Never true in a script, which has no cells."""
    return _this_cell() is not None and _this_cell() in _stopped


def go_on():
    """In a widget's callback, which is no cell of its own: what was stopped before does not count any more."""
    _stopped.clear()


def progress(steps, unit=" steps", quiet=False):
    """Count from 0 to steps - 1 with a progress bar, which `set_postfix` gives a running loss.

    It is drawn once a second at most: nbval reads a cell's messages only after the cell has ended, and loses some,
    with the cell's end among them, when more than a thousand wait. In a cell that was interrupted there is no step.
    quiet: without a bar.
    """
    left = range(0 if stopped() else steps)
    return tqdm(left, unit=unit, mininterval=1, maxinterval=5, disable=quiet)
