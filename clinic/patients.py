"""The patients of lesson 10's clinic, each with one fault. Do not read on before the lesson's end."""

from dataclasses import dataclass

from clinic.examination import Settings


@dataclass(frozen=True)
class Patient:
    """fault: the key of the diagnosis. treatment: one that heals. look: where to look again."""

    fault: str
    settings: Settings
    treatment: dict
    look: str


RELU = {"nonlinearity": "relu", "gain": 2**0.5}
_ALL = [
    Patient(
        "hot", Settings(output_scale=10.0), {"output_scale": 0.1}, "the loss curve, at its start"
    ),
    Patient("zero", Settings(random_start=False), {"random_start": True}, "picture 1, layer 1"),
    Patient(
        "fan", Settings(fan_in_scaling=False), {"fan_in_scaling": True}, "picture 1, all layers"
    ),
    Patient("fast", Settings(lr=1.0), {"lr": 0.1}, "picture 4, against the dashed line"),
    Patient(
        "dead", Settings(**RELU, bias_start=-1.0), {"bias_start": 0.0}, "picture 1 and the record"
    ),
    Patient("fade", Settings(depth=20, gain=0.7), {"gain": 1.2}, "picture 1, from layer to layer"),
    Patient("slow", Settings(lr=0.01), {"lr": 0.1}, "picture 4, against the dashed line"),
    Patient("first", Settings(first_scale=10.0), {"first_scale": 1.0}, "pictures 1 and 4, layer 1"),
    Patient(
        "stats",
        Settings(batchnorm=True, momentum=0.0001),
        {"momentum": 0.1},
        "the record: minibatches against train names",
    ),
    Patient(
        "mode",
        Settings(batchnorm=True, evaluate_in="train"),
        {"evaluate_in": "eval"},
        "the record: the 320 examples",
    ),
    Patient(
        "bias",
        Settings(batchnorm=True, bias_before_batchnorm=True),
        {"bias_before_batchnorm": False},
        "the record: the parameters",
    ),
]
PATIENTS = dict(enumerate(_ALL, 1))
