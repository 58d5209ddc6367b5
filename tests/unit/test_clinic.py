"""The clinic of lesson 10: charts, diagnoses against all patients, treatments, the consultation, the score."""

import itertools
import math
import re
from dataclasses import replace

import pytest
import torch

import clinic
import helpers
from clinic import charts, consultation, examination
from clinic.diagnoses import DIAGNOSES, small
from clinic.examination import POSSIBLE, STEPS, Settings, changed, examine
from clinic.newcomers import unopposed
from exercises import Wrong

pytestmark = pytest.mark.slow

PATIENTS = clinic.PATIENTS.items()
IDS = [f"{number} {sick.fault}" for number, sick in PATIENTS]
RELU = {"nonlinearity": "relu", "gain": 2**0.5}
HEALTHY = {
    "tanh": {},
    "BatchNorm": {"batchnorm": True},
    "ReLU": RELU,
    "ReLU and BatchNorm": {**RELU, "batchnorm": True},
    "twenty layers": {"depth": 20},
}


@pytest.fixture(autouse=True)
def one_thread_and_nothing_chosen(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(consultation, "CHOSEN", {})
    monkeypatch.setattr(consultation, "HEALED", {})


@pytest.fixture
def pictures(monkeypatch):
    """What is shown, as (PNG, words); the PNG is left out, for drawing takes as long as a training."""
    shown = []
    monkeypatch.setattr(consultation, "png", lambda figure: None)
    monkeypatch.setattr(consultation, "show_picture", lambda *picture: shown.append(picture))
    return shown


def said(visit):
    return re.sub(r"<[^>]+>", " ", visit.answer.value)


# ---------------------------------------------------------------- Charts


def test_the_healthy_chart_is_that_of_lesson_07():
    chart = examine(Settings())
    assert chart.parameters == 46_497
    assert len(chart.losses) == STEPS
    assert chart.first == pytest.approx(3.2962, abs=0.0005)
    assert chart.stds == pytest.approx([0.75, 0.69, 0.67, 0.66, 0.66], abs=0.006)
    assert chart.ends[0] == pytest.approx(0.2025, abs=0.001)
    assert chart.dev == pytest.approx(2.37, abs=0.03)
    assert chart.train - chart.late < 0.1
    assert chart.still < 20
    assert sum(chart.stuck) == 0


def test_an_examination_is_repeatable_and_made_once():
    again = examination.measure(Settings())
    assert again.losses == examine(Settings()).losses
    assert examine(Settings()) is examine(Settings())


def test_evaluation_in_training_mode_depends_on_the_company():
    assert examine(Settings(batchnorm=True)).difference < 1e-5
    assert examine(Settings(batchnorm=True, evaluate_in="train")).difference > 0.1
    assert examine(Settings(evaluate_in="train")).difference < 1e-5  # no BatchNorm, no company


def test_biases_before_batchnorm_never_move():
    with_bias = examine(Settings(batchnorm=True, bias_before_batchnorm=True))
    without = examine(Settings(batchnorm=True))
    assert with_bias.parameters - without.parameters == 527
    assert abs(with_bias.still - without.still - 527) < 20


def test_a_training_that_blows_up_gets_a_chart(pictures):
    chart = examine(Settings(**RELU, lr=10.0))
    assert DIAGNOSES["none"].evidence(chart)[1]
    clinic.show(**RELU, lr=10.0)
    assert len(pictures) == 1


# ---------------------------------------------------------------- Diagnoses


@pytest.mark.parametrize(("number", "sick"), PATIENTS, ids=IDS)
def test_only_the_right_diagnosis_has_nothing_against_it(number, sick):
    chart = clinic.chart(number)
    assert unopposed(chart) == [sick.fault]
    assert DIAGNOSES[sick.fault].evidence(chart)[0]


@pytest.mark.parametrize("settings", HEALTHY.values(), ids=HEALTHY.keys())
def test_a_healthy_network_has_no_fault(settings):
    assert unopposed(examine(Settings(**settings))) == ["none"]


def test_each_fault_has_one_patient():
    assert sorted([sick.fault for _, sick in PATIENTS] + ["none"]) == sorted(DIAGNOSES)


def test_evidence_is_in_words_and_numbers():
    for number, _ in PATIENTS:
        for found in DIAGNOSES.values():
            for words in itertools.chain(*found.evidence(clinic.chart(number))):
                assert words.startswith(("picture ", "record: ", "the "))
                assert "nan" not in words
                assert "inf" not in words


def test_small_numbers_are_written_out():
    assert [small(x) for x in (0, 0.00312, 9.1e-5, 0.25, 2.4, 87)] == [
        "0", "0.003", "0.00009", "0.2", "2", "90",
    ]  # fmt: skip


# ---------------------------------------------------------------- Treatments


@pytest.mark.parametrize(("number", "sick"), PATIENTS, ids=IDS)
def test_the_usual_treatment_heals(number, sick, capsys, pictures):
    clinic.treat(number, **sick.treatment)
    assert f"★ Patient {number} is healed by " in capsys.readouterr().out
    assert number in consultation.HEALED
    assert "Before: " in pictures[0][1]


@pytest.mark.parametrize(
    ("number", "treatment"),
    [
        (4, {"lr": 0.2}),
        (4, {"batchnorm": True}),
        (5, {"batchnorm": True}),
        (6, {"gain": 1.3}),
        (6, {"batchnorm": True}),
        (9, {"batchnorm": False}),
        (5, {"bias_start": 0}),  # a whole number, too
        (6, {"gain": 5 / 3}),
        (10, {"batchnorm": False}),
        (11, {"batchnorm": False}),
    ],
)
def test_other_treatments_heal_too(number, treatment, capsys, pictures):
    clinic.treat(number, **treatment)
    assert "is healed by" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "treatment", "phrase"),
    [
        (1, {"lr": 0.01}, "the first loss is 13.52"),
        (3, {"batchnorm": True}, "picture 4"),
        (6, {"gain": 0.5}, "picture 1"),
        (7, {"lr": 0.001}, "picture 4"),
        (8, {"batchnorm": True}, "picture 4"),
        (9, {"evaluate_in": "train"}, "in other company"),
        (2, {"gain": 3.0}, "never moved"),
        (10, {"evaluate_in": "train"}, "already"),
        (1, {"momentum": 0.5}, "no effect"),
    ],
)
def test_a_treatment_that_does_not_heal_says_why(number, treatment, phrase, capsys, pictures):
    clinic.treat(number, **treatment)
    out = capsys.readouterr().out
    assert f"Patient {number}, not yet: " in out
    assert phrase in out
    assert not consultation.HEALED
    assert len(pictures) == 1


