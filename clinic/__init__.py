"""The clinic of lesson 10: networks with one fault each, for the learner to diagnose and to treat.

A lesson says `import clinic` and finds here what it calls. Behind it stand

    examination.py    what can be set in a network, and the Chart that is measured of it
    diagnoses.py      which signs each fault has, read off any chart
    charts.py         a chart as a picture and in words
    patients.py       the patients and their faults. Do not read it before the lesson's end
    consultation.py   the round, the list of diagnoses, treatments, the score
    newcomers.py      patients without end, drawn at random
"""

from clinic.consultation import (
    Consultation,
    chart,
    files,
    score,
    show,
    treat,
    treated,
    ward,
)
from clinic.diagnoses import DIAGNOSES
from clinic.examination import Chart, Settings, build, changed, data, examine
from clinic.newcomers import Round, next_patient
from clinic.patients import PATIENTS

__all__ = [
    "DIAGNOSES",
    "PATIENTS",
    "Chart",
    "Consultation",
    "Round",
    "Settings",
    "build",
    "changed",
    "chart",
    "data",
    "examine",
    "files",
    "next_patient",
    "score",
    "show",
    "treat",
    "treated",
    "ward",
]
