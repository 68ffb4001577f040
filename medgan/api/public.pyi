"""The verbs of Python, every option written out; made by `make docs` from `medgan/commands/options.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, overload

from medgan.base.progress import OnProgress
from medgan.base.results import (
    AnomalyResult,
    BalanceForecast,
    EvaluateResult,
    InspectResult,
    ReportResult,
    TrainResult,
    WriteResult,
)

def inspect(
    source: Path | str,
    *,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    allow_synthetic: bool = False,
    holdout: float | None = None,
    seed: int | None = None,
    files: bool = False,
    masks: str | Path | None = None,
    on_progress: OnProgress = ...,
) -> InspectResult:
    """Look at a data set: classes, patients, what is rare, what cannot be used, what train would decide and
    why.

    Args:
        source: Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a
            MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, else
            the file's own folder is its class.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        allow_synthetic: Use images that are marked as synthetic.
        holdout: Share of the train patients set aside as val, unseen. Default: as the model was trained; for
            a new one, 0.2 where there is no val and no test.
        seed: Random seed; default: 0.
        files: List every file with its verdict.
        masks: Masks of the scans: PNG, TIFF or NIfTI files of the same names, a data set of nnU-Net or the
            Decathlon, or boxes in COCO, Pascal VOC or YOLO files.
        on_progress: Called with a `Progress` as the work goes on.
    """

def train(
    source: Path | str,
    *,
    out: str | Path,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    allow_synthetic: bool = False,
    holdout: float | None = None,
    for_: Literal["draw", "anomaly"] = "draw",
    normal: str = "",
    dry_run: bool = False,
    tensorboard: bool = False,
    effort: Literal["smoke", "quick", "standard", "thorough"] = "standard",
    minutes: float | None = None,
    size: int | tuple[int, int] | str | None = None,
    batch: int | None = None,
    images: int | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["fp32", "bf16"] | None = None,
    cuda_graphs: bool | None = None,
    arch: Literal["repaired", "dcgan"] | None = None,
    noise: Literal["normal", "uniform"] | None = None,
    features: Literal["lite0", "none"] | None = None,
    adversary: float | None = None,
    window: str | None = None,
    on_progress: OnProgress = ...,
) -> TrainResult:
    """Train a model on the train split; the same call again resumes.

    Args:
        source: Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a
            MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, else
            the file's own folder is its class.
        out: Where the result goes, never inside the input.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        allow_synthetic: Use images that are marked as synthetic.
        holdout: Share of the train patients set aside as val, unseen. Default: as the model was trained; for
            a new one, 0.2 where there is no val and no test.
        for_: What the model is for: draw images, or find what is unlike normal scans (`anomaly`).
        normal: With --for anomaly: the class that is normal; no other is learned.
        dry_run: Print the plan, its reasons and a time estimate, then stop.
        tensorboard: Also log to TensorBoard (pip install tensorboard).
        effort: How long to train, and the longest side at most: smoke 32, quick 64, standard and thorough 256
            pixels, or 512 with --device cuda.
        minutes: Time to train, instead of the effort's length.
        size: Image in pixels: 64, or rows x columns: 64x80. Default: that of the scans, as far as the effort
            allows.
        batch: Images per step.
        images: Images shown in all, instead of the effort's length.
        seed: Random seed; default: 0.
        device: Where to compute.
        precision: Number format; default: what a timed probe finds quicker.
        cuda_graphs: Replay training steps as CUDA graphs; default: on a GPU, where a timed probe finds it
            quicker.
        arch: Network: ours, or the DCGAN of 2015 as a baseline.
        noise: Distribution of the latent vector.
        features: Pretrained network that guides training; default: lite0.
        adversary: Weight of the discriminator beside that network; 0: none. Default: 0.1.
        window: CT window: full, lung, soft, bone, brain, or LOW:HIGH in HU.
        on_progress: Called with a `Progress` as the work goes on.
    """

def anomaly(
    source: Path | str,
    *,
    model: str | Path,
    out: str | Path,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    split: Literal["train", "val", "test"] | None = None,
    alarms: float = 0.05,
    maps: list[str] | str = "nifti,png",
    on_progress: OnProgress = ...,
) -> AnomalyResult:
    """Say how unlike normal scans each scan is, and where; the same call again completes it.

    Args:
        source: Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a
            MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, else
            the file's own folder is its class.
        model: A model that `train --for anomaly` wrote.
        out: Where the result goes, never inside the input.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        split: Only the scans of this split; default: all that SOURCE holds.
        alarms: Largest share of new normal patients that may alarm, on average.
        maps: Maps of where a scan is unlike normal ones, separated by commas: nifti, png; or none.
        on_progress: Called with a `Progress` as the work goes on.
    """

def sample(
    model: str | Path,
    *,
    out: str | Path,
    label: str | list[str] | None = None,
    count: int = 16,
    seed: int = 0,
    format: Literal["auto", "dicom", "nifti", "png"] = "auto",
    dicom_class: Literal["auto", "ct", "mr", "cr", "dx", "us", "sc"] = "auto",
    against: Path | str | None = None,
    holdout: float | None = None,
    no_filter: bool = False,
    film: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    on_progress: OnProgress = ...,
) -> WriteResult:
    """Draw synthetic images from a trained model; an image depends on its seed, class and model only.

    Args:
        model: Folder of a trained model.
        out: Where the result goes, never inside the input.
        label: Class to draw; may be repeated; all when not given.
        count: Images per class.
        seed: Seed of the first image; the next ones follow.
        format: File form; auto: as the training data.
        dicom_class: Kind of DICOM written; auto: the scans' own where it is true of them, else sc, Secondary
            Capture.
        against: The scans the model learned from, to look for copies; else those in the cache.
        holdout: Share of the train patients set aside as val, unseen. Default: as the model was trained; for
            a new one, 0.2 where there is no val and no test.
        no_filter: Write every image as it is drawn; by default near copies, images that do not surely show
            their class and poor ones are left out.
        film: Also write animations of what the model draws, unfiltered: a walk within each class, and one
            from class to class.
        device: Where to compute.
        on_progress: Called with a `Progress` as the work goes on.
    """

@overload
def balance(
    source: Path | str,
    *,
    out: str | Path,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    allow_synthetic: bool = False,
    holdout: float | None = None,
    dry_run: Literal[False] = False,
    model: str | Path | None = None,
    any_model: bool = False,
    target: int | str = "largest",
    class_: Mapping[str, int] | list[str] | None = None,
    max_synthetic_ratio: float | None = None,
    share: float | str | None = None,
    fill: Literal["repeated", "synthetic"] = "repeated",
    real: Literal["prepared", "link", "none"] = "prepared",
    top_up: bool = False,
    no_filter: bool = False,
    format: Literal["auto", "dicom", "nifti", "png"] = "auto",
    dicom_class: Literal["auto", "ct", "mr", "cr", "dx", "us", "sc"] = "auto",
    effort: Literal["smoke", "quick", "standard", "thorough"] = "standard",
    minutes: float | None = None,
    size: int | tuple[int, int] | str | None = None,
    batch: int | None = None,
    images: int | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["fp32", "bf16"] | None = None,
    cuda_graphs: bool | None = None,
    arch: Literal["repaired", "dcgan"] | None = None,
    noise: Literal["normal", "uniform"] | None = None,
    features: Literal["lite0", "none"] | None = None,
    adversary: float | None = None,
    window: str | None = None,
    tensorboard: bool = False,
    on_progress: OnProgress = ...,
) -> WriteResult:
    """Write a class-balanced copy of a data set: classes equally large, and the same share of synthetic
    images in each.

    Args:
        source: Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a
            MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, else
            the file's own folder is its class.
        out: Where the result goes, never inside the input.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        allow_synthetic: Use images that are marked as synthetic.
        holdout: Share of the train patients set aside as val, unseen. Default: as the model was trained; for
            a new one, 0.2 where there is no val and no test.
        dry_run: Print the plan, its reasons and a time estimate, then stop.
        model: A trained model; without it, one is trained.
        any_model: Accept a model that learned from other data.
        target: What real images of each class should reach by repeats: largest, median or a number.
        class_: Another target for one class; repeatable.
        max_synthetic_ratio: At most R synthetic images per different real one, in every class.
        share: Share of synthetic images, the same in every class: from 0 (none) to below 1, or auto (chosen
            on validation patients; may be 0). Default: 0.25.
        fill: With what small classes reach the target: repeated real images, or synthetic ones in these
            classes alone, which can harm.
        real: Real images: prepared as the synthetic ones are, linked as they are, or left out.
        top_up: Write the synthetic images only, to add to a folder of your own; the same as --real none.
        no_filter: Write every image as it is drawn; by default near copies, images that do not surely show
            their class and poor ones are left out.
        format: File form; auto: as the training data.
        dicom_class: Kind of DICOM written; auto: the scans' own where it is true of them, else sc, Secondary
            Capture.
        effort: How long to train, and the longest side at most: smoke 32, quick 64, standard and thorough 256
            pixels, or 512 with --device cuda.
        minutes: Time to train, instead of the effort's length.
        size: Image in pixels: 64, or rows x columns: 64x80. Default: that of the scans, as far as the effort
            allows.
        batch: Images per step.
        images: Images shown in all, instead of the effort's length.
        seed: Random seed; default: 0.
        device: Where to compute.
        precision: Number format; default: what a timed probe finds quicker.
        cuda_graphs: Replay training steps as CUDA graphs; default: on a GPU, where a timed probe finds it
            quicker.
        arch: Network: ours, or the DCGAN of 2015 as a baseline.
        noise: Distribution of the latent vector.
        features: Pretrained network that guides training; default: lite0.
        adversary: Weight of the discriminator beside that network; 0: none. Default: 0.1.
        window: CT window: full, lung, soft, bone, brain, or LOW:HIGH in HU.
        tensorboard: Also log to TensorBoard (pip install tensorboard).
        on_progress: Called with a `Progress` as the work goes on.
    """

@overload
def balance(
    source: Path | str,
    *,
    out: str | Path,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    allow_synthetic: bool = False,
    holdout: float | None = None,
    dry_run: Literal[True],
    model: str | Path | None = None,
    any_model: bool = False,
    target: int | str = "largest",
    class_: Mapping[str, int] | list[str] | None = None,
    max_synthetic_ratio: float | None = None,
    share: float | str | None = None,
    fill: Literal["repeated", "synthetic"] = "repeated",
    real: Literal["prepared", "link", "none"] = "prepared",
    top_up: bool = False,
    no_filter: bool = False,
    format: Literal["auto", "dicom", "nifti", "png"] = "auto",
    dicom_class: Literal["auto", "ct", "mr", "cr", "dx", "us", "sc"] = "auto",
    effort: Literal["smoke", "quick", "standard", "thorough"] = "standard",
    minutes: float | None = None,
    size: int | tuple[int, int] | str | None = None,
    batch: int | None = None,
    images: int | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["fp32", "bf16"] | None = None,
    cuda_graphs: bool | None = None,
    arch: Literal["repaired", "dcgan"] | None = None,
    noise: Literal["normal", "uniform"] | None = None,
    features: Literal["lite0", "none"] | None = None,
    adversary: float | None = None,
    window: str | None = None,
    tensorboard: bool = False,
    on_progress: OnProgress = ...,
) -> BalanceForecast:
    """Write a class-balanced copy of a data set: classes equally large, and the same share of synthetic
    images in each.

    Args:
        source: Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a
            MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, else
            the file's own folder is its class.
        out: Where the result goes, never inside the input.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        allow_synthetic: Use images that are marked as synthetic.
        holdout: Share of the train patients set aside as val, unseen. Default: as the model was trained; for
            a new one, 0.2 where there is no val and no test.
        dry_run: Print the plan, its reasons and a time estimate, then stop.
        model: A trained model; without it, one is trained.
        any_model: Accept a model that learned from other data.
        target: What real images of each class should reach by repeats: largest, median or a number.
        class_: Another target for one class; repeatable.
        max_synthetic_ratio: At most R synthetic images per different real one, in every class.
        share: Share of synthetic images, the same in every class: from 0 (none) to below 1, or auto (chosen
            on validation patients; may be 0). Default: 0.25.
        fill: With what small classes reach the target: repeated real images, or synthetic ones in these
            classes alone, which can harm.
        real: Real images: prepared as the synthetic ones are, linked as they are, or left out.
        top_up: Write the synthetic images only, to add to a folder of your own; the same as --real none.
        no_filter: Write every image as it is drawn; by default near copies, images that do not surely show
            their class and poor ones are left out.
        format: File form; auto: as the training data.
        dicom_class: Kind of DICOM written; auto: the scans' own where it is true of them, else sc, Secondary
            Capture.
        effort: How long to train, and the longest side at most: smoke 32, quick 64, standard and thorough 256
            pixels, or 512 with --device cuda.
        minutes: Time to train, instead of the effort's length.
        size: Image in pixels: 64, or rows x columns: 64x80. Default: that of the scans, as far as the effort
            allows.
        batch: Images per step.
        images: Images shown in all, instead of the effort's length.
        seed: Random seed; default: 0.
        device: Where to compute.
        precision: Number format; default: what a timed probe finds quicker.
        cuda_graphs: Replay training steps as CUDA graphs; default: on a GPU, where a timed probe finds it
            quicker.
        arch: Network: ours, or the DCGAN of 2015 as a baseline.
        noise: Distribution of the latent vector.
        features: Pretrained network that guides training; default: lite0.
        adversary: Weight of the discriminator beside that network; 0: none. Default: 0.1.
        window: CT window: full, lung, soft, bone, brain, or LOW:HIGH in HU.
        tensorboard: Also log to TensorBoard (pip install tensorboard).
        on_progress: Called with a `Progress` as the work goes on.
    """

def evaluate(
    source: Path | str | None = None,
    *,
    out: str | Path,
    model: str | Path | None = None,
    real: str | Path | None = None,
    synthetic: str | Path | None = None,
    external: str | Path | None = None,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    holdout: float | None = None,
    no_filter: bool = False,
    only: list[str] | str | None = None,
    effort: Literal["quick", "standard", "thorough"] = "quick",
    quiz: bool = False,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    on_progress: OnProgress = ...,
) -> EvaluateResult:
    """Judge synthetic images on real held-out patients, and write a report; the same call again goes on.

    Args:
        source: Real data, as `medgan inspect` takes them, or a folder that `medgan balance` wrote.
        out: Where the result goes, never inside the input.
        model: A trained model, from which images are drawn.
        real: The same as SOURCE: real images.
        synthetic: Synthetic images, a sub-folder per class, of any tool.
        external: Scans of another hospital, labelled as SOURCE is: the same classifiers are tested on them a
            second time.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        holdout: Share of the train patients set aside as val, unseen. Default: as the model was trained; for
            a new one, 0.2 where there is no val and no test.
        no_filter: Judge images of a model as they are drawn, not those that `sample` and `balance` would
            choose.
        only: Measure only these parts, separated by commas: fidelity, giveaways, usefulness, shortcut,
            privacy.
        effort: How much is compared; how long that takes is told before it starts.
        quiz: Also write quiz.html, on which you tell real from synthetic images yourself; it holds real
            scans.
        seed: Seed of the first image; the next ones follow.
        device: Where to compute.
        on_progress: Called with a `Progress` as the work goes on.
    """

def prepare(
    source: Path | str,
    *,
    like: str | Path,
    out: str | Path,
    labels: str | Path | None = None,
    label_column: str = "",
    label_from_tag: str = "",
    modality: str = "",
    allow_burned_in: bool = False,
    split: Literal["train", "val", "test"] | None = None,
    format: Literal["auto", "dicom", "nifti", "png"] = "auto",
    dicom_class: Literal["auto", "ct", "mr", "cr", "dx", "us", "sc"] = "auto",
    on_progress: OnProgress = ...,
) -> WriteResult:
    """Write real scans in the size and form of a model's images: what a classifier that learned from a
    balanced folder is tested on.

    Args:
        source: Folder with a sub-folder per class (train/, val/, test/ above them are honoured), a
            MedMNIST-style .npz, or - for a list on stdin: a path per line; a tab and a label may follow, else
            the file's own folder is its class.
        like: A trained model, in whose size and form the scans are written.
        out: Where the result goes, never inside the input.
        labels: CSV or TSV: columns path and label, perhaps patient and split.
        label_column: Column of a BIDS folder's participants.tsv to take labels from.
        label_from_tag: DICOM attribute to take labels from, such as BodyPartExamined.
        modality: Use only scans of this DICOM modality, such as CT.
        allow_burned_in: Use images whose header says that text is burned into them.
        split: Only the scans of this split; default: all that SOURCE holds.
        format: File form; auto: as the training data.
        dicom_class: Kind of DICOM written; auto: the scans' own where it is true of them, else sc, Secondary
            Capture.
        on_progress: Called with a `Progress` as the work goes on.
    """

def report(
    folder: str | Path,
    *,
    on_progress: OnProgress = ...,
) -> ReportResult:
    """Write report.html again, from what an evaluation, a balanced folder or a training run holds.

    Args:
        folder: Folder that `evaluate`, `balance`, `sample` or `train` wrote.
        on_progress: Called with a `Progress` as the work goes on.
    """
