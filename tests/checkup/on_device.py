"""What the checkup says on a device, beside what it says on the CPU: `python tests/checkup/on_device.py cuda`.

Every case is built with seed 0 and looked at on the CPU; then it is built again, moved with all that it holds, and
looked at there. Healthy ones are also looked at in lower precision, parallel and compiled. It needs torch alone.

    --seconds=150   a job that would start later than that is counted as "not reached"
    --each          tell also the rows that are as they should be
    --section=...   one section only, by a part of its name

A row: verdict, section, case, what was found (on the CPU, on the device), seconds on the CPU, on the device. Work is
done in a second process, which is started anew where an error of the device has made it useless.
"""

import functools
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from types import FunctionType, MethodType

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2])]

import torch  # noqa: E402
from cases import GPT, alarms, mlp, next_token, quiet, tokens, train  # noqa: E402
from faults import FAULTS  # noqa: E402
from healthy import HEALTHY, Residual  # noqa: E402
from torch import nn  # noqa: E402

import checkup  # noqa: E402

CASES = {"checkup": checkup, "cases": None, "faults": None, "healthy": None}
ELSEWHERE = "same device", "on cpu", "device type", "is on", "device cpu", "from cpu", "cpu!"

# ---------------------------------------------------------------- Moving a case


def change_all(value, change, known, stuck):
    """Change the data of every tensor that is reached from a value, in place, so that each keeps its identity.

    It looks into modules, containers, objects of the cases, and what functions close over. What cannot be changed is
    added to `stuck`.
    """
    if id(value) in known or isinstance(
        value, str | bytes | int | float | complex | None | type(...)
    ):
        return
    known[id(value)] = value
    follow = functools.partial(change_all, change=change, known=known, stuck=stuck)
    if isinstance(value, torch.Tensor):
        try:
            new = change(value.detach())
            if new.device != value.device or new.dtype != value.dtype:
                value.grad = None
                value.data = new
        except Exception as error:
            stuck.append(f"a tensor of shape {tuple(value.shape)}: {last_line(error)}")
    elif isinstance(value, nn.utils.rnn.PackedSequence):  # its batch sizes stay on the CPU
        for part in (value[0], value[2], value[3]):
            follow(part)
    elif isinstance(value, dict):
        for part in value.values():
            follow(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            follow(part)
    elif isinstance(value, functools.partial):
        follow([value.func, value.args, value.keywords])
    elif isinstance(value, MethodType):
        follow([value.__self__, value.__func__])
    elif isinstance(value, FunctionType):
        follow([value.__defaults__, value.__kwdefaults__])
        for cell in value.__closure__ or ():
            try:
                follow(cell.cell_contents)
            except ValueError:  # it is empty
                continue
    elif isinstance(value, torch.optim.Optimizer):
        for state in value.state.values():
            follow([part for name, part in state.items() if name != "step"])
    elif isinstance(value, type):
        if value.__module__ in CASES:
            follow([part for part in vars(value).values() if isinstance(part, FunctionType)])
    elif isinstance(value, torch.Generator):
        stuck.append("a torch.Generator, which belongs to its device")
    elif isinstance(value, nn.Module) or hasattr(value, "__dict__"):
        follow(vars(value))
        follow(type(value))


def moved(built, device, dtype=None):
    """The built case on a device, its floats in a type; and what could not be moved."""

    def change(t):
        return t.to(device, dtype if dtype and t.is_floating_point() else None)

    stuck = []
    for one in (built["model"], built["loss_fn"]):
        if isinstance(one, nn.Module):
            one.to(device, dtype)
    change_all(built, change, {}, stuck)
    return built, stuck


# ---------------------------------------------------------------- Looking


def last_line(error):
    return " ".join(traceback.format_exception_only(error)[-1].split())[:160]


def built_of(case):
    """The case with seed 0, after its steps of training."""
    built = case.build(0)
    if case.after:
        train(built, case.after)
    return built


def report_of(built, case):
    options = {name: built[name] for name in ("lr", "optimizer") if name in built}
    with quiet(), torch.set_grad_enabled(case.gradients):
        torch.manual_seed(0)
        given = (built[name] for name in ("model", "inputs", "targets", "loss_fn"))
        return checkup.diagnose(*given, **options)


def stays(model):
    """A function that tells how the model has changed since now: "" if it has not."""
    before = [(name, p, p.device, p.detach().clone()) for name, p in model.named_parameters()]
    before += [(name, p, p.device, p.detach().clone()) for name, p in model.named_buffers()]

    def told():
        for name, now, device, old in before:
            if now.device != device:
                return f"{name} was moved to {now.device}"
            if not torch.equal(now.detach().nan_to_num(), old.nan_to_num()):
                return f"{name} was changed"
        return ""

    return told if not any(nn.parameter.is_lazy(p) for _, p, *_ in before) else lambda: ""


def on_device(built, case, device, around=nullcontext):
    """(report, words) of a case that was moved; with the device as default if forward makes tensors on the CPU."""
    changed = stays(built["model"]) if isinstance(built["model"], nn.Module) else str
    with around():
        report = report_of(built, case)
    words = changed()
    early = {"forward-raises", "loss-raises", "shape-mismatch", "not-examined"}
    told = [one.evidence for one in report.findings if one.id in early]
    if not words and any(part in one for one in told for part in ELSEWHERE):
        words = "(device as default)"
        with torch.device(device), around():
            report = report_of(built, case)
        words = changed() or words
    failed = [note for note in report.notes if "could not be looked at" in note]
    return report, " ".join([words, *failed]).strip()


def ids_of(report):
    return [one.id for one in report.findings]


def compared(case, device):
    """The row of a case, CPU and device."""
    start = time.perf_counter()
    here = ids_of(report_of(built_of(case), case))
    between = time.perf_counter()
    built, stuck = moved(built_of(case), device)
    if stuck:
        return "not moved", f"{stuck[0]}", between - start, 0
    ready = time.perf_counter()
    report, words = on_device(built, case, device)
    there = ids_of(report)
    verdict = (
        "same ids" if here == there else "same first" if here[:1] == there[:1] else "different"
    )
    if words and not words.startswith("(device"):
        verdict = "different"
    found = f"{' '.join(here) or 'none'} | {' '.join(there) or 'none'}"
    if verdict != "same ids":
        changed = [
            f"{one.id}: {one.evidence[:140]}" for one in report.findings if one.id not in here
        ]
        words = " ".join([words, *changed])
    return verdict, f"{found} {words}", between - start, time.perf_counter() - ready


def in_mode(case, device, mode):
    """The row of a healthy case in lower precision, parallel, or compiled."""
    half = {"bf16 model": torch.bfloat16, "fp16 model": torch.float16}.get(mode)
    built, stuck = moved(built_of(case), device, half)
    if stuck:
        return "not moved", f"{stuck[0]}", 0, 0
    kind, around = torch.device(device).type, nullcontext
    if mode.startswith("autocast"):
        type_ = torch.bfloat16 if "bf16" in mode else torch.float16
        around = functools.partial(torch.autocast, kind, type_)
    if "scaled" in mode:
        scaler, own = (
            torch.amp.GradScaler(kind, init_scale=2.0**10),
            checkup.loss_by(built["loss_fn"]),
        )
        built["loss_fn"] = lambda output, targets: scaler.scale(own(output, targets))
        built = {name: one for name, one in built.items() if name not in ("lr", "optimizer")}
    if mode == "DataParallel":
        built["model"] = nn.DataParallel(built["model"], [0] if kind == "cuda" else None)
    if mode.startswith("compiled"):
        backend = "inductor" if "inductor" in mode else "eager"
        built["model"] = torch.compile(built["model"], backend=backend)
        with quiet():
            checkup.calling(built["model"], built["inputs"])
    start = time.perf_counter()
    report, words = on_device(built, case, device, around)
    found = alarms(report)
    verdict = "quiet" if not found else "alarmed"
    if words and not words.startswith("(device"):
        verdict = "alarmed"
    told = [f"{one.id} ({one.where}): {one.evidence[:160]}" for one in found]
    remarks = [one.id for one in report.findings if one not in found]
    return verdict, " ".join([*told, *remarks, words]), 0, time.perf_counter() - start


def larger_models():
    """{name: (model, inputs, targets, loss)} whose passes take long enough to be measured."""
    torch.manual_seed(0)
    blocks = [Residual(64, zero=False) for _ in range(8)]
    convolutions = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1), *blocks, nn.AdaptiveAvgPool2d(1))
    convolutions.extend([nn.Flatten(), nn.Linear(64, 10)])
    labels = torch.arange(32) % 10
    cross = nn.CrossEntropyLoss()
    return {
        "8 residual blocks": (convolutions, torch.randn(32, 3, 32, 32), labels, cross),
        "GPT of 6 blocks": (GPT(65, 192, 6, 64), *tokens(16, 64, 65), next_token),
        "MLP of 8 layers": (
            mlp(64, *[1024] * 8, 10),
            torch.randn(512, 64),
            torch.arange(512) % 10,
            cross,
        ),
    }