def test_the_picture_of_a_treatment_is_drawn_without_a_warning(monkeypatch, recwarn):
    shown = []
    monkeypatch.setattr(consultation, "show_picture", lambda *picture: shown.append(picture))
    clinic.treat(1, lr=0.01)
    ((png, _),) = shown
    assert len(png) > 10_000
    assert not recwarn.list


def test_without_a_treatment_it_waits(capsys, pictures):
    clinic.treat(3, ...)
    assert capsys.readouterr().out.startswith("✎ Patient 3 waits for you: ")
    assert not pictures


@pytest.mark.parametrize(
    ("given", "treatment", "phrase"),
    [
        ((), {}, "one setting"),
        ((None,), {}, "one setting"),
        (("gain",), {}, "one setting"),
        ((...,), {"gain": 1.0}, "one setting"),
        ((), {"gain": 1.0, "lr": 0.1}, "one setting"),
        ((), {"gane": 1.0}, "there is no setting 'gane'; there are nonlinearity, batchnorm, gain"),
        ((), {"depth": 3}, "there is no setting 'depth'"),
        ((), {"gain": "5/3"}, "gain is a number from 0 to 10, and is '5/3' (str)"),
        ((), {"gain": 99}, "from 0 to 10, and is 99 (int)"),
        ((), {"gain": ...}, "from 0 to 10, and is Ellipsis"),
        ((), {"lr": math.nan}, "from 0 to 10, and is nan"),
        ((), {"lr": True}, "from 0 to 10, and is True"),
        ((), {"lr": torch.tensor([0.1, 0.2])}, "a tensor of shape (2,)"),
        ((), {"batchnorm": 1}, "batchnorm can be True or False, and is 1 (int)"),
        ((), {"nonlinearity": "gelu"}, "nonlinearity can be 'tanh' or 'relu', and is 'gelu'"),
        ((), {"evaluate_in": None}, "evaluate_in can be 'eval' or 'train'"),
    ],
)
def test_nonsense_gets_a_clear_message(given, treatment, phrase, capsys, pictures):
    clinic.treat(1, *given, **treatment)
    out = capsys.readouterr().out
    assert out.startswith("Patient 1, not yet: ")
    assert phrase in out
    assert out.count("\n") == 1
    assert not pictures


