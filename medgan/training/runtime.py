"""Device, precision, processes, checkpoints and log of a training run.

This is the only module that uses Lightning Fabric.
"""

from __future__ import annotations

import atexit
import gc
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
import torch.distributed
from torch import nn
from torch.optim import Optimizer

from medgan.base.errors import JobError, ModelError, PlanError
from medgan.base.files import append, atomic, digest, json_lines, remove_partial, write_text
from medgan.base.job import Job
from medgan.base.processes import current_processes
from medgan.training.optimiser import TrainedNetwork

_T = TypeVar("_T")
_Passes = TypeVar("_Passes", bound=Callable[..., Any])

_PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
_GRAPHS: dict[str, Any] = {"backend": "cudagraphs", "dynamic": False}
_PATIENCE = timedelta(days=1)
"""How long processes wait for each other. It is long because one process may be reading or writing a large
data set; a process that died is noticed at once, by its connection or by torchrun."""

# Work in fp32 (penalties, sampling, fp32 plans) must not be rounded to TF32, the default of GPU convolutions.
torch.backends.cudnn.allow_tf32 = False


def choose_device(wanted: str) -> str:
    """The device to use: the best one for "auto", otherwise the one asked for.

    Raises:
        PlanError: this machine does not have the device.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there.get(wanted, False):
        known = ", ".join(name for name, present in there.items() if present)
        raise PlanError(
            f"this machine has no device {wanted!r}", hint=f"Use --device with one of: {known}, auto."
        )
    return wanted


def can_replay(accelerator: str) -> bool:
    """Whether passes can be replayed as CUDA graphs.

    Only a single process can: DDP does work of its own between the kernels.
    """
    return accelerator == "cuda" and current_processes().size == 1


def reseed(seed: int, position: int) -> None:
    """Seed torch from (seed, position) alone.

    So a resumed run draws the same random numbers as an uninterrupted one.
    """
    torch.manual_seed(int(digest(f"{seed}", f"{position}")[:15], 16))


def random_per_image(draw: Callable[[int], torch.Tensor], count: int) -> torch.Tensor:
    """Random numbers for the `count` images of this process.

    They are the numbers that a single process would give to the same images. `draw` makes numbers for a given
    number of images with torch's global generator, whose state is the same in every process. Each process
    draws for the whole batch and keeps its share, which costs little beside the images.
    """
    here = current_processes()
    return draw(count * here.size)[here.share(count * here.size)]


def supports_bf16(device: str) -> bool:
    """Whether the device computes in bf16 natively.

    GPUs before Ampere only emulate it. For CPUs the answer is always yes, and the timing probe finds out how
    fast it is.
    """
    return choose_device(device) != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def temporary_graphs() -> Iterator[None]:
    """Record CUDA graphs within this context only, and fail where that is impossible.

    Afterwards nothing of them is left, neither on the device nor in torch's caches.
    """
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
    """Turn a GPU error into a message: out of memory, or a failed CUDA graph."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PlanError(
            "the GPU does not have enough memory for this run",
            hint="Use smaller images (--size) or batches (--batch), or --device cpu.",
        ) from error
    except RuntimeError as error:
        if not graphed or not can_replay("cuda" if torch.cuda.is_available() else "cpu"):
            raise
        raise PlanError(
            f"training failed while a GPU replayed CUDA graphs: {str(error).partition(chr(10))[0]}",
            hint="Repeat the command with --no-cuda-graphs: the run continues without them.",
        ) from error


