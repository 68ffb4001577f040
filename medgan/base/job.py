"""Run the work of a command in one process or in several, and report its progress.

Each process of a job calls the same methods in the same order. What one of them leads, the others help with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

from medgan.base.errors import JobError, MedganError
from medgan.base.processes import Processes
from medgan.base.progress import OnProgress, Progress, ignore
from medgan.base.workers import CHUNK, WorkerPool

_T = TypeVar("_T")
_R = TypeVar("_R")

_NEXT = "next piece"
"""Asks every process for the next piece of the task that it has begun."""


class Exchange(Protocol):
    """How the processes of a job exchange objects. The loss of a process raises JobError."""

    def broadcast(self, thing: Any) -> Any:
        """Return in every process what the first one gives."""

    def gather(self, thing: Any) -> list[Any]:
        """Return in the first process what each one gives, by rank, and an empty list in the others."""


@dataclass(slots=True, kw_only=True)
class Job:
    """Device and processes of a command, and whom it tells of its progress.

    Stages may call each other: within what the first process leads it does everything alone, except that
    the workers of all processes help it.
    """

    device: str = "auto"
    processes: Processes = field(default_factory=Processes)
    exchange: Exchange | None = None
    """Needed where there are several processes."""
    on_progress: OnProgress = ignore
    _leads: bool = field(default=False, init=False, repr=False)
    """Whether this process is the first one and the others are waiting for what it does."""

    @property
    def alone(self) -> bool:
        """Whether this process acts for the whole job: there is no other, or it leads the others."""
        return self.exchange is None or self._leads

    def tell(self, progress: Progress) -> None:
        """Report progress."""
        self.on_progress(progress)

    def first(self, work: Callable[[], _T]) -> _T:
        """Run `work` in the first process and return its result in every process.

        An error that medgan raises there is raised in all of them. The other processes wait, and do their
        part of what `workers` divide meanwhile.
        """
        if self.exchange is None or self._leads:
            return work()
        if not self.processes.is_first:
            return _help(self.processes, self.exchange)  # type: ignore[no-any-return]
        self._leads = True
        try:
            return _lead(work, self.exchange)
        finally:
            self._leads = False

    def workers(self) -> WorkerPool:
        """A pool of this process's workers or, within `first`, of those of all processes.

        What such a pool maps is divided among all.
        """
        return _JobPool(self.processes, self.exchange) if self._leads and self.exchange else WorkerPool()

    def each(self, work: Callable[[], _T]) -> _T:
        """Run `work` in every process and wait for all of them.

        An error that medgan raises in one process is raised in all of them.
        """
        if self.alone:
            return work()
        made: list[_T] = []
        refused = None
        try:
            made.append(work())
        except MedganError as error:
            refused = error
        for error_of_one in filter(None, self.collect(refused)):
            raise error_of_one
        return made[0]

    def collect(self, thing: _T) -> list[_T]:
        """Return in every process what each of them gives, by rank."""
        if self.exchange is None or self._leads:
            return [thing]
        gathered: list[_T] = self.exchange.broadcast(self.exchange.gather(thing))
        return gathered

    def relay(self, things: Iterator[_T]) -> Iterator[_T]:
        """Yield in every process what `things` yields in the first one.

        All processes must read on to the end. An error that medgan raises on the way is raised in all.
        """
        if self.exchange is None or self._leads:
            yield from things
            return
        while True:
            piece = self.exchange.broadcast(_next_piece(things, 1) if self.processes.is_first else None)
            yield from piece.result
            if piece.error is not None:
                raise piece.error
            if not piece.result:
                return


ALONE = Job()
"""One process that does not report its progress."""

# --- The first process leads: it sends tasks, asks for one piece after another, and sends the end. ---


@dataclass(frozen=True, slots=True)
class _Task:
    """Work for all processes. Pieces of the items go to them in turn."""

    function: Callable[[Any], Any]
    items: Sequence[Any]
    on_crash: Callable[[Any], Any]
    piece: int
    """Items that a process does between two meetings."""

    def rounds(self, size: int) -> int:
        """How often the processes meet."""
        return -(-len(self.items) // (size * self.piece))

    def results(self, pool: WorkerPool, here: Processes) -> Iterator[Any]:
        """The results of one process, in order, by the workers of `pool`."""
        mine = [item for n, item in enumerate(self.items) if n // self.piece % here.size == here.rank]
        return pool.map_ordered(self.function, mine, self.on_crash, chunk=self.piece, total=len(self.items))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What work has come to: a result, which of a piece is the list of its results, or an error."""

    result: Any = None
    error: MedganError | None = None


class _JobPool(WorkerPool):
    """The workers of all processes, used by the first one while the others are in `_help`."""

    def __init__(self, here: Processes, exchange: Exchange) -> None:
        """Make the pool of the first process."""
        super().__init__()
        self._own = WorkerPool(here.local_size)
        self._here = here
        self._exchange = exchange

    def __exit__(self, *error: object) -> None:
        """End the worker processes of this process."""
        self._own.__exit__(*error)

    def map_ordered(
        self,
        function: Callable[[_T], _R],
        items: Sequence[_T],
        on_crash: Callable[[_T], _R],
        *,
        chunk: int = CHUNK,
        total: int = 0,  # noqa: ARG002  # all items are given
    ) -> Iterator[_R]:
        """Yield `function` of every item, in order, whichever process applies it.

        Only one step at a time may be read.
        """
        size = self._here.size
        rounds = -(-len(items) // (size * chunk))
        piece = -(-len(items) // (size * rounds)) if items else 1  # equal parts for all
        task = _Task(function, items, on_crash, piece)
        mine = task.results(self._own, self._here)
        order: _Task | str = task
        for _ in range(task.rounds(size)):
            self._exchange.broadcast(order)
            order = _NEXT
            for part in self._exchange.gather(_next_piece(mine, piece)):
                yield from part.result
                if part.error is not None:
                    raise part.error


def _next_piece(results: Iterator[Any], count: int) -> _Outcome:
    """The next results, with an error that medgan raised among them."""
    done: list[Any] = []
    try:
        for result in islice(results, count):
            done.append(result)  # noqa: PERF402  # those before an error are kept
    except MedganError as error:
        return _Outcome(done, error)
    return _Outcome(done)


def _lead(work: Callable[[], _T], exchange: Exchange) -> _T:
    """Run `work` in the first process, and tell the others how it ended."""
    try:
        made = work()
    except JobError:
        raise  # a process is lost, and the others notice it like this one
    except MedganError as error:
        exchange.broadcast(_Outcome(error=error))
        raise
    exchange.broadcast(_Outcome(made))
    return made


def _help(here: Processes, exchange: Exchange) -> Any:
    """Do this process's part of every task until the first process has ended its work."""
    with ExitStack() as opened:
        pools: list[WorkerPool] = []

        def results_of(task: _Task) -> Iterator[Any]:
            if not pools:
                pools.append(opened.enter_context(WorkerPool(here.local_size)))
            yield from task.results(pools[0], here)

        results, piece = iter(()), 0
        while not isinstance(order := exchange.broadcast(None), _Outcome):
            if isinstance(order, _Task):
                results, piece = results_of(order), order.piece
            exchange.gather(_next_piece(results, piece))
        if order.error is not None:
            raise order.error
        return order.result
