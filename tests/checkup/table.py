"""The table of what the checkup makes of the cases: `python tests/checkup/table.py [--each]`, with `.` on the path.

Faults: the cause named first, named but not first, silent, or misled (findings, the cause not among them). Healthy
designs: quiet or alarmed. Each case is looked at with three seeds, healthy ones before training and after 20 steps; a
case counts as its worst look. With --each, every look is listed that is not right.
"""

import sys
from collections import Counter

from cases import SEEDS, STEPS, diagnosed, named_by
from faults import FAULTS
from healthy import HEALTHY

OF_FAULTS = "named first", "named", "silent", "misled", "raised"  # from best to worst
OF_HEALTHY = "quiet", "alarmed", "raised"


def look(diagnose, case, seed, steps, means=None):
    """(verdict, ids of the alarms in order, or an expected remark, or the error).

    A fault may be named by a remark if there is no alarm. means: {another tool's id: ours that it covers}.
    """
    means = means or {}
    try:
        found = named_by(case, diagnosed(diagnose, case, seed, steps))
    except Exception as error:
        return "raised", [f"{type(error).__name__}: {str(error)[:80]}"]
    if not case.causes:
        return ("alarmed" if found else "quiet"), found
    if not found:
        return "silent", found
    hits = [bool(case.causes & means.get(one, {one})) for one in found]
    return ("named first" if hits[0] else "named" if any(hits) else "misled"), found


def looks(diagnose, case, seeds=SEEDS, moments=(0, STEPS), means=None):
    """{(seed, steps): (verdict, ids)} for all looks at the case; moments: those of a healthy one."""
    moments = [case.after] if case.causes else moments
    return {
        (seed, steps): look(diagnose, case, seed, steps, means)
        for seed in seeds
        for steps in moments
    }


def tabulate(diagnose, name="checkup", each=False, words="", **options):
    """Print the table of a function that diagnoses like checkup.diagnose; return the counts of cases by verdict.

    each: list every look that is not right. words: which cases, by a part of the name. options: as for `looks`.
    """
    counts, wrong = Counter(), []
    for case in [*FAULTS, *HEALTHY]:
        if words not in case.name:
            continue
        order = OF_FAULTS if case.causes else OF_HEALTHY
        seen = looks(diagnose, case, **options)
        worst = max((verdict for verdict, _ in seen.values()), key=order.index)
        counts[bool(case.causes), worst] += 1
        for moment, (verdict, found) in seen.items():
            if verdict != order[0]:
                wrong.append((case, moment, verdict, found))
    for faulty, order, total in ((True, OF_FAULTS, "faults"), (False, OF_HEALTHY, "healthy")):
        row = ", ".join(f"{verdict} {counts[faulty, verdict]}" for verdict in order)
        print(f"{name}, {sum(n for (f, _), n in counts.items() if f == faulty)} {total}: {row}")
    told = {}
    for case, moment, verdict, found in wrong:
        key = (*((case.name, *moment) if each else (case.name,)), verdict, " ".join(found))
        told.setdefault(key, (sorted(case.causes), []))[1].append(moment)
    for key, (causes, moments) in told.items():
        *names, verdict, found = key
        expected = f"; expected {' or '.join(causes)}" if causes else ""
        print(f"  {verdict}: {', '.join(map(str, names))} ({len(moments)} x): {found}{expected}")
    return counts


if __name__ == "__main__":
    import checkup

    each = "--each" in sys.argv
    words = " ".join(word for word in sys.argv[1:] if word != "--each")
    tabulate(checkup.diagnose, each=each, words=words)
