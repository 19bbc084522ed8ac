"""A thread works off what gathers, in order, and never holds up who offers."""

from __future__ import annotations

import threading

from dspex.threads import BatchThread


class Worker:
    """Collects batches; works only while it may."""

    def __init__(self, *, max_waiting: int = 100, gather_s: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self.may = threading.Event()
        self.busy = threading.Event()
        self.finished = False
        self.thread: BatchThread[int] = BatchThread(
            "test",
            self._work,
            finish=self._finish,
            max_waiting=max_waiting,
            max_batch=3,
            gather_s=gather_s,
        )

    def _work(self, batch: list[int]) -> None:
        self.busy.set()
        self.may.wait(5.0)
        self.batches.append(batch)

    def _finish(self) -> None:
        self.finished = True


class TestBatchThread:
    def test_what_waits_is_worked_off_in_order_and_in_batches(self) -> None:
        """One transaction for many."""
        worker = Worker()
        worker.thread.offer(0)
        worker.busy.wait(5.0)
        for item in range(1, 8):
            worker.thread.offer(item)

        worker.may.set()

        assert worker.thread.close(5.0)
        assert [[0], [1, 2, 3], [4, 5, 6], [7]] == worker.batches
        assert worker.finished

    def test_a_full_queue_refuses(self) -> None:
        """Who offers goes on at once."""
        worker = Worker(max_waiting=2)
        worker.thread.offer(0)
        worker.busy.wait(5.0)

        taken = [worker.thread.offer(item) for item in range(4)]

        worker.may.set()
        worker.thread.close(5.0)
        assert [True, True, False, False] == taken

    def test_a_closed_queue_refuses(self) -> None:
        """Nothing is taken that nobody will work on."""
        worker = Worker()
        worker.thread.close(5.0)

        assert not worker.thread.offer(1)
        assert worker.batches == []

    def test_the_first_of_a_batch_waits_for_others_and_not_for_ever(self) -> None:
        """A single write is written, too; closing does not wait at all."""
        worker = Worker(gather_s=0.01)
        worker.may.set()
        worker.thread.offer(1)
        worker.busy.wait(5.0)

        assert worker.thread.close(5.0)
        assert [[1]] == worker.batches

    def test_a_thread_that_hangs_is_given_up(self) -> None:
        """A disk that never answers does not hold up the end of the program."""
        worker = Worker()
        worker.thread.offer(0)
        worker.busy.wait(5.0)

        assert not worker.thread.close(0.01)

        worker.may.set()
        assert worker.thread.close(5.0)
