"""medgan: a folder of labelled medical scans in, a generator and a class-balanced data set out."""

from __future__ import annotations

from medgan.dataset.fingerprint import Fingerprint
from medgan.dataset.manifest import Manifest, Record
from medgan.errors import DatasetError, MedganError, ModelError, OutputError, PlanError, ScanError
from medgan.plan import Overrides, Plan
from medgan.progress import Progress
from medgan.scans.scan import Form, Header, Mark, Scan

__version__ = "0.1.0"

__all__ = [
    "DatasetError",
    "Fingerprint",
    "Form",
    "Header",
    "Manifest",
    "Mark",
    "MedganError",
    "ModelError",
    "OutputError",
    "Overrides",
    "Plan",
    "PlanError",
    "Progress",
    "Record",
    "Scan",
    "ScanError",
    "__version__",
]
