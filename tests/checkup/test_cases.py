"""The checkup on faulty and healthy networks: it names the cause first, and leaves healthy ones alone."""

import pytest
from cases import SEEDS, STEPS, alarms, diagnosed, named_by
from faults import FAULTS
from healthy import HEALTHY

import checkup


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def test_there_are_enough_cases_and_none_twice():
    assert len(FAULTS) >= 150
    assert len(HEALTHY) >= 130
    assert len({case.name for case in [*FAULTS, *HEALTHY]}) == len(FAULTS) + len(HEALTHY)
    assert all(case.causes and case.harm for case in FAULTS)
    assert not any(case.causes for case in HEALTHY)


def assert_no_rule_failed(report):
    """Quiet must not mean that a rule has raised an error, which is a note only."""
    assert not [note for note in report.notes if "could not be looked at" in note], report.notes


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@named(FAULTS)
def test_the_cause_of_a_fault_is_named_first(case, seed):
    report = diagnosed(checkup.diagnose, case, seed, case.after)
    assert_no_rule_failed(report)
    found = named_by(case, report)
    assert found, f"silent; {set(case.causes)} was expected"
    assert found[0] in case.causes, f"{found}; {set(case.causes)} was expected\n{report}"


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, STEPS])
@pytest.mark.parametrize("seed", SEEDS)
@named(HEALTHY)
def test_a_healthy_network_is_left_alone(case, seed, steps):
    report = diagnosed(checkup.diagnose, case, seed, steps)
    assert_no_rule_failed(report)
    assert not alarms(report), str(report)
