"""Execute lessons from a fresh kernel, top to bottom, and save them with their outputs, ready to commit.

    python tools/rebuild.py [START ...]      only the lessons whose file name starts with one of these, e.g. 01

Two rebuilds on one machine differ in no byte: what differs between executions (times, widget ids, kernel details)
is left out. A lesson in which a cell raises is not saved: the file stays as it was, and the error is shown.
The README's table of lessons, loss log and picture are made anew from the lessons.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import bands
import fingerprints
import lessons
import nbformat
import readme
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from lessonkit import story

CELL_TIMEOUT = 3600  # seconds: a training of 200,000 steps on a slow and busy machine
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PEAK_MEMORY = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def execute(notebook, env=None):
    """Execute the notebook in place from a fresh kernel; return (seconds, peak memory of the kernel in MiB).

    env: the kernel's environment, if it is not to be this process's.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # no warning of TCP, which stays on this machine
        record_timing=False,
        iopub_timeout=60,  # an output that comes late is waited for
        raise_on_iopub_timeout=True,
        resources={"metadata": {"path": str(lessons.story.LESSONS_FOLDER)}},
    )
    start = time.perf_counter()
    with client.setup_kernel(env=env or os.environ):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        return time.perf_counter() - start, _peak_memory(client)


def _peak_memory(client):
    """Ask the kernel for its peak memory, in MiB (Linux counts in KiB, macOS in bytes)."""
    probe = nbformat.v4.new_code_cell(PEAK_MEMORY)
    client.nb.cells.append(probe)
    client.execute_cell(probe, len(client.nb.cells) - 1, store_history=False)
    client.nb.cells.pop()
    return int(probe.outputs[0].text) / (2**20 if sys.platform == "darwin" else 2**10)


def normalize(notebook):
    """Leave out of an executed notebook what differs between two executions, and sign it with its fingerprint."""
    for cell in lessons.code_cells(notebook):
        cell.metadata.pop("execution", None)
        kept = []
        for output in cell.outputs:
            if WIDGET_VIEW in output.get("data", {}):
                del output.data[WIDGET_VIEW]
                if not {"image/png", "text/markdown"} & output.data.keys():
                    continue  # a progress bar: without a kernel there is nothing to show of it
            if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
                kept[-1].text += output.text  # how a text is cut into pieces depends on the time
            else:
                kept.append(output)
        cell.outputs = kept
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
        "lesson": {"fingerprint": fingerprints.of(notebook)},
    }


def renew_block(name, lines, maker):
    """Put these lines into one of the README's blocks. maker: the command that makes it."""
    text = readme.README.read_text(encoding="utf-8")
    save(readme.README, readme.with_blocks(text, {name: "\n".join(lines)}, maker).encode())


def save(path, content):
    """Write bytes to a file all at once: an interruption leaves the old file or the new one, never half of one."""
    draft = path.with_suffix(path.suffix + ".draft")
    draft.write_bytes(content)
    draft.replace(path)


def rebuild(path):
    """Execute one lesson and save it. Raises CellExecutionError, with nothing saved, if a cell raises."""
    notebook = lessons.read(path)
    seconds, mebibytes = execute(notebook)
    normalize(notebook)
    save(path, lessons.as_bytes(notebook))
    bands.widen(path, {claim["claim"]: claim["measured"] for claim in lessons.ledger(notebook)})
    print(f"{path.name:42} {seconds:5.0f} s {mebibytes:6.0f} MiB", flush=True)


def with_earlier_rows(notebook, path):
    """The lesson of this file with the rows of its loss log that it took from other lessons as these have them now."""
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            if rows := output.get("data", {}).get(story.LOG_MIME):
                rows = {
                    key: row if story.STORY[key].file == path.stem else story.saved_row(key)
                    for key, row in rows.items()
                }
                output.data.update(story.LossLog(rows)._repr_mimebundle_())
    return notebook


def refresh_shared_parts():
    """Bring up to date what is made from several lessons: links between neighbours, loss logs, the README's blocks."""
    for path in lessons.lesson_paths():
        notebook = lessons.read(path)
        linked = with_earlier_rows(
            lessons.with_navigation(notebook, lessons.navigation(path)), path
        )
        if linked != notebook:
            save(path, lessons.as_bytes(linked))
    text = readme.README.read_text(encoding="utf-8")
    save(readme.README, readme.with_blocks(text, readme.blocks()).encode())
    save(readme.PICTURE, readme.picture())
    readme.SHEET_PICTURES.mkdir(exist_ok=True)
    for name, png in readme.sheet_pictures().items():
        save(readme.SHEET_PICTURES / name, png)


def main(starts):
    """Rebuild the lessons that are named by their starts, or all of them, then the README. Returns the exit status.

    With "alone" among the starts, the README and the links between lessons stay as they are.
    """
    alone = "alone" in starts
    starts = [start for start in starts if start != "alone"]
    paths = [path for start in starts or [""] for path in lessons.lesson_paths(start)]
    if not paths:
        print(f"no lesson in {lessons.story.LESSONS_FOLDER} starts with {' or '.join(starts)}")
        return 2
    for path in paths:
        try:
            rebuild(path)
        except CellExecutionError as error:
            print(f"{Path(path).name} was not saved: a cell raised.\n{error}")
            return 1
    if not alone:
        refresh_shared_parts()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