@pytest.mark.parametrize(
    "healthy",
    [
        *({"lr": rate} for rate in (0.03, 0.3)),
        *({"gain": gain} for gain in (1.2, 2)),
        {**RELU, "gain": 1.4},
        *({"batchnorm": True, "momentum": momentum} for momentum in (0.01, 0.1)),
    ],
)
def test_the_healthy_values_that_the_lesson_names_are_healthy(healthy):
    assert DIAGNOSES["none"].evidence(examine(Settings(**healthy)))[1] == []


def test_everything_that_can_be_set_has_a_healthy_default():
    for name in POSSIBLE:
        assert changed(Settings(), {name: getattr(Settings(), name)}) == Settings()
    with pytest.raises(Wrong):
        changed(Settings(), {"width": 3})


def test_an_unknown_patient_is_named():
    for call in (clinic.Consultation, clinic.chart, clinic.treated, clinic.treat):
        with pytest.raises(KeyError, match="there is no patient 99; there are 1 to 11"):
            call(99)


# ---------------------------------------------------------------- The consultation and the score


def test_a_wrong_diagnosis_is_answered_from_the_chart_and_the_right_one_is_not_named():
    for number, sick in PATIENTS:
        for key, found in DIAGNOSES.items():
            visit = clinic.Consultation(number)
            visit.list.value = key
            words = said(visit)
            assert 'role="status"' in visit.answer.value
            if key == sick.fault:
                assert "Yes: " in words
            else:
                assert "Against it:" in words
                assert f"Lesson {found.lesson}" in words
                assert DIAGNOSES[sick.fault].name not in words


@pytest.fixture
def clock(monkeypatch):
    """Seconds, to be set by the test."""
    now = [0.0]
    monkeypatch.setattr(consultation, "monotonic", lambda: now[0])
    return now


def test_the_first_choice_counts(clock):
    visit = clinic.Consultation(1)
    assert visit.list.label == "choose a diagnosis"
    visit.list.value = "zero"
    clock[0] = 5
    visit.list.value = "hot"
    clock[0] = 6
    visit.list.value = "fast"
    visit.list.value = "hot"
    visit.list.value = ""
    assert "Yes: " in said(visit)  # the answer to the last choice stays
    clinic.Consultation(1).list.value = "fan"
    assert consultation.CHOSEN == {1: "zero"}


def test_what_the_arrow_keys_pass_does_not_count(clock):
    visit = clinic.Consultation(1)
    for clock[0], key in ((0, "bias"), (0.5, "stats"), (2, "dead"), (9, "hot"), (9.1, "zero")):
        visit.list.value = key
    assert consultation.CHOSEN == {1: "dead"}


def test_the_list_is_labelled_and_does_not_follow_the_patients():
    options = clinic.Consultation(1).list.options
    assert options[0] == ("choose a diagnosis", "")
    assert [key for _, key in options[1:-1]] != [sick.fault for _, sick in PATIENTS]
    assert len(options) == len(DIAGNOSES) + 1
    assert clinic.Consultation(1).list.description == "diagnosis"


