"""Draw the pictures of `docs/concepts/reading.md`: what a file stores, what it means, what a network sees.

    python docs/pictures.py [FOLDER]

Nothing is drawn from a real scan: each modality's phantom is made here, written as DICOM, and taken through
medgan's own reader, plan and preparation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import decide_frame
from medgan.preparation.stack import prepare
from medgan.scans import formats

IMAGES = Path(__file__).parent / "images"
SIDE = 96  # pixels of a phantom
SEED = 7

Array = NDArray[Any]
Chance = np.random.Generator
Y, X = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2, indexing="ij")


@dataclass(frozen=True)
class Modality:
    """A phantom and the words of its file."""

    draw: Callable[[Chance], Array]
    """Stored values."""
    stores: str
    sop_class: str
    attributes: dict[str, Any]


def main(out: Path) -> None:
    """One PNG per modality."""
    for name, modality in MODALITIES.items():
        with TemporaryDirectory() as folder:
            panels(name, modality, Path(folder)).savefig(out / f"reading-{name.lower()}.png", dpi=80)


def panels(name: str, modality: Modality, folder: Path) -> Figure:
    """Stored, resolved and normalised side by side; gray runs from each one's darkest to its brightest."""
    chance = np.random.default_rng(SEED)
    drawn = [modality.draw(chance) for _ in range(4)]
    paths = [
        write(folder / "scans" / "ab"[k % 2] / f"{k}.dcm", name, modality, stored)
        for k, stored in enumerate(drawn)
    ]
    manifest = index(Source(path=folder / "scans"))
    frame = decide_frame(measure(manifest))
    scan = formats.read(paths[0])
    normalised = prepare(manifest, frame, folder / "cache").images([0])[0]
    shown = (
        (f"{name}: {modality.stores}", drawn[0]),
        (f'resolved: meaning "{scan.meaning}"', scan.pixels[0]),
        (f"normalised: {' x '.join(map(str, normalised.shape))}", np.moveaxis(normalised, 0, -1).squeeze()),
    )
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, 3), shown, strict=True):
        colour = image.ndim > 2 and image.max() > 1
        axes.imshow(image.astype(float) / (255 if colour else 1), cmap="gray", interpolation="nearest")
        axes.set_title(title, size=10)
        axes.set_xlabel(f"{image.min():.4g} to {image.max():.4g}", size=9)
        axes.set(xticks=(), yticks=())
    return figure


def write(path: Path, name: str, modality: Modality, stored: Array) -> Path:
    """A DICOM file around the stored values."""
    dataset = Dataset()
    dataset.SOPClassUID = UID(modality.sop_class)
    dataset.SOPInstanceUID = dataset.SeriesInstanceUID = UID(f"2.25.{path.stem}")
    dataset.Modality, dataset.PatientID = name, path.stem
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 3 if stored.ndim > 2 else 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(stored.dtype.kind == "i")
    for keyword, value in modality.attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = stored.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


# --- phantoms ---


def oval(y: float, x: float, tall: float, wide: float) -> NDArray[np.bool_]:
    """Where an ellipse about (y, x) lies; the image runs from -1 to 1 both ways."""
    return ((Y - y) / tall) ** 2 + ((X - x) / wide) ** 2 < 1


def chest(chance: Chance) -> Array:
    """An axial slice of a chest; outside the circle that was scanned lies padding."""
    hounsfield = np.full((SIDE, SIDE), -1000.0)
    hounsfield[oval(0.05, 0, 0.66, 0.88)] = -100
    hounsfield[oval(0.05, 0, 0.60, 0.82)] = 55
    hounsfield[oval(0, -0.42, 0.42, 0.30)] = hounsfield[oval(0, 0.42, 0.42, 0.30)] = -850
    hounsfield[oval(-0.05, 0.14, 0.26, 0.28 + 0.05 * chance.random())] = 40
    hounsfield[oval(0.42, 0, 0.13, 0.12)] = 450
    stored = np.rint(hounsfield + chance.normal(0, 15, hounsfield.shape)) + 1024
    return np.where(oval(0, 0, 1, 1), stored, -2000).astype("<i2")


def head(chance: Chance) -> Array:
    """An axial slice of a head, with a vessel far brighter than all else."""
    signal = np.zeros((SIDE, SIDE))
    for tall, wide, level in ((0.92, 0.76, 620), (0.86, 0.70, 90), (0.80, 0.64, 420), (0.62, 0.47, 600)):
        signal[oval(0, 0, tall, wide)] = level
    for side in (-1, 1):
        signal[oval(-0.02, 0.13 * side, 0.30, 0.07 + 0.03 * chance.random())] = 180
    signal[oval(0.72, 0, 0.05, 0.05)] = 3900
    return np.rint(np.abs(signal + chance.normal(0, 12, signal.shape))).astype("<u2")


def radiograph(chance: Chance) -> Array:
    """A chest as MONOCHROME1 stores it: what absorbs is bright on the screen, and small in the file."""
    absorbed = 900 * np.exp(-(X**2) / 0.5) * (np.abs(X) < 0.85)
    for side in (-1, 1):
        absorbed[oval(0, 0.4 * side, 0.62, 0.28)] -= 380
    absorbed += 260 * oval(0.2, 0.12, 0.32, 0.26 + 0.05 * chance.random())
    absorbed += 60 * (np.sin(14 * (Y - 0.25 * X**2)) > 0.55) * (np.abs(X) < 0.75)
    absorbed[:4, :] = absorbed[:, :4] = -900  # the bare edge of the plate, which a window leaves out
    return np.clip(2200 - absorbed + chance.normal(0, 12, absorbed.shape), 0, 4095).astype("<u2")


def fan(chance: Chance) -> Array:
    """An ultrasound fan with a cyst and a patch of flow, as YBR_FULL: brightness and two shares of colour."""
    depth, angle = np.hypot(Y + 1.1, X), np.arctan2(X, Y + 1.1)
    inside = (np.abs(angle) < 0.62) & (depth > 0.3) & (depth < 2.0)
    gray = inside * np.clip(chance.gamma(4, 22, depth.shape) * np.exp(-0.25 * depth), 0, 255)
    gray = np.where(oval(0.1, 0.1, 0.20, 0.22 + 0.05 * chance.random()), 0.1 * gray, gray)  # a cyst
    picture = np.full((SIDE, SIDE, 3), 128.0)
    picture[..., 0] = gray
    picture[oval(0.45, -0.25, 0.10, 0.16)] = (90, 100, 220)  # red
    stored: NDArray[np.uint8] = np.rint(picture).astype(np.uint8)
    return stored


MODALITIES = {
    "CT": Modality(
        chest,
        "stored, padded with -2000",
        "1.2.840.10008.5.1.4.1.1.2",
        {"RescaleSlope": 1, "RescaleIntercept": -1024, "PixelPaddingValue": -2000},
    ),
    "MR": Modality(head, "stored, one bright vessel", "1.2.840.10008.5.1.4.1.1.4", {}),
    "CR": Modality(
        radiograph,
        "stored as MONOCHROME1",
        "1.2.840.10008.5.1.4.1.1.1",
        {
            "PhotometricInterpretation": "MONOCHROME1",
            "BitsStored": 12,
            "HighBit": 11,
            "WindowCenter": 1750,
            "WindowWidth": 1000,
        },
    ),
    "US": Modality(
        fan,
        "stored as YBR_FULL, taken for RGB",
        "1.2.840.10008.5.1.4.1.1.6.1",
        {"PhotometricInterpretation": "YBR_FULL", "PlanarConfiguration": 0, "BurnedInAnnotation": "NO"},
    ),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
