"""Plan -> where and how training runs: device, precision, chance by position, checkpoints, journal; the only home of Fabric."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
import torch.distributed
from torch import nn
from torch.optim import Optimizer

from medgan.base.errors import JobError, MedganError, ModelError, PlanError
from medgan.base.files import append, atomic, digest, json_lines, write_text
from medgan.base.processes import current_processes

_T = TypeVar("_T")
_Passes = TypeVar("_Passes", bound=Callable[..., Any])

_PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
_GRAPHS: dict[str, Any] = {"backend": "cudagraphs", "dynamic": False}
_PATIENCE = timedelta(days=1)
"""How long processes wait for each other. Long, for one may read or write a large data set meanwhile; one that is gone is noticed
at once, by its connection or by torchrun."""

# What is in fp32 (penalties, drawing, a plan that says so) is not to be rounded to TF32, as convolutions on a GPU are by default.
torch.backends.cudnn.allow_tf32 = False


def choose_device(wanted: str) -> str:
    """The best device there is for "auto"; PlanError when the one asked for is absent."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there.get(wanted, False):
        known = ", ".join(name for name, present in there.items() if present)
        raise PlanError(f"there is no device {wanted!r} on this machine", hint=f"Devices here: {known}.")
    return wanted


def can_replay(accelerator: str) -> bool:
    """Whether passes can be replayed as CUDA graphs: by a process alone, for DDP has work of its own in between."""
    return accelerator == "cuda" and current_processes().size == 1


def reseed(seed: int, position: int) -> None:
    """Make all of torch's chance depend on (seed, position) alone, so that a resumed run equals a straight one."""
    torch.manual_seed(int(digest(f"{seed}", f"{position}")[:15], 16))


def random_per_image(draw: Callable[[int], torch.Tensor], count: int) -> torch.Tensor:
    """Random numbers for the `count` images of this process: those that they would get in a batch of one process.

    `draw` makes numbers for as many images as it is told, by torch's own generator, which stands alike in every process. So each
    draws for the whole batch and keeps its share; beside images, numbers cost nothing.
    """
    here = current_processes()
    return draw(count * here.size)[here.share(count * here.size)]


def supports_bf16(device: str) -> bool:
    """Whether the device computes in bf16 by itself: GPUs before Ampere only pretend to. Of processors a probe tells how well."""
    return choose_device(device) != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def temporary_graphs() -> Iterator[None]:
    """Within it passes are recorded or fail, never run as without; afterwards nothing of it is left, on the device or in torch's memory."""
    stream = torch.cuda.current_stream() if torch.cuda.is_available() else None
    strict = torch._inductor.config.patch({"triton.cudagraph_or_error": True})
    try:
        with strict, torch.cuda.stream(stream):
            yield
    finally:
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()


@contextmanager
def explain_gpu_errors(*, graphed: bool | None = False) -> Iterator[None]:
    """Turn what a GPU refuses into a sentence: that it is too small, or fails while it replays CUDA graphs."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PlanError(
            "the memory of the GPU does not hold this run",
            hint="Choose smaller images (--size) or batches (--batch), or give --device cpu.",
        ) from error
    except RuntimeError as error:
        if not graphed or not can_replay("cuda" if torch.cuda.is_available() else "cpu"):
            raise
        raise PlanError(
            f"training failed while a GPU replayed CUDA graphs: {str(error).partition(chr(10))[0]}",
            hint="Give --no-cuda-graphs: a run that was begun goes on without them.",
        ) from error


@contextmanager
def _explain_lost_process() -> Iterator[None]:
    """Turn the loss of another process into a sentence; a process alone has none to lose."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.distributed.DistError) or "gloo/" in str(error)):
            raise
        raise JobError(
            "another process of this job is gone",
            hint="Start the same command again: it goes on where it stopped, also with another number of processes.",
        ) from error


