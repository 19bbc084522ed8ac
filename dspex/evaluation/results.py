"""What the outcomes of one run add up to, and where they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from dspex.errors import EvaluationError
from dspex.evaluation.columns import NOT_STORED, Columns
from dspex.evaluation.epochs import FoldedStore, Folding, fold
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.progress import Progress
from dspex.evaluation.report import Counts, Report
from dspex.evaluation.sink import Sink, SpillSink, Store
from dspex.evaluation.source import Job, example_key
from dspex.evaluation.tally import Tally
from dspex.evaluation.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex.evaluation.clusters import Clusters
    from dspex.evaluation.options import EvaluationOptions
    from dspex.signatures.example import Example

__all__ = ("Results",)

_Counted: TypeAlias = tuple[Columns, Store, Counts, int]


class Results:
    """The outcomes of one run: counted, written to the sink, and remembered in narrow rows.

    A row stands for one epoch of one example. Where the sink cannot be read back a spill file
    stands beside it.
    """

    def __init__(
        self, options: EvaluationOptions, sink: Sink | None, clusters: Clusters | None = None
    ) -> None:
        self._options = options
        self._clusters = clusters
        self._store: Store = sink if isinstance(sink, Store) else SpillSink()
        self._sink = None if sink is self._store else sink
        self._columns = Columns()
        self.tally = Tally()
        self.recalled = 0
        self._recalled_failures = 0
        self._recalled_outages = 0

    @property
    def store(self) -> Store:
        """Where outcomes can be read back from."""
        return self._store

    async def add(self, outcome: Outcome) -> Exception | None:
        """Take one outcome; return what kept it from being stored."""
        failure: Exception | None = None
        place = NOT_STORED
        try:
            place = await self._store.put(outcome)
            if self._sink is not None:
                await self._sink.put(outcome)
        except Exception as exc:
            failure = exc

        self._count(outcome, place)
        return failure

    def recall(self, outcome: Outcome, place: int) -> None:
        """Take an outcome that an earlier session stored at `place`."""
        epochs = self._options.epochs
        if outcome.epoch < epochs:
            # A file that was put together again may hold a record twice; it still ended once.
            known = self._columns.status(outcome.index * epochs + outcome.epoch)
            if known is None or known is Status.UNAVAILABLE:
                self._count(outcome, place)

    def end_recall(self) -> None:
        """Note that everything is recalled: from here on it is this session's."""
        tally = self.tally
        self.recalled = tally.scored + tally.failed
        self._recalled_failures = tally.failed
        self._recalled_outages = tally.unavailable

    @property
    def errors(self) -> int:
        """How many examples gave no score in this session."""
        return self.tally.without_score - self._recalled_failures - self._recalled_outages

    @property
    def inherited(self) -> int:
        """How many of the outcomes are an earlier session's."""
        return self.recalled + self._recalled_outages

    @property
    def finished(self) -> int:
        """How many examples ended in this session."""
        return self.tally.finished - self.inherited

    def missing(self, index: int, example: Example) -> Iterator[Job]:
        """Return what is still to be run of an example: what has no outcome or was unavailable.

        Raises:
            EvaluationError: what was recorded at this index is another example.
        """
        key: str | None = None
        for epoch in range(self._options.epochs):
            row = index * self._options.epochs + epoch
            status = self._columns.status(row)
            if status is None:
                yield Job(index, example, epoch=epoch)
                continue

            key = key or example_key(index, example)
            recorded = f"{self._columns.keys[row]:016x}"
            if key != recorded:
                raise EvaluationError(
                    f"example {index} of the dataset is not the one that this run was begun with: "
                    f"its key is {key}, and {recorded} is recorded. Go on with the dataset of "
                    "then, or give the changed one another run_id"
                )

            if status is Status.UNAVAILABLE:
                yield Job(index, example, retry=1, epoch=epoch)

    @property
    def known(self) -> int:
        """How many examples there must be, from the outcomes there are."""
        return -(-len(self._columns) // self._options.epochs)

    def check_length(self, total: int) -> None:
        """Refuse a dataset that has fewer examples than the run has outcomes.

        Raises:
            EvaluationError: it has; names both lengths.
        """
        if self.known > total:
            raise EvaluationError(
                f"the dataset has {total:,} examples, and this run has outcomes for examples up to "
                f"number {self.known - 1:,}: go on with the dataset of then, or give the shorter "
                "one another run_id"
            )

    async def close(self) -> Exception | None:
        """Close the sinks; return what kept them from bringing everything to safety."""
        failure: Exception | None = None
        try:
            await self._store.close()
        except Exception as exc:
            failure = exc
            await in_thread(self._forget_lost)
        finally:
            try:
                if self._sink is not None:
                    await self._sink.close()
            except Exception as exc:
                failure = exc

        return failure

    def _forget_lost(self) -> None:
        """Take what did not come to the store for not stored: that is what was put last."""
        columns = self._columns
        for row in sorted(columns.indices(), key=columns.place, reverse=True):
            try:
                for _ in self._store.read([columns.place(row)]):
                    return
            except Exception:  # a disk that is full, or gone: it has been told
                columns.forget_place(row)

    def progress(self, in_flight: int, examples: int | None, elapsed_s: float) -> Progress:
        """Return how far the run is; `examples` is None while their number is not known."""
        tally = self.tally
        return Progress(
            finished=tally.finished,
            in_flight=in_flight,
            total=None if examples is None else examples * self._options.epochs,
            scored=tally.scored,
            failed=tally.failed,
            unavailable=tally.unavailable,
            score=tally.mean,
            half_width=tally.half_width,
            calls=tally.usage.calls,
            cost_usd=tally.usage.cost_usd,
            elapsed_s=elapsed_s,
            resumed=self.inherited,
        )

    def report(
        self,
        program: str,
        metric: str,
        *,
        program_digest: str | None,
        run_id: str | None,
        total: int,
        duration_s: float,
        stopped: str | None,
    ) -> Report:
        """Return the report; takes a while, and loads what computes it."""
        # Here and not above: numpy and scipy take half a second to load.
        from dspex.evaluation.samples import counted
        from dspex.evaluation.statistics import percentiles, present, summarize

        columns, store, counts, partial = self._counted(total)
        tally, options = self.tally, self._options
        columns.clusters = None if self._clusters is None else self._clusters.codes
        sample = counted(columns)
        summary = summarize(sample.scores, sample.clusters, seed=options.seed)
        return Report(
            program,
            metric,
            score=summary.mean,
            stderr=summary.stderr,
            interval=summary.interval,
            counts=counts,
            coverage=summary.count / total if total else 0.0,
            errors=dict(tally.errors),
            usage=tally.usage,
            latency=percentiles(present(self._columns.latencies, "f4")),
            duration_s=duration_s,
            retried=tally.retried,
            failure_score=options.worth_of_failure,
            stopped_early=stopped,
            program_digest=program_digest,
            epochs=options.epochs,
            reduce=str(options.reduce),
            partial=partial,
            run_id=run_id,
            resumed=self.recalled,
            seed=options.seed,
            clusters=summary.clusters,
            columns=columns,
            store=store,
        )

    def _count(self, outcome: Outcome, place: int) -> None:
        columns, row = self._columns, outcome.index * self._options.epochs + outcome.epoch
        if columns.status(row) is Status.UNAVAILABLE:
            self.tally.retract(outcome.index, columns.group(row))
            # Those recalled come again before any of this session's own does.
            self._recalled_outages = max(0, self._recalled_outages - 1)

        failed = outcome.status is Status.FAILED
        worth = self._options.worth_of_failure if failed else outcome.score
        group = self.tally.add(outcome, worth)
        columns.set(outcome, worth, place, row=row, group=group)

    def _counted(self, total: int) -> _Counted:
        tally, options = self.tally, self._options
        if options.epochs == 1:
            counts = Counts(tally.scored, tally.failed, tally.unavailable, total)
            return self._columns, self._store, counts, 0

        folding = Folding(self._columns, options.epochs, options.reducer)
        columns, partial = fold(folding)
        counts = Counts(
            columns.count(Status.SCORED),
            columns.count(Status.FAILED),
            columns.count(Status.UNAVAILABLE),
            total,
        )
        return columns, FoldedStore(folding, self._store), counts, partial
