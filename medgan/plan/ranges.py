"""Choose the intensity range that -1 and 1 stand for and how images are written."""

from __future__ import annotations

from dataclasses import replace

from medgan.base.errors import PlanError
from medgan.base.overrides import Overrides
from medgan.dataset.fingerprint import Fingerprint
from medgan.dataset.outliers import bits_needed
from medgan.plan.plan import Choices
from medgan.scans.dicom.sop_classes import choose_class
from medgan.scans.scan import OutputFormat
from medgan.scans.windows import parse_window

_LEAST_SPAN = 0.05
"""Least share of the intensity range that the networks may see alone: a narrower one would hold noise."""


def choose_output_format(fingerprint: Fingerprint, overrides: Overrides, chosen: Choices) -> Choices:
    """Choose the intensity range and the file format of written images.

    Args:
        fingerprint: What was measured on the data set.
        overrides: What the user decided.
        chosen: What was chosen before: the size of a pixel.

    Raises:
        PlanError: a CT window was given for scans that are not in Hounsfield units.
    """
    meaning = next(iter(fingerprint.meanings)) if len(fingerprint.meanings) == 1 else "mixed"
    if overrides.window is not None and meaning != "HU":
        raise PlanError(
            f"--window is for CT in Hounsfield units, but the values of these scans are {meaning}",
            hint="Remove --window.",
        )
    # Range, unit and bits, by what the values of the scans mean.
    bits = 8 if fingerprint.bits <= 8 else 12
    if meaning == "HU":
        low, high = parse_window(overrides.window or "full")
        reason = (
            "override: as asked"
            if overrides.window
            else "rule: CT keeps Hounsfield units over their usual range"
        )
        unit, bits = "HU", 16
    elif meaning == "stored" and fingerprint.bits <= 8:
        low, high, unit, reason = 0.0, 255.0, "stored", "rule: 8-bit images keep their scale"
    elif meaning == "stored":
        depth = bits_needed(fingerprint.top, fingerprint.bits)
        low, high, unit = 0.0, float(2**depth - 1), "stored"
        bits, reason = 16, f"rule: {depth}-bit images keep their scale"
        if (brightest := fingerprint.extremes[1]) > high:
            reason += f"; what is brighter, up to {brightest:.0f} in a few pixels or scans, is clipped"
    else:
        low, high, unit = 0.0, float(2**bits - 1), "relative"
        reason = f"rule: {meaning} intensities have no common scale; "
        reason += "each scan spans its own 0.5 to 99.5 percentile"
    form = OutputFormat(
        format=_choose_file_format(fingerprint),
        low=low,
        high=high,
        unit=unit,
        bits=bits,
        channels=3 if set(fingerprint.channels) == {"3"} else 1,  # as the scans are stored
        modality=next(iter(fingerprint.modalities)) if len(fingerprint.modalities) == 1 else "",
        body_part=fingerprint.body_part,
        spacing_mm=_output_spacing(fingerprint, chosen["mm_per_pixel"][0]),
        patient_orientation=fingerprint.patient_orientation,
    )
    # DICOM class, if the images are written as DICOM.
    dicom_class, why = choose_class(form)
    form = replace(form, dicom_class=dicom_class)
    reason += f"; {why}" if form.format == "dicom" else ""
    return {"form": (form, reason)} | _choose_span(fingerprint, form, overrides.arch)


def _choose_span(fingerprint: Fingerprint, form: OutputFormat, arch: str | None) -> Choices:
    """Choose the share of the intensity range that the networks see.

    The tissue of a CT fills only a part of the range that is kept, and the networks resolve that part better.
    """
    if form.unit != "HU" or arch == "dcgan":
        return {"span": ((0.0, 1.0), "rule: the whole range")}
    ends = (fingerprint.levels[1], fingerprint.levels[3])
    low, high = (min(max((end - form.low) / (form.high - form.low), 0.0), 1.0) for end in ends)
    if high - low < _LEAST_SPAN:
        return {"span": ((0.0, 1.0), "rule: the whole range, for the scans hardly differ within it")}
    reason = f"rule: 99 % of the values lie between {ends[0]:.0f} and {ends[1]:.0f} HU"
    return {"span": ((round(low, 4), round(high, 4)), reason)}


def _choose_file_format(fingerprint: Fingerprint) -> str:
    """The format of most scans.

    Raster images and arrays are written as PNG.
    """
    most = max(fingerprint.formats, key=lambda name: (fingerprint.formats[name], name))
    return most if most in {"dicom", "nifti"} else "png"


def _output_spacing(fingerprint: Fingerprint, mm_per_pixel: float | None) -> tuple[float, ...] | None:
    """(Z, Y, X) of a training pixel in millimetres, Z being the median of the scans."""
    if mm_per_pixel is None or fingerprint.spacing_mm is None:
        return None
    return (fingerprint.spacing_mm[0], mm_per_pixel, mm_per_pixel)