@atexit.register
def _leave() -> None:
    """Close the connections to the other processes while Python still runs; nothing to do for a process alone.

    Left to the end of Python, threads of gloo that then let go of a tensor abort the process, seldom and with its work done.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class Runtime:
    """Device, precision and files of one training run, in one process or, under torchrun, in several."""

    def __init__(self, device: str, precision: str, *, graphed: bool | None = False) -> None:
        """`precision` is "fp32" or "bf16" (bf16 in the passes, fp32 in weights and penalties).

        With `graphed`, a process alone on a GPU replays passes as CUDA graphs; elsewhere there is nothing to replay.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from lightning_fabric import Fabric  # noqa: PLC0415  # as slow to load as torch, and drawing needs none of it

            accelerator = choose_device(device)
            self.replays = bool(graphed) and can_replay(accelerator)
            self.fabric = Fabric(
                accelerator=accelerator, precision=_PRECISION[precision], **_fabric_arguments(accelerator)
            )
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        warnings.filterwarnings(
            "ignore", message="Grad strides do not match"
        )  # of a depthwise weight: a small copy
        with _explain_lost_process():
            self.fabric.launch()

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, channels last (the layout convolutions are fastest in)."""
        return network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def setup(self, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Wrap a pair for this device and precision."""
        with _explain_lost_process():
            wrapped, stepped = self.fabric.setup(self.graphed(self.place(network)), optimizer)
        return wrapped, stepped

    def graphed(self, passes: _Passes) -> _Passes:
        """The same network or function; where this runtime replays, the kernels of a pass, and of its way back, are launched together.

        They are torch's own kernels (backend "cudagraphs" of torch.compile), so no compiler is needed and no number changes.
        """
        return torch.compile(passes, **_GRAPHS) if self.replays else passes  # type: ignore[return-value]

    def number(self, value: float) -> float | torch.Tensor:
        """A number as a pass takes it: where passes are replayed a tensor, for a number would be part of what is recorded."""
        return torch.full((), value, device=self.fabric.device) if self.replays else value

    def begin_step(self) -> None:
        """To be said before each step: what passes of the one before have given may be written over."""
        if self.replays:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of `loss`, averaged over all processes."""
        with _explain_lost_process():
            self.fabric.backward(loss)

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Passes through a wrapped network after which its own parameters get no gradient."""
        return nullcontext() if current_processes().size == 1 else self.fabric.no_backward_sync(wrapped)  # type: ignore[arg-type]

    def mean(self, numbers: torch.Tensor) -> torch.Tensor:
        """The mean of each number over all processes."""
        with _explain_lost_process():
            return self.fabric.all_reduce(numbers, reduce_op="mean")  # type: ignore[return-value]

    def once(self, work: Callable[[], _T]) -> _T:
        """What the first process makes of `work`, in every process; what it refuses, all refuse."""
        if current_processes().size == 1:
            return work()
        made: _T | MedganError | None = None
        if current_processes().is_first:
            try:
                made = work()
            except MedganError as error:
                made = error
        with _explain_lost_process():
            made = self.fabric.broadcast(made)
        if isinstance(made, MedganError):
            raise made
        return made  # type: ignore[return-value]

    def each(self, work: Callable[[], _T]) -> _T:
        """What this process makes of `work`, once all have done theirs; what one refuses, all refuse."""
        if current_processes().size == 1:
            return work()
        made: _T | None = None
        refused: list[MedganError | None] = [None] * current_processes().size
        mine = None
        try:
            made = work()
        except MedganError as error:
            mine = error
        with _explain_lost_process():
            torch.distributed.all_gather_object(refused, mine)
        for refusal_of_one in filter(None, refused):
            raise refusal_of_one
        return made  # type: ignore[return-value]

    def tensor(self, array: Any) -> torch.Tensor:
        """A numpy array on the device; images channels last."""
        there = torch.as_tensor(array, device=self.fabric.device)
        return there.contiguous(memory_format=torch.channels_last) if there.dim() == 4 else there


def once(work: Callable[[], _T], device: str = "auto") -> _T:
    """`Runtime.once` for those who need nothing else of a runtime; a process alone does not wait for Fabric."""
    return work() if current_processes().size == 1 else Runtime(device, "fp32").once(work)


def each(work: Callable[[], _T], device: str = "auto") -> _T:
    """`Runtime.each` for those who need nothing else of a runtime."""
    return work() if current_processes().size == 1 else Runtime(device, "fp32").each(work)


def _fabric_arguments(accelerator: str) -> dict[str, Any]:
    """Fabric's arguments for this process and those beside it; PlanError when the machine has not as many devices.

    Parameters may be left out of a pass (a plan of one class has no use for embeddings), so DDP looks for them.
    """
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment  # noqa: PLC0415  # see Runtime

    here = current_processes()
    if here.size == 1:  # whatever a scheduler has set around it
        return {"devices": 1, "plugins": [LightningEnvironment()]}
    if accelerator != "cpu" and here.local_size > torch.cuda.device_count():
        raise PlanError(
            f"{here.local_size} processes on this machine need as many CUDA devices; it has {torch.cuda.device_count()}",
            hint="Start fewer (--nproc-per-node), or give --device cpu.",
        )
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment  # noqa: PLC0415  # see Runtime
    from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

    return {
        "devices": here.local_size,
        "num_nodes": here.size // here.local_size,
        "strategy": DDPStrategy(timeout=_PATIENCE, find_unused_parameters=True),
        "plugins": [TorchElasticEnvironment()],
    }


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and text atomically."""
    with atomic(path) as stream:
        telling = _ErrorKeepingStream(stream)
        try:
            torch.save(state, telling)  # type: ignore[arg-type]  # it asks for write and flush alone
        except RuntimeError as error:
            if telling.refused is not None:
                raise telling.refused from error
            raise


class _ErrorKeepingStream:
    """A stream that remembers what the disk refused: torch's writer makes an error of its own of a disk that is full."""

    def __init__(self, stream: BinaryIO) -> None:
        """Nothing is refused yet."""
        self.stream = stream
        self.refused: OSError | None = None

    def write(self, data: bytes) -> int:
        """Hand `data` on."""
        try:
            return self.stream.write(data)
        except OSError as error:
            self.refused = error
            raise

    def flush(self) -> None:
        """What is buffered need not reach the disk before `atomic` sees to it."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read it back, weights only: a checkpoint can hold no code."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path}: this training state cannot be read ({type(error).__name__})",
            hint="Delete it to start the run anew, or choose another --out.",
        ) from error
    return state


class Journal:
    """`log.jsonl`: one JSON object per tick, in step with the checkpoint."""

    def __init__(self, path: Path) -> None:
        """The file need not exist yet."""
        self.path = path

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines; one that a power failure cut short is passed over."""
        rows = json_lines(self.path.read_bytes() if self.path.exists() else b"")
        return [row for row in rows if isinstance(row.get("images_shown"), int)]

    def rewind(self, images_shown: int) -> None:
        """Drop what was written after the checkpoint at `images_shown`."""
        kept = [row for row in self.lines() if row["images_shown"] <= images_shown]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def add(self, row: dict[str, Any]) -> None:
        """Append one tick."""
        append(self.path, json.dumps(row) + "\n")
