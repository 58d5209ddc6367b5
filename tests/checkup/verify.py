"""Is each fault a fault, and does each healthy design learn? `python tests/checkup/verify.py [words of a name]`.

A fault's `harm` says what is looked for. Prints the cases for which it is not seen, and how many it is seen for.
"""

import math
import sys
from statistics import mean

import torch
from cases import SEEDS, train
from faults import FAULTS
from healthy import HEALTHY

WORSE = 1.2  # times the mended network's loss, at the end or, for "starts worse", on average over the first steps
DIFFERS = 0.2  # the share of the outputs' std by which training mode and eval mode must differ
FALLS = 0.9  # times the first loss, within the steps of a healthy training


def raises(case, seed):
    built = case.build(seed)
    try:
        with torch.set_grad_enabled(case.gradients):
            train(built, 2)
    except Exception as error:
        return True, type(error).__name__
    return False, "nothing is raised"


def not_finite(case, seed):
    losses = train(case.build(seed), 5)
    return not all(map(math.isfinite, losses)), f"losses {losses}"


def worse(case, seed, steps=60, part=slice(-5, None)):
    ours, theirs = (mean(train(b(seed), steps)[part]) for b in (case.build, case.mended))
    return not ours < WORSE * theirs, f"{ours:.3g}, mended {theirs:.3g}"


def relatively_worse(case, seed, steps=60):
    """Of losses of different scales, each against its own first one."""
    losses = [train(b(seed), steps) for b in (case.build, case.mended)]
    ours, theirs = (mean(some[-5:]) / some[0] for some in losses)
    return ours > WORSE * theirs, f"{ours:.3g} of the first loss, mended {theirs:.3g}"


def starts_worse(case, seed):
    return worse(case, seed, 10, slice(0, 10))


def unmoved(case, seed):
    """Whether units that should learn stay as they are: of each tensor that does, or of rows of one."""
    built = case.build(seed)
    train(built, case.after)
    meant = built.get("meant") or [p for p in built["model"].parameters() if p.requires_grad]
    before = [p.detach().clone() for p in meant]
    train(built)
    still = sum(
        (a == b).flatten(1).all(1).any().item() if a.ndim > 1 else torch.equal(a, b)
        for a, b in zip(before, meant, strict=True)
    )
    return still > 0, f"{still} of {len(meant)} tensors, or units of them, have not moved"


def modes_differ(case, seed):
    """Whether training mode and eval mode give other outputs."""
    built = case.build(seed)
    model = built["model"]
    if model.training:
        train(built, 100)
    outputs = []
    with torch.no_grad():
        for mode in (False, True):
            outputs.append(model.train(mode)(built["inputs"]))
    share = ((outputs[0] - outputs[1]).std() / outputs[1].std()).item()
    off = ((outputs[0] - outputs[1]).abs().mean() / outputs[1].std()).item()
    return max(share, off) > DIFFERS, f"they differ by {share:.2g} and {off:.2g} of the std"


def outputs_of(built):
    with torch.no_grad():
        return built["model"](built["inputs"])


def below_zero(case, seed):
    """Whether a loss that cannot be negative is."""
    losses = train(case.build(seed), 200)
    return losses[-1] < 0, f"the loss ends at {losses[-1]:.3g}"


def mixes(case, seed):
    """Whether other examples' outputs change when the first or the last example does."""
    built = case.build(seed)
    built["model"].eval()
    before, change = outputs_of(built), 0
    for place, others in ((0, slice(1, None)), (-1, slice(None, -1))):
        inputs = built["inputs"].clone()
        inputs[place] = torch.randn_like(inputs[place])
        after = outputs_of(built | {"inputs": inputs})
        change = max(change, (after - before)[others].abs().max().item())
    return change > 1e-4, f"others change by {change:.2g}"


def passes_differ(case, seed):
    built = case.build(seed)
    built["model"].eval()
    change = (outputs_of(built) - outputs_of(built)).abs().max().item()
    return change > 0, f"two passes in eval mode differ by {change:.2g}"


def no_effect(case, seed):
    """Whether outputs stay when the first bias moves by a tenth."""
    built = case.build(seed)
    before = outputs_of(built)
    with torch.no_grad():
        built["model"][0].bias += 0.1
    change = ((outputs_of(built) - before).abs().max() / before.std()).item()
    return change < 0.05, f"outputs change by {change:.2g} of their std"


CHECKS = {
    "below 0": below_zero,
    "mixes": mixes,
    "passes differ": passes_differ,
    "no effect": no_effect,
    "raises": raises,
    "not finite": not_finite,
    "worse": worse,
    "starts worse": starts_worse,
    "relatively worse": relatively_worse,
    "unmoved": unmoved,
    "modes differ": modes_differ,
}


def learns(case, seed, steps=100):
    losses = train(case.build(seed), steps)
    start, end = losses[0], mean(losses[-5:])
    return end < start - (1 - FALLS) * abs(start), f"loss {start:.3g}, at the end {end:.3g}"


def main(words=""):
    """Check the cases of which the name contains `words`."""
    counts = dict.fromkeys([*CHECKS, "wrong (argued)", "healthy: learns", "not seen"], 0)
    for case in [*FAULTS, *HEALTHY]:
        if words not in case.name:
            continue
        kind = case.harm if case.causes else "healthy: learns"
        if kind == "wrong":
            counts["wrong (argued)"] += 1
            continue
        check = CHECKS[kind] if case.causes else learns
        seen = [check(case, seed) for seed in SEEDS]
        if all(yes for yes, _ in seen):
            counts[kind] += 1
        else:
            counts["not seen"] += 1
        if words or not all(yes for yes, _ in seen):
            print(f"{case.name} ({kind}): " + "; ".join(said for _, said in seen), flush=True)
    print(", ".join(f"{kind} {count}" for kind, count in counts.items() if count))


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