def test_without_a_kernel_it_shows_the_picture_and_a_line(monkeypatch):
    shown = []
    for module in (charts, consultation):
        monkeypatch.setattr(module, "display", lambda data, **more: shown.append((data, more)))
    clinic.Consultation(3)._ipython_display_()
    (picture, more), (line, _) = shown
    assert picture["image/png"].startswith("iVBOR")
    assert "std 0.95, 0.98" in more["metadata"]["image/png"]["alt"]
    assert "list of diagnoses stands here" in line["text/markdown"]
    assert "application/vnd.jupyter.widget-view+json" in line


def test_the_score_of_an_untouched_lesson_and_of_a_played_one(capsys, pictures):
    clinic.score()
    untouched = capsys.readouterr().out.splitlines()
    assert untouched[0] == "patient  1: no diagnosis given yet; not healed yet"
    assert len(untouched) == 12
    assert untouched[-1] == "0 of 11 right at first sight, 0 healed"
    clinic.Consultation(1).list.value = "hot"
    clinic.Consultation(2).list.value = "none"
    clinic.treat(1, output_scale=0.1)
    capsys.readouterr()
    clinic.score()
    played = capsys.readouterr().out.splitlines()
    assert (
        played[0]
        == "patient  1: right: the output layer starts too hot; healed by output_scale=0.1"
    )
    assert played[1] == "patient  2: not right: nothing is wrong; not healed yet"
    assert played[-1] == "1 of 11 right at first sight, 1 healed"


def test_the_files_name_each_fault_and_its_setting(capsys):
    clinic.files()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[0] == "patient  1: the output layer starts too hot"
    assert lines[1].strip() == "output_scale was 10, healthy is 0.1"


@pytest.fixture
def interrupted(monkeypatch):
    """Each examination that has not been made yet is interrupted after its training."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(examination, "at_the_end", interrupt)


def test_an_interrupted_examination_measures_nothing_and_is_made_again(monkeypatch, interrupted):
    monkeypatch.setattr(examination, "STEPS", 3)
    new = Settings(gain=1.1)
    chart = examine(new)
    assert not chart.complete
    ends = [chart.dev, chart.train, chart.difference, chart.still, chart.speed, *chart.stuck]
    assert all(map(math.isnan, ends))
    for found in DIAGNOSES.values():
        found.evidence(chart)
    monkeypatch.undo()
    monkeypatch.setattr(examination, "STEPS", 3)
    monkeypatch.setattr(examination, "_EXAMINED", {})
    assert examine(new).complete


def test_an_interrupted_round_keeps_what_it_has(monkeypatch, capsys):
    whole = clinic.chart(1)
    broken = replace(whole, complete=False)
    monkeypatch.setattr(consultation, "chart", lambda patient: broken if patient == 4 else whole)
    clinic.ward()
    out = capsys.readouterr().out
    assert out.startswith("3 of 11 patients examined\n")
    assert "when you come to them" in out


def test_what_was_interrupted_is_not_shown(monkeypatch, interrupted, capsys, pictures):
    monkeypatch.setattr(examination, "STEPS", 3)
    monkeypatch.setattr(examination, "_EXAMINED", {})
    clinic.show(gain=1.1)
    clinic.treat(1, lr=0.2)
    clinic.Consultation(1)._ipython_display_()
    assert capsys.readouterr().out.count("run the cell again") == 3
    assert not pictures


def test_a_setting_that_cannot_be_is_said_by_show(capsys, pictures):
    clinic.show(gain="large")
    assert capsys.readouterr().out.startswith("This network cannot be built: gain is a number")
    clinic.show(gain=0.5)
    assert len(pictures) == 1


def test_every_picture_is_drawn_without_a_warning(recwarn):
    for number, _ in PATIENTS:
        assert len(charts.png(charts.draw_chart(clinic.chart(number), "x"))) > 10_000
    assert not recwarn.list
    assert helpers.USUAL_RATIO == 1e-3  # the dashed line that the diagnoses speak of
