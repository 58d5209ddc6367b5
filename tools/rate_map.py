"""Compute the losses over learning rates that lesson 16 reads, and save them with their provenance.

    python tools/rate_map.py                    all forms and depths, about a quarter of an hour on one core
    python tools/rate_map.py --forms scaled --depths 4 --save elsewhere.json    one line of it, some seconds

The series' own file, rate_map.json, is made whole: whoever computes a part of it must name another file by --save.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where lessonkit is found

from lessonkit import modern
from lessonkit.training import mean_and_error

STEPS, SEEDS = 500, range(10, 15)  # not the seeds of the lesson


def rounded(losses):
    """Losses as they are saved; null where one of the networks, or more, blew up."""
    return [round(loss, 4) if math.isfinite(loss) else None for loss in losses.tolist()]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    forms, depths = list(modern.FORMS), list(modern.DEPTHS)
    parser.add_argument("--forms", nargs="*", choices=forms, default=forms, help="only these")
    parser.add_argument("--depths", nargs="*", type=int, choices=depths, default=depths)
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args(arguments)
    own = asked.save is None or asked.save.resolve() == modern.RATE_FILE
    if own and (set(asked.forms), set(asked.depths)) != (set(forms), set(depths)):
        parser.error(f"--save FILE is needed: only the whole map goes to {modern.RATE_FILE}")
    torch.set_num_threads(1)
    saved = {
        "made": {
            "device": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "date": str(datetime.date.today()),
        },
        "steps": STEPS,
        "seeds": list(SEEDS),
        "width": modern.WIDTH,
        "rates": [round(rate, 7) for rate in modern.RATES.tolist()],
        "mean": {form: {} for form in asked.forms},
        "error": {form: {} for form in asked.forms},
    }
    for depth in asked.depths:
        for form in asked.forms:
            start = time.perf_counter()
            losses = modern.search(form, depth, steps=STEPS, seeds=SEEDS)
            mean, error = mean_and_error(losses.T)
            saved["mean"][form][depth], saved["error"][form][depth] = rounded(mean), rounded(error)
            print(f"{form}, {depth} layers: {time.perf_counter() - start:.0f} s", flush=True)
    place = modern.RATE_FILE if asked.save is None else asked.save
    place.write_text(json.dumps(saved, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
