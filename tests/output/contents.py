"""A row of a manifest, and what a small output folder holds, to write tables and cards of."""

from medgan.output.tables import FolderContents, ManifestRow
from medgan.scans.scan import OutputFormat

FORM = OutputFormat(format="png", low=-1024.0, high=3071.0, unit="HU", bits=16, spacing_mm=(5.0, 0.7, 0.8))


def row(**changes):
    facts = {
        "path": "images/b/b_syn_000001.png",
        "label": "b",
        "label_id": 0,
        "origin": "synthetic",
        "is_synthetic": "true",
        "format": "png",
        "index": 1,
        "rows": 16,
        "columns": 24,
        "tool_version": "0.1.0",
    }
    return ManifestRow(**{**facts, **changes})


REAL = row(
    path="images/b_a/b_a_real_000001.png",
    label="a b",
    label_id=1,
    origin="real",
    is_synthetic="false",
    patient="p" * 64,
)


def contents(**changes):
    facts = {
        "command": "medgan balance",
        "folders": {"a b": "b_a", "b": "b"},
        "rows": [row(), REAL],
        "form": FORM,
        "tool": "medgan 0.1.0",
    }
    return FolderContents(**{**facts, **changes})


AGAIN = row(
    path="images/b_a/b_a_repeated_000001.png",
    label="a b",
    label_id=1,
    origin="real",
    is_synthetic="false",
    repeats=REAL.path,
)


ROLES = [
    {
        "made": "1",
        "kind": "from-noise",
        "weight": "0.3",
        "stage": "pretrain",
        "parents": "",
        "group": "b_syn_000001.png",
    },
    {"made": "0", "kind": "real", "weight": "1.0", "stage": "finish", "parents": "", "group": "p" * 64},
]
