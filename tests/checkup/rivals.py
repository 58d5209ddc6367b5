"""The table for three other tools, and for an earlier checkup: a development tool, which the series does not need.

    python -m pip install torchmortem torch-audit torchdiag     # best in an environment of its own
    python tests/checkup/rivals.py torch-audit torchdiag torchmortem [--seeds=1]
    python tests/checkup/rivals.py --earlier=PATH_OF_A_CHECKUP

`MEANS` says which of our causes a rule of theirs covers, generously. An error of torch that a tool lets through counts
as "raised". torchmortem looks at a run, here of 40 steps; the others at one.
"""

import importlib.util
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import torch
from cases import SEEDS, STEPS, loss_of
from table import tabulate

BLOCKED = {"blocked-gradient", "missing-gradient", "dead-units"}
MEANS = {
    "torch-audit": {
        "TA100": {"not-finite"},
        "TA102": {"gradients-explode", "signal-grows", "inputs-out-of-scale", "update-too-large"},
        "TA104": BLOCKED | {"gradients-off"},
        "TA105": {"dead-units", "blocked-gradient", "constant-units", "collapse"},
        "TA301": {"inputs-out-of-scale"},
        "TA302": {"inputs-out-of-scale", "collapse", "constant-units"},
        "TA304": {"batch-too-small"},
        "TA305": {"not-finite"},
        "TA400": {"useless-bias"},
        "TA405": {"dead-units", "blocked-gradient"},
        "TA500": {"missing-gradient"},
        "TA501": {"shared-batchnorm", "layers-shared"},
    },
    "torchdiag": {
        "frozen": {"missing-gradient"},
        "disconnected": {"missing-gradient"},
        "exploding": {
            "gradients-explode",
            "signal-grows",
            "inputs-out-of-scale",
            "update-too-large",
        },
        "vanishing": BLOCKED | {"gradients-vanish", "collapse", "constant-units"},
        "dead": {"dead-units", "blocked-gradient"},
        "finite": {"not-finite"},
        "Forward": {"forward-raises", "batch-too-small"},
        "Loss:": {"loss-raises", "shape-mismatch", "logits-for-probabilities", "targets-invalid"},
        "Backward": {"backward-raises", "gradients-off", "missing-gradient"},
        "None": {"missing-gradient"},
        "changed": BLOCKED | {"not-in-optimizer", "update-too-small"},
    },
    "torchmortem": {
        "dead_units": {"dead-units", "blocked-gradient", "constant-units"},
        "Vanishing": {"gradients-vanish", "signal-fades", "blocked-gradient"},
        "Exploding": {"gradients-explode", "signal-grows"},
        "Gradient": BLOCKED | {"gradients-vanish"},
        "Training": {"not-finite", "update-too-large"},
        "Loss": set(),
        "rank_collapse": {"collapse", "units-alike", "constant-units"},
        "saturation": {"saturated"},
        "Update-low": {"update-too-small", "gradients-vanish", "blocked-gradient"},
        "Update-high": {"update-too-large"},
        "Weight": {"update-too-large"},
        "Stagnant": {"update-too-small", "blocked-gradient"},
        "Inter-layer": {"first-loss-high"},
    },
    "earlier": {
        "the loss is higher": {"first-loss-high"},
        "is not finite": {"not-finite"},
        "saturated": {"saturated"},
        "dead": {"dead-units"},
        "constant": {"constant-units"},
        "fade": {"signal-fades"},
        "grow": {"signal-grows"},
        "vanish": {"gradients-vanish"},
        "explode": {"gradients-explode"},
        "running": {"statistics-unfit"},
        "a bias": {"useless-bias"},
        "parameters without": {"missing-gradient", "blocked-gradient"},
        "nothing can": {"missing-gradient"},
        "forward pass": {"forward-raises"},
        "loss raises": {"loss-raises"},
        "backward pass": {"backward-raises"},
        "small updates": {"update-too-small"},
        "large updates": {"update-too-large"},
    },
}


def report(ids):
    """A report with a warning for each id, in this order, none twice."""
    warnings = [SimpleNamespace(id=one, severity="warning") for one in dict.fromkeys(ids)]
    return SimpleNamespace(findings=warnings)