def costs(name, device):
    """The row of a larger model: the seconds of a plain pass, and of a checkup, in turns."""
    model, x, y, loss_fn = larger_models()[name]
    built, _ = moved({"model": model, "inputs": x, "targets": y, "loss_fn": loss_fn}, device)
    model, x, y = built["model"], built["inputs"], built["targets"]

    def wait():
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()

    def plain():
        torch.autograd.grad(loss_fn(model(x), y), list(model.parameters()))

    def checked():
        checkup.diagnose(model, x, y, loss_fn)

    times = {plain: [], checked: []}
    with torch.device(device):
        for _ in range(6):
            for way, some in times.items():
                wait()
                start = time.perf_counter()
                way()
                wait()
                some.append(time.perf_counter() - start)
    one, other = (median(some[1:]) for some in times.values())
    return "measured", f"{other / one:.2f} times a plain pass", one, other


# ---------------------------------------------------------------- The jobs


def jobs(device, words=""):
    """(section, name, function without arguments) for all that is done, in order."""

    def rank(case):  # what may end the process comes last
        return any(part in case.name for part in ("out of range", "from 1", "BCELoss", "labels"))

    found = []
    for case in sorted([*FAULTS, *HEALTHY], key=rank):
        kind = "faults" if case.causes else "healthy"
        found.append((kind, case.name, functools.partial(compared, case, device)))
    found += [("costs", name, functools.partial(costs, name, device)) for name in larger_models()]
    modes = {
        "DataParallel": HEALTHY[3::8],
        "fp16 model": HEALTHY[2::8],
        "autocast fp16": HEALTHY[::6],
        "autocast fp16, scaled": HEALTHY[1::6],
        "autocast bf16": HEALTHY,
        "bf16 model": HEALTHY,
        "compiled": HEALTHY[::16],
        "compiled by inductor": HEALTHY[:1],
    }
    for mode, some in modes.items():
        found += [(mode, one.name, functools.partial(in_mode, one, device, mode)) for one in some]
    return [one for one in found if words in one[0]]


