"""Find out how far each claim's number moves between arithmetics: the ledgers of the lessons, run under each of them.

    python tools/spread.py [START ...]      only the lessons whose file name starts with one of these, e.g. 07

Torch and MKL choose their kernels by the processor, and add up in another order with each. The environment
makes them choose as on another one. For each lesson tests/spread/ gets a table of its claims, with the smallest and the
largest value that was seen. What was seen before, here or on another machine, counts as long as the lesson's code is
the same. A test holds every band against these tables.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

if __name__ == "__main__":  # a test that imports this keeps its own settings
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("ATEN_CPU_CAPABILITY", "MKL_CBWR"):
        os.environ.pop(name, None)  # they are set for each run

import bands
import lessons
import nbformat
import rebuild
import torch

CAPABILITIES = ("default", "avx2", "avx512")


@dataclass(frozen=True)
class Arithmetic:
    """Which kernels torch (ATEN_CPU_CAPABILITY) and MKL (MKL_CBWR) use, None for the processor's own; threads."""

    aten: str | None = None
    mkl: str | None = None
    threads: int = 1

    def __str__(self):
        return f"torch {self.aten or 'own'}, MKL {self.mkl or 'own'}, threads {self.threads}"

    @property
    def environment(self):
        asked = {"ATEN_CPU_CAPABILITY": self.aten, "MKL_CBWR": self.mkl}
        kept = {name: value for name, value in os.environ.items() if name not in asked}
        return kept | {name: value for name, value in asked.items() if value}

    def runs_here(self):
        """Whether this processor has the kernels. Asked for more than it has, torch says yes and then crashes."""
        own = torch.backends.cpu.get_cpu_capability().lower()
        return self.aten is None or CAPABILITIES.index(self.aten) <= CAPABILITIES.index(own)


ARITHMETICS = (
    Arithmetic(),
    Arithmetic("default", "COMPATIBLE"),
    Arithmetic("avx2", "AVX2"),
    Arithmetic("avx512", "AVX512"),
    Arithmetic("avx2", "COMPATIBLE"),
    Arithmetic(threads=2),
)


def claims_under(path, arithmetic):
    """Run a lesson under this arithmetic: a dict from the words of each claim to what was measured."""
    notebook = lessons.read(path)
    if arithmetic.threads > 1:
        setup = notebook.cells.index(lessons.code_cells(notebook)[0])
        threads = f"import torch\n\ntorch.set_num_threads({arithmetic.threads})"
        notebook.cells.insert(setup + 1, nbformat.v4.new_code_cell(threads))
    rebuild.execute(notebook, env=arithmetic.environment)
    return {claim["claim"]: claim["measured"] for claim in lessons.ledger(notebook)}


def main(starts):
    """Run the lessons named by their starts, or all, under all arithmetics that run here. Returns the exit status."""
    paths = [path for start in starts or [""] for path in lessons.lesson_paths(start)]
    here = [arithmetic for arithmetic in ARITHMETICS if arithmetic.runs_here()]
    for missing in set(ARITHMETICS) - set(here):
        print(f"not on this processor: {missing}")
    failed = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        runs = {
            pool.submit(claims_under, path, arithmetic): (path, arithmetic)
            for arithmetic in here
            for path in paths
        }
        for run in as_completed(runs):
            path, arithmetic = runs[run]
            try:
                bands.widen(path, run.result())
                print(f"{path.stem}: {arithmetic}", flush=True)
            except Exception as error:  # told; the other lessons go on
                failed += 1
                print(f"{path.stem}: {arithmetic}: {type(error).__name__}: {error}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