def silenced(diagnose):
    def quietly(*given, **options):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return diagnose(*given, **options)

    return quietly


def descent(model, lr, optimizer):
    return optimizer or torch.optim.SGD(model.parameters(), lr or 0.1)


@silenced
def audited(model, inputs, targets, loss_fn, lr=None, optimizer=None):
    """torch-audit's wrapper mode over one step; warnings and up, but for those on speed."""
    from torch_audit.runtime import Auditor

    auditor = Auditor(model, optimizer=descent(model, lr, optimizer), every_n_steps=1)
    with auditor:
        auditor.audit_static()
        auditor.audit_init()
        built = {"model": auditor.forward, "inputs": inputs, "targets": targets, "loss_fn": loss_fn}
        auditor.backward(loss_of(built))
        auditor.optimizer_step()
    found = auditor.finish().findings
    return report(
        one.rule_id for one in found if one.severity.value != "INFO" and one.rule_id[:3] != "TA2"
    )


def verified(model, inputs, targets, loss_fn, lr=None, optimizer=None):
    """torchdiag: its four checks, and the issues that they print."""
    import torchdiag

    class Called(torch.nn.Module):
        """torchdiag gives a model one tensor."""

        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            built = {"model": model, "inputs": x, "targets": None, "loss_fn": lambda out, _: out}
            return loss_of(built)

    called, printed = Called(), io.StringIO()
    cost = loss_fn or (lambda output, _: output.loss)
    if loss_fn is None:
        called.forward = lambda x: model(**x)
    with redirect_stdout(printed):
        torchdiag.summary(called)
        torchdiag.verify_step(called, descent(model, lr, optimizer), cost, inputs, targets)
        if "FAILED" not in printed.getvalue():
            torchdiag.check_gradients(called)
            torchdiag.check_dead_neurons(called, inputs)
    issues = [line for line in printed.getvalue().splitlines() if line.startswith(("  • ", "✗"))]
    return report(key for line in issues for key in MEANS["torchdiag"] if key in line)


@silenced
def autopsied(model, inputs, targets, loss_fn, lr=None, optimizer=None):
    """Torchmortem over 40 steps; its warnings, the critical ones first."""
    from torchmortem import Autopsy, Severity

    optimizer = descent(model, lr, optimizer)
    built = {"model": model, "inputs": inputs, "targets": targets, "loss_fn": loss_fn}
    with Autopsy(model, optimizer=optimizer) as autopsy:
        for _ in range(40):
            optimizer.zero_grad()
            loss = loss_of(built)
            loss.backward()
            optimizer.step()
            autopsy.step(loss=loss.item())
    ids = []
    for one in sorted(autopsy.get_report().findings, key=lambda one: -one.severity):
        if one.severity > Severity.INFO:
            first = one.title.split()[0]
            if first == "Update":
                first += "-low" if "low" in one.title else "-high"
            ids.append(one.category if one.category in MEANS["torchmortem"] else first)
    return report(ids)


def earlier(path):
    """A checkup without ids: its findings by the words of `what`; it takes a rate, and no optimizer."""
    specification = importlib.util.spec_from_file_location("earlier_checkup", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)

    def diagnose(model, inputs, targets, loss_fn, lr=None, optimizer=None):
        if lr is None and type(optimizer) is torch.optim.SGD:
            lr = optimizer.param_groups[0]["lr"] or None
        found = module.diagnose(model, inputs, targets, loss_fn, lr).findings
        return report(
            next((key for key in MEANS["earlier"] if key in one.what), one.what) for one in found
        )

    return diagnose


TOOLS = {"torch-audit": audited, "torchdiag": verified, "torchmortem": autopsied}

if __name__ == "__main__":
    options = dict(one.lstrip("-").split("=") for one in sys.argv[1:] if "=" in one)
    seeds = SEEDS[: int(options.get("seeds", len(SEEDS)))]
    for name in sys.argv[1:]:
        if name in TOOLS:
            moments = (0,) if name == "torchmortem" else (0, STEPS)
            tabulate(TOOLS[name], name, seeds=seeds, means=MEANS[name], moments=moments)
    if "earlier" in options:
        tabulate(earlier(options["earlier"]), "earlier", seeds=seeds, means=MEANS["earlier"])