def work(device, begin, deadline, words):
    """Do the jobs from number `begin` on, and print a line of JSON for each; exit 3 where the device is lost."""
    torch.set_num_threads(1)
    for number, (section, name, job) in enumerate(jobs(device, words)):
        if number < begin:
            continue
        row = "not reached", "", 0, 0
        lost = False
        if time.time() < deadline:
            print(json.dumps([number]), flush=True)  # so that a job which ends the process is known
            try:
                row = job()
            except Exception as error:
                row = "raised", last_line(error), 0, 0
            try:
                if torch.device(device).type == "cuda":
                    torch.cuda.synchronize()
            except Exception as error:
                lost, row = (
                    True,
                    ("raised", f"the device is lost: {last_line(error)}; {row[1]}", 0, 0),
                )
        print(json.dumps([number, section, name, *row]), flush=True)
        if lost:
            sys.stdout.flush()
            sys.exit(3)


def told(row):
    _, section, name, verdict, found, here, there = row
    return f"{verdict:10} {section}: {name}: {found.strip()} [{here:.2f} s, {there:.2f} s]"


def main(device, seconds=150, each=False, words=""):
    """Run the worker, again where it ends early, and print the rows and the table."""
    start = time.time()
    counts, times = defaultdict(Counter), defaultdict(list)
    todo, begin = len(jobs(device, words)), 0
    print(f"torch {torch.__version__}, {device}, {todo} jobs", flush=True)
    while begin < todo:
        command = [
            sys.executable,
            str(HERE),
            device,
            f"--work={begin}",
            f"--deadline={start + seconds}",
        ]
        command += [f"--section={words}"]
        done, seen = begin - 1, False
        with tempfile.TemporaryFile("w+") as errors:
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            for line in worker.stdout:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                begin, seen = row[0], True
                if len(row) == 1:
                    continue
                done = begin
                counts[row[1]][row[3]] += 1
                times[row[1]].append(row[5:])
                if each or row[3] not in ("same ids", "quiet", "not reached"):
                    print(told(row), flush=True)
            worker.wait()
            errors.seek(0)
            said = errors.read().strip()
        if not seen:
            print(f"the worker does not start:\n{said}", flush=True)
            break
        if done < begin:
            section, name, _ = jobs(device, words)[begin]
            print(
                f"ended      {section}: {name}: its process: {said.splitlines()[-1:]}", flush=True
            )
            counts[section]["ended"] += 1
        begin += 1
    print(f"\n{'section':24} {'cpu s':>6} {'dev s':>6}  verdicts")
    for section, some in counts.items():
        here, there = (
            (sum(part) for part in zip(*times[section], strict=True)) if times[section] else (0, 0)
        )
        row = ", ".join(f"{verdict} {count}" for verdict, count in some.most_common())
        print(f"{section:24} {here:6.1f} {there:6.1f}  {row}")
    print(f"{time.time() - start:.0f} s in all", flush=True)


if __name__ == "__main__":
    options = dict(one[2:].partition("=")[::2] for one in sys.argv[1:] if one.startswith("--"))
    device = next((one for one in sys.argv[1:] if not one.startswith("--")), "cuda")
    if "work" in options:
        work(device, int(options["work"]), float(options["deadline"]), options.get("section", ""))
    else:
        main(
            device,
            float(options.get("seconds", 150)),
            "each" in options,
            options.get("section", ""),
        )
