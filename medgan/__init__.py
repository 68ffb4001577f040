"""medgan: train a GAN on labelled medical scans and write a class-balanced data set."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medgan.api.data import Folder, Synthetic
    from medgan.api.public import anomaly, balance, evaluate, inspect, prepare, report, sample, train
    from medgan.base.errors import (
        DatasetError,
        JobError,
        MedganError,
        ModelError,
        OptionError,
        OutputError,
        PlanError,
        ScanError,
    )
    from medgan.base.progress import Progress
    from medgan.base.results import (
        AnomalyResult,
        BalanceForecast,
        EvaluateResult,
        InspectResult,
        ReportResult,
        TrainResult,
        WriteResult,
    )
    from medgan.dataset.fingerprint import Fingerprint
    from medgan.dataset.manifest import Manifest, Record
    from medgan.learners.gan.model import Model
    from medgan.learners.gan.sample import Sample, SampledImages
    from medgan.plan import Overrides, Plan
    from medgan.scans.scan import Header, OutputFormat, Provenance, Scan

__version__ = "0.2.0"

__all__ = [
    "AnomalyResult",
    "BalanceForecast",
    "DatasetError",
    "EvaluateResult",
    "Fingerprint",
    "Folder",
    "Header",
    "InspectResult",
    "JobError",
    "Manifest",
    "MedganError",
    "Model",
    "ModelError",
    "OptionError",
    "OutputError",
    "OutputFormat",
    "Overrides",
    "Plan",
    "PlanError",
    "Progress",
    "Provenance",
    "Record",
    "ReportResult",
    "Sample",
    "SampledImages",
    "Scan",
    "ScanError",
    "Synthetic",
    "TrainResult",
    "WriteResult",
    "__version__",
    "anomaly",
    "balance",
    "evaluate",
    "inspect",
    "prepare",
    "report",
    "sample",
    "train",
]

_HOMES = {
    "medgan.api.data": ("Folder", "Synthetic"),
    "medgan.api.public": (
        "anomaly",
        "balance",
        "evaluate",
        "inspect",
        "prepare",
        "report",
        "sample",
        "train",
    ),
    "medgan.base.results": (
        "AnomalyResult",
        "BalanceForecast",
        "EvaluateResult",
        "InspectResult",
        "ReportResult",
        "TrainResult",
        "WriteResult",
    ),
    "medgan.dataset.fingerprint": ("Fingerprint",),
    "medgan.dataset.manifest": ("Manifest", "Record"),
    "medgan.base.errors": (
        "DatasetError",
        "JobError",
        "MedganError",
        "ModelError",
        "OptionError",
        "OutputError",
        "PlanError",
        "ScanError",
    ),
    "medgan.learners.gan.sample": ("Sample", "SampledImages"),
    "medgan.learners.gan.model": ("Model",),
    "medgan.plan": ("Overrides", "Plan"),
    "medgan.base.progress": ("Progress",),
    "medgan.scans.scan": ("OutputFormat", "Header", "Provenance", "Scan"),
}
"""{module: the public names that live there}, loaded when first asked for (PEP 562), so that `--help` waits
for no numpy."""


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