@contextmanager
def _explain_lost_process() -> Iterator[None]:
    """Turn the loss of another process into a message with the next step."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.distributed.DistError) or "gloo/" in str(error)):
            raise
        raise JobError(
            "another process of this job has ended unexpectedly",
            hint="Run the same command again: it continues where it stopped, with any number of processes.",
        ) from error


@atexit.register
def _leave() -> None:
    """Close the connections to other processes while Python is still running.

    If they are left until the interpreter exits, a gloo thread that releases a tensor occasionally aborts the
    process although its work is done.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class Runtime:
    """Device, precision and processes of one training run.

    Under torchrun several processes train together; otherwise one does.
    """

    def __init__(self, device: str, precision: str, *, graphed: bool | None = False) -> None:
        """Launch Fabric.

        Args:
            device: "auto", "cpu", "cuda" or "mps".
            precision: "fp32", or "bf16" for bf16 in the passes and fp32 in weights and penalties.
            graphed: replay passes as CUDA graphs where a single process has a GPU; ignored elsewhere.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # as slow to load as torch, and sampling does not need it
            from lightning_fabric import Fabric  # noqa: PLC0415

            accelerator = choose_device(device)
            self.replays = bool(graphed) and can_replay(accelerator)
            self.fabric = Fabric(
                accelerator=accelerator, precision=_PRECISION[precision], **_fabric_arguments(accelerator)
            )
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        # DDP copies the gradient of a depthwise weight once, which costs next to nothing.
        warnings.filterwarnings("ignore", message="Grad strides do not match")
        with _explain_lost_process():
            self.fabric.launch()
        here = current_processes()
        self.job = Job(device=device, processes=here, exchange=self if here.size > 1 else None)

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, channels last (the fastest for convolutions)."""
        return network.to(  # type: ignore[call-overload,no-any-return]
            self.fabric.device,
            memory_format=torch.channels_last,
        )

    def setup(self, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Wrap a network and its optimiser for this device, precision and job."""
        with _explain_lost_process():
            wrapped, stepped = self.fabric.setup(self.with_graphs(self.place(network)), optimizer)
        return wrapped, stepped

    def with_graphs(self, passes: _Passes) -> _Passes:
        """Compile a network or function so that its kernels are launched together.

        Where this runtime replays, forward and backward pass become CUDA graphs of torch's own kernels
        (backend "cudagraphs" of torch.compile), so no compiler is needed and no number changes. Elsewhere
        `passes` is returned as it is.
        """
        return torch.compile(passes, **_GRAPHS) if self.replays else passes  # type: ignore[return-value]

    def number(self, value: float) -> float | torch.Tensor:
        """A number in the form in which a pass takes it.

        Where passes are replayed it must be a tensor, because a Python number would be recorded as a
        constant.
        """
        return torch.full((), value, device=self.fabric.device) if self.replays else value

    def begin_step(self) -> None:
        """Mark the start of a step: outputs of replayed passes may be overwritten."""
        if self.replays:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients of `loss`, averaged over all processes."""
        with _explain_lost_process():
            self.fabric.backward(loss)

    def descend(self, part: TrainedNetwork, loss: torch.Tensor) -> None:
        """Move the weights of one network against the gradient of `loss`."""
        part.optimiser.zero_grad()
        self.backward(loss)
        part.optimiser.step()

    @contextmanager
    def freeze(self, part: TrainedNetwork) -> Iterator[None]:
        """Context for passes through a network that itself gets no gradient, and so has none to share."""
        part.network.requires_grad_(False)
        alone = current_processes().size == 1
        with nullcontext() if alone else self.fabric.no_backward_sync(part.wrapped):  # type: ignore[arg-type]
            yield
        part.network.requires_grad_(True)

    def mean(self, numbers: torch.Tensor) -> torch.Tensor:
        """The mean of each number over all processes."""
        with _explain_lost_process():
            return self.fabric.all_reduce(numbers, reduce_op="mean")  # type: ignore[return-value]

    def broadcast(self, thing: Any) -> Any:
        """Return in every process what the first one gives."""
        with _explain_lost_process():
            return self.fabric.broadcast(thing)

    def gather(self, thing: Any) -> list[Any]:
        """Return in the first process what each one gives, by rank, and an empty list in the others."""
        here = current_processes()
        gathered = [None] * here.size if here.is_first else None
        with _explain_lost_process():
            torch.distributed.gather_object(thing, gathered)
        return gathered or []

    def once(self, work: Callable[[], _T]) -> _T:
        """Run `work` in the first process and return its result in every process (see `Job.first`)."""
        return self.job.first(work)

    def each(self, work: Callable[[], _T]) -> _T:
        """Run `work` in every process and wait for all of them (see `Job.each`)."""
        return self.job.each(work)

    def tensor(self, array: Any) -> torch.Tensor:
        """Copy a numpy array to the device, images channels last."""
        there = torch.as_tensor(array, device=self.fabric.device)
        return there.contiguous(memory_format=torch.channels_last) if there.dim() == 4 else there


def _fabric_arguments(accelerator: str) -> dict[str, Any]:
    """Fabric's arguments for this process and the others of the job.

    Parameters may be unused in a pass (a plan of one class does not use embeddings), so DDP has to look for
    them.

    Raises:
        PlanError: this machine has fewer CUDA devices than processes.
    """
    # Loads late, as in Runtime.
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment  # noqa: PLC0415

    # A single process, whatever variables a scheduler has set.
    here = current_processes()
    if here.size == 1:
        return {"devices": 1, "plugins": [LightningEnvironment()]}
    # One of several processes that torchrun started.
    if accelerator != "cpu" and here.local_size > torch.cuda.device_count():
        raise PlanError(
            f"{here.local_size} processes on this machine need {here.local_size} CUDA devices, "
            f"but there are {torch.cuda.device_count()}",
            hint="Start fewer processes (--nproc-per-node), or use --device cpu.",
        )
    from lightning_fabric.plugins.environments import torchelastic  # noqa: PLC0415  # see Runtime
    from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

    return {
        "devices": here.local_size,
        "num_nodes": here.size // here.local_size,
        "strategy": DDPStrategy(timeout=_PATIENCE, find_unused_parameters=True),
        "plugins": [torchelastic.TorchElasticEnvironment()],
    }


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers and text atomically."""
    with atomic(path) as stream:
        telling = _ErrorKeepingStream(stream)
        try:
            torch.save(state, telling)  # type: ignore[arg-type]  # it asks for write and flush alone
        except RuntimeError as error:
            if telling.refused is not None:
                raise telling.refused from error
            raise


class _ErrorKeepingStream:
    """A stream that keeps the error of the disk, which torch's writer would replace."""

    def __init__(self, stream: BinaryIO) -> None:
        """Wrap `stream`."""
        self.stream = stream
        self.refused: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write `data`, and remember an error."""
        try:
            return self.stream.write(data)
        except OSError as error:
            self.refused = error
            raise

    def flush(self) -> None:
        """Do nothing: `atomic` flushes once, at the end."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint with weights_only, so that it cannot run code."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path}: this training state cannot be read ({type(error).__name__})",
            hint="Delete it to start the run again from the beginning, or choose another --out.",
        ) from error
    return state


class Journal:
    """A run's log.jsonl: one JSON object per tick, in step with the checkpoint."""

    def __init__(self, path: Path) -> None:
        """The file need not exist yet."""
        self.path = path

    def lines(self) -> list[dict[str, Any]]:
        """All complete lines, without one that a power failure cut short."""
        rows = json_lines(self.path.read_bytes() if self.path.exists() else b"")
        return [row for row in rows if isinstance(row.get("images_shown"), int)]

    def rewind(self, images_shown: int) -> None:
        """Drop the lines that were written after the checkpoint at `images_shown`.

        Where none is left, there is no file: an empty one would make a folder in which nothing was trained
        look like a run.
        """
        kept = [row for row in self.lines() if row["images_shown"] <= images_shown]
        if kept:
            write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        else:
            remove_partial(self.path)

    def add(self, row: dict[str, Any]) -> None:
        """Append the line of one tick."""
        append(self.path, json.dumps(row) + "\n")
