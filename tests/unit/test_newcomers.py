"""The ward round of the clinic: each newcomer has exactly one diagnosis without evidence against it; the score."""

import random
import re
from itertools import count

import pytest
import torch

import clinic
from clinic import examination, newcomers
from clinic.diagnoses import DIAGNOSES
from clinic.patients import PATIENTS
from lessonkit import interrupts

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def short(monkeypatch):
    """Examinations of three steps, none of which is kept; the newcomers are the clinic's own patients, in order."""
    monkeypatch.setattr(examination, "STEPS", 3)
    monkeypatch.setattr(examination, "_EXAMINED", {})
    numbers = count(1)

    def in_order(chance):
        patient = PATIENTS[next(numbers)]
        return patient, clinic.examine(patient.settings)

    monkeypatch.setattr(newcomers, "draw_patient", in_order)


def said(widget):
    return re.sub(r"<[^>]+>", " ", widget.value)


@pytest.mark.parametrize("fault", newcomers.FAULTS)
def test_a_newcomer_has_one_fault_that_its_chart_tells(fault, monkeypatch):
    monkeypatch.setattr(newcomers, "FAULTS", {fault: newcomers.FAULTS[fault]})
    patient, chart = newcomers.draw_patient(random.Random(5))
    assert patient.fault == fault
    assert chart is clinic.examine(patient.settings)
    assert newcomers.unopposed(chart) == [fault]
    assert all(
        getattr(patient.settings, name) != value for name, value in patient.treatment.items()
    )


def test_every_diagnosis_can_come():
    assert sorted(newcomers.FAULTS) == sorted(DIAGNOSES)


def test_networks_of_all_sizes_come():
    chance = random.Random(1)
    drawn = [newcomers.healthy(chance, {}) for _ in range(200)]
    for name, values in {
        "depth": {3, 5, 8, 12},
        "width": {50, 100, 150},
        "nonlinearity": {"tanh", "relu"},
        "batchnorm": {True, False},
    }.items():
        assert {getattr(settings, name) for settings in drawn} == values
    assert len({settings.seed for settings in drawn}) > 190


def test_a_fault_without_a_clear_chart_is_told(monkeypatch):
    monkeypatch.setattr(examination, "STEPS", 1)
    monkeypatch.setattr(newcomers, "MOST_DRAWS", 2)
    monkeypatch.setattr(newcomers, "unopposed", lambda chart: [])
    with pytest.raises(RuntimeError, match=r"2 draws of the fault '\w+' had no clear chart"):
        newcomers.draw_patient(random.Random(1))


def test_the_button_brings_one_newcomer_after_the_other_and_keeps_the_score(short):
    round_ = clinic.next_patient()
    assert len(round_.box.children) == 2
    for number in (1, 2):
        round_.button.click()
        assert not round_.button.disabled
        _, picture, visit, score = round_.box.children
        assert f"Loss from {clinic.chart(number).first:.2f}" in picture.value
        assert said(score).split(".")[0].strip().startswith("0 of" if number == 1 else "1 of")
        visit.children[0].value = PATIENTS[1].fault
    assert "Against it:" in said(visit.children[1])
    assert "next cell" not in said(visit.children[1])
    words = said(round_.score)
    assert "1 of 2 newcomers right at first sight." in words
    assert (
        f"Taken for “{DIAGNOSES['hot'].name}”, and it was “{DIAGNOSES['zero'].name}”: 1 ×." in words
    )


def test_an_error_is_shown_where_the_button_stands(short, monkeypatch):
    def fails(chance):
        raise RuntimeError("30 draws had no clear chart.")

    monkeypatch.setattr(newcomers, "draw_patient", fails)
    round_ = clinic.next_patient()
    round_.button.click()
    assert "no clear chart. Press the button again." in said(round_.score)
    assert not round_.button.disabled


def test_only_the_first_choice_counts(short, monkeypatch):
    round_ = clinic.next_patient()
    round_.next()
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("clinic.consultation.monotonic", lambda: next(clock))
    choices = round_.box.children[2].children[0]
    choices.value = "slow"
    choices.value = PATIENTS[1].fault
    assert "0 of 1 newcomers right" in said(round_.score)


def test_the_clinics_own_score_is_another(short, monkeypatch):
    monkeypatch.setattr("clinic.consultation.CHOSEN", {})
    round_ = clinic.next_patient()
    round_.next()
    round_.box.children[2].children[0].value = "slow"
    assert clinic.consultation.CHOSEN == {}


def test_an_interrupted_examination_brings_nobody(short, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(examination, "at_the_end", interrupt)
    monkeypatch.setattr(interrupts, "_this_cell", lambda: 7)
    round_ = clinic.next_patient()
    round_.button.click()
    assert "press the button for another one" in said(round_.score)
    assert not round_.patients
    monkeypatch.undo()
    monkeypatch.setattr(interrupts, "_this_cell", lambda: 7)  # a callback is no cell of its own
    monkeypatch.setattr(examination, "STEPS", 3)
    monkeypatch.setattr(newcomers, "unopposed", lambda chart: list(newcomers.FAULTS)[:1])
    monkeypatch.setattr(newcomers, "FAULTS", {"none": newcomers.FAULTS["none"]})
    round_.button.click()
    assert len(round_.patients) == 1


def test_without_a_kernel_it_says_what_stands_there(monkeypatch):
    shown = []
    monkeypatch.setattr(newcomers, "display", lambda data, **_: shown.append(data))
    clinic.next_patient()._ipython_display_()
    assert "In JupyterLab a button stands here" in shown[0]["text/markdown"]
