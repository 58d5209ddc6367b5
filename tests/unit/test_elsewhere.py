"""The links to Binder and Colab, and what Binder and a hub in a cluster are told."""

import json
import os
import re
import subprocess

import elsewhere
import lessons
import pytest
import readme
import yaml

NAMED = '[tool.lessons]\nrepository = "https://github.com/ada/gradients.2"\nbranch = "main"\n'
KEYS = json.loads((lessons.ROOT / "tests" / "unit" / "chart_keys.json").read_text(encoding="utf-8"))
PYTHON_KINDS = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def test_without_an_address_there_is_no_link():
    assert elsewhere.repository("[tool.other]\n") is None
    assert elsewhere.repository('[tool.lessons]\nrepository = ""\n') is None
    assert elsewhere.hint(None) == ""


def test_with_an_address_each_lesson_has_both_links():
    found = elsewhere.repository(NAMED)
    assert found == elsewhere.Repository("ada", "gradients.2", "main")
    made = readme.blocks(found)
    table = [line for line in made["lessons"].splitlines() if line.startswith("|")]
    rows = table[2:]
    mains = [path for path in lessons.lesson_paths() if not lessons.is_companion(path)]
    for path, row in zip(mains, rows, strict=True):
        inside = f"notebooks/{path.name}"
        assert f"https://mybinder.org/v2/gh/ada/gradients.2/main?urlpath=lab/tree/{inside})" in row
        assert (
            f"https://colab.research.google.com/github/ada/gradients.2/blob/main/{inside})" in row
        )
    assert {row.count("|") for row in table} == {6}
    assert (
        "git clone --depth 1 --branch main https://github.com/ada/gradients.2\n"
        in (made["open elsewhere"])
    )
    text = readme.with_blocks(readme.README.read_text(encoding="utf-8"), made)
    assert readme.with_blocks(text, made) == text


def test_the_committed_readme_has_the_links_of_the_committed_address():
    text = readme.README.read_text(encoding="utf-8")
    assert ("mybinder.org" in text) == (elsewhere.repository() is not None)


@pytest.mark.parametrize(
    "address",
    [
        "ada/gradients",
        "http://github.com/ada/gradients",
        "https://github.com/ada",
        "https://github.com/ada/gradients/",
        "https://github.com/ada/gradients.git",
        "https://github.com/ada/gradients/tree/main",
        "https://github.com/ada/a b",
        "https://github.com/ada/..",
        "https://example.org/ada/gradients",
        " ",
    ],
)
def test_a_bad_address_is_refused_with_what_to_write(address):
    with pytest.raises(ValueError, match=r"Write \"https://github.com/OWNER/NAME\""):
        elsewhere.repository(f"[tool.lessons]\nrepository = {json.dumps(address)}\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("repository = 3", "no address"),
        ('repo = ""', "unknown repo"),
        ('branch = "a/b"', "no name"),
    ],
)
def test_other_mistakes_are_named(line, says):
    settings = (
        NAMED.replace('branch = "main"', line) if "branch" in line else f"[tool.lessons]\n{line}\n"
    )
    with pytest.raises(ValueError, match=says):
        elsewhere.repository(settings)


def test_a_package_that_is_not_pinned_is_named():
    assert elsewhere.pinned("torch").startswith("torch==")
    with pytest.raises(ValueError, match="does not pin numpyy"):
        elsewhere.pinned("numpyy")


# ---------------------------------------------------------------- Binder


def test_binder_installs_what_the_lessons_need_with_the_tested_python():
    folder = lessons.ROOT / "binder"
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (other,) = [line.removeprefix("-r ") for line in lines if line and not line.startswith("#")]
    assert (folder / other).resolve() == lessons.ROOT / "requirements.txt"
    assert (folder / "runtime.txt").read_text() == "python-3.11\n"
    assert os.access(folder / "postBuild", os.X_OK)
    subprocess.run(["bash", "-n", folder / "postBuild"], check=True)


# ---------------------------------------------------------------- A hub in a cluster


def leaves(values, above=""):
    """The documented keys that the values set, with the value: ("singleuser.cpu.limit", 1). Unknown ones, too."""
    for key, value in values.items():
        path = f"{above}{key}"
        if path in KEYS["kinds"] or not isinstance(value, dict):
            yield path, value
        else:
            yield from leaves(value, f"{path}.")


def faults(values):
    """What is wrong with the values of a hub, in words."""
    for path, value in leaves(values):
        kinds = KEYS["kinds"].get(path)
        if kinds is None:
            yield f"{path} is not documented"
        elif isinstance(value, bool) and "boolean" not in kinds:
            yield f"{path} must not be {value}"
        elif not isinstance(value, tuple(PYTHON_KINDS[kind] for kind in kinds)):
            yield f"{path} must be {' or '.join(kinds)}"
    for profile in values["singleuser"]["profileList"]:
        for key in profile.get("kubespawner_override", {}).keys() - set(KEYS["of a profile"]):
            yield f"a profile's {key} is unknown"


VALUES = (lessons.ROOT / "deploy" / "values.yaml").read_text(encoding="utf-8")


def test_the_values_for_a_cluster_are_documented_ones():
    assert list(faults(yaml.safe_load(VALUES))) == []
    assert "NOT RUN" in VALUES


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("    limit: 3G", "    limits: 3G", "singleuser.memory.limits is not documented"),
        ("    limit: 1\n", "    limit: '1'\n", "singleuser.cpu.limit must be number or null"),
        ("  timeout: 3600", "  timeout: 1h", "cull.timeout must be integer or null"),
        ("  every: 300", "  every: true", "cull.every must not be True"),
        ("cull:", "culling:", "culling.enabled is not documented"),
        ("cpu_limit", "cpus", "a profile's cpus is unknown"),
    ],
)
def test_a_mistake_in_the_values_is_found(right, wrong, says):
    assert right in VALUES
    assert says in list(faults(yaml.safe_load(VALUES.replace(right, wrong, 1))))


def test_each_learner_may_use_as_much_memory_as_the_readme_says():
    text = readme.README.read_text(encoding="utf-8")
    told = re.search(r"Give each learner (\d+) GiB", text)
    assert yaml.safe_load(VALUES)["singleuser"]["memory"]["limit"] == f"{told[1]}G"
