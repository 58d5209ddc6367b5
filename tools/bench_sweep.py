"""How long a step of the sweep takes on the device that is there, for one network of a stack. `make bench` calls it.

python tools/bench_sweep.py          needs no more than torch, and what sweep.py itself imports
"""

import statistics
import sys
import time
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where sweep.py is found

import sweep
from lessonkit.data import load_splits

STACKS = {"cpu": [1, 16], "cuda": [16, 256, 4_096]}  # networks
NETWORKS = {
    "16 layers of 50": {"depth": 16, "width": 50},
    "16 layers of 50, BatchNorm": {"depth": 16, "width": 50, "batchnorm": "hidden"},
    "32 layers of 50": {"depth": 32, "width": 50},
}
STEPS, ROUNDS, SEEDS = 100, 5, 5


def microseconds(setting, count, X, Y, symbols):
    """For one step of each of `count` networks in one stack: the median of ROUNDS."""
    settings = [setting | {"gain": 0.5 + 4 * k / count, "seed": k % SEEDS} for k in range(count)]
    plants = [sweep.plant(k, one, symbols) for k, one in enumerate(settings)]
    training = sweep.Training(plants, STEPS * (ROUNDS + 1), X, Y)
    step = sweep.step_of(training)
    synchronize = partial(torch.cuda.synchronize, X.device) if X.is_cuda else lambda: None
    seconds = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) / STEPS / count * 1e6  # the first round warms up


def rows():
    """The table's lines, for the GPU if there is one and else for the CPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load_splits()
    X, Y = (part.to(device) for part in data.train)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    counts = STACKS[device.type]
    together = " | ".join(f"{count:,} at once" for count in counts)
    yield f"| one step of one network, on: {name} | {together} |"
    yield "|---" * (len(counts) + 1) + "|"
    for words, setting in NETWORKS.items():
        found = [microseconds(setting, count, X, Y, len(data.stoi)) for count in counts]
        yield f"| {words} | " + " | ".join(f"{one:.3g} µs" for one in found) + " |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in rows():
        print(line, flush=True)
