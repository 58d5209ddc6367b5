"""Compute the maps of gains in fine grain, on a GPU, and save them with their provenance for lesson 12.

    python tools/fine_map.py                     64 x 64 fields, five networks each, on the first CUDA device
    python tools/fine_map.py --device cpu --size 8 --layers 16 --save elsewhere.json

Without a CUDA device the maps are as small as the second line's, unless told otherwise, and --save must name a file:
the series' own are made whole. What is done so far stands beside it in a file .part until all is.

Three maps, of networks as lesson 12 trains them: the gain and the depth, plain and with BatchNorm; and the gain and the
learning rate, at 16 layers. Each field is the mean dev loss of the seeds, with its standard error.
"""

import argparse
import datetime
import json
import math
import platform
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where sweep.py is found

import sweep
from lessonkit.data import load_splits
from lessonkit.devices import known_device
from lessonkit.training import mean_and_error

WIDTH, STEPS, DEV_EXAMPLES = 50, 1_000, 2_000  # as in lesson 12
GAINS, RATES = (0.4, 5.0), (0.001, 10.0)  # from, to; in equal ratios
LARGEST_DEPTH, DEPTH_OF_RATES = 64, 16
MAPS = ["plain", "rates", "BatchNorm"]
AT_ONCE = 5_120  # networks that are held in memory


def in_equal_ratios(limits, count):
    """`count` numbers from the first limit to the second, rounded as they are saved."""
    first, last = torch.tensor(limits, dtype=torch.float64).log()
    return [round(number, 5) for number in torch.linspace(first, last, count).exp().tolist()]


def the_maps(size, layers):
    """Each map by its name: its rows' name and numbers, and the setting that is the same in the whole map."""
    depths = torch.linspace(1, layers, size).round().int().tolist()
    rates = in_equal_ratios(RATES, size)
    return {
        "plain": ("depth", depths, {}),
        "rates": ("lr", rates, {"depth": min(DEPTH_OF_RATES, layers)}),
        "BatchNorm": ("depth", depths, {"batchnorm": "hidden"}),
    }


def dev_losses(settings, data, device):
    """The dev loss of each setting after its training."""
    X, Y = data.train
    runs = sweep.train_many(settings, STEPS, X, Y, len(data.stoi), device=device)
    dev = (part[:DEV_EXAMPLES] for part in data.dev)
    return sweep.evaluate_many([run.network for run in runs], *dev, device=device)


def one_map(row_name, rows, common, gains, seeds, data, device):
    """The mean dev losses and their standard errors, two lists of rows, and the seconds that they took."""
    start = time.perf_counter()
    settings = [
        common | {row_name: row, "gain": gain, "seed": seed, "width": WIDTH}
        for row in rows
        for gain in gains
        for seed in range(seeds)
    ]
    losses = []
    for first in range(0, len(settings), AT_ONCE):
        losses += dev_losses(settings[first : first + AT_ONCE], data, device)
    table = torch.tensor(losses).view(len(rows), len(gains), seeds).movedim(-1, 0)
    mean, error = mean_and_error(table)
    return as_saved(mean), as_saved(error), round(time.perf_counter() - start)


def as_saved(table):
    """A table of losses as lists; null where a training has blown up."""
    return [[round(x, 4) if math.isfinite(x) else None for x in row] for row in table.tolist()]


def provenance(device):
    """What computed the maps."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "device": name or platform.machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": str(datetime.date.today()),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    there = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if there else "cpu")
    parser.add_argument("--size", type=int, default=64 if there else 8, help="fields a side")
    parser.add_argument("--layers", type=int, default=LARGEST_DEPTH if there else 16)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--maps", nargs="*", choices=MAPS, default=MAPS, help="only these")
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args(arguments)
    if asked.save is None:
        if not there or asked.maps != MAPS:
            parser.error(f"--save FILE is needed: only all maps of a GPU go to {sweep.FINE_MAPS}")
        asked.save = sweep.FINE_MAPS
    torch.set_num_threads(1)
    data, device = load_splits(), known_device(asked.device)
    gains = in_equal_ratios(GAINS, asked.size)
    saved = {"made": provenance(device), "steps": STEPS, "width": WIDTH, "seeds": asked.seeds}
    saved |= {"gains": gains, "maps": {}}
    for name, (row_name, rows, common) in the_maps(asked.size, asked.layers).items():
        if name not in asked.maps:
            continue
        mean, error, seconds = one_map(row_name, rows, common, gains, asked.seeds, data, device)
        print(
            f"{name}: {len(rows) * len(gains) * asked.seeds:,} networks in {seconds} s", flush=True
        )
        saved["maps"][name] = {"rows": rows, "seconds": seconds, "mean": mean, "error": error}
        text = json.dumps(saved, separators=(",", ":")) + "\n"
        draft = asked.save.with_suffix(".part")
        draft.write_text(text, encoding="utf-8")
    draft.replace(asked.save)


if __name__ == "__main__":
    main()
