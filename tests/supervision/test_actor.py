"""Actors: life cycle, calls, casts, replies, timeouts, death, mailbox."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from supervision import (
    BRUTAL_KILL,
    Actor,
    CallingSelf,
    CallTimeout,
    ChildSpec,
    Crash,
    Down,
    MailboxFull,
    NoProc,
    Normal,
    Reason,
    Ref,
    Reply,
    ReplyTo,
    Restart,
    ServerDied,
    Shutdown,
    StartFailed,
    Stop,
    Supervisor,
    handle,
)
from supervision.actor import MESSAGE_BUDGET
from supervision.front import INLINE_BUDGET
from supervision.mailbox import Overflow
from supervision.testing import settle, wait_restarted


class Counter(Actor):
    """Counts, in several ways."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.n = 0
        self.log = [] if log is None else log
        self.later: ReplyTo[int] | None = None

    async def init(self) -> None:
        self.log.append("init")
        self.continue_(self.warm_up)

    async def warm_up(self) -> None:
        self.log.append("warm")

    async def terminate(self, reason: Reason) -> None:
        self.log.append(f"terminate {reason}")

    @handle.call
    def add(self, k: int) -> int:
        self.n += k
        return self.n

    @handle.call
    async def slow_add(self, k: int, seconds: float) -> int:
        await asyncio.sleep(seconds)
        self.n += k
        return self.n

    @handle.cast
    def bump(self) -> None:
        self.n += 1

    @handle.call
    def fail(self) -> int:
        raise ValueError("bug")

    @handle.call
    async def slow_fail(self) -> int:
        await asyncio.sleep(1)
        raise ValueError("bug")

    @handle.call(replies=(KeyError,))
    def look_up(self, key: str) -> int:
        return {"a": 1}[key]

    @handle.call
    def refuse(self) -> int:
        raise Reply(PermissionError("no"))

    @handle.call
    def answer_later(self) -> int:
        self.later = self.defer()
        return 0

    @handle.call
    def finish(self) -> str:
        self.stop()
        return "bye"

    @handle.call
    def give_up(self) -> int:
        raise Stop(Shutdown("enough"))

    @handle.call
    async def ask_self(self, me: Ref[Counter]) -> int:
        return await me.call(Counter.add, 1)

    @handle.call
    async def ask(self, other: Ref[Counter], back: Ref[Counter]) -> int:
        return await other.call(Counter.ask_self, back)

    @handle.call
    def chain(self) -> int:
        self.continue_(self.first)
        return self.n

    def first(self) -> None:
        self.log.append("first")
        self.continue_(self.second)

    def second(self) -> None:
        self.log.append("second")

    @handle.info
    def on_info(self, message: object) -> None:
        self.log.append(f"info {message}")

    async def idle(self) -> None:
        self.log.append("idle")


@asynccontextmanager
async def started(
    actor: type[Actor] = Counter, *args: Any, intensity: int = 3, **options: Any
) -> AsyncIterator[Ref[Any]]:
    """Run one actor under a supervisor and yield its ref."""
    spec = ChildSpec("it", actor, args=args, **options)
    async with Supervisor([spec], name="root", intensity=intensity) as root:
        yield root.ref("it", actor)


class TestLifeCycle:
    async def test_init_continue_terminate(self) -> None:
        """G03, G09: init, what it continues with before any message, and terminate at the end."""
        log: list[str] = []
        async with started(Counter, log) as ref:
            ref.send("hello")
            await settle()

        assert log == ["init", "warm", "info hello", "terminate shutdown"]

    async def test_continue_chains_run_before_later_messages(self) -> None:
        """G03: continues may chain, and all of them run before any message."""
        log: list[str] = []
        async with started(Counter, log) as ref:
            await settle()
            await ref.call(Counter.chain)
            ref.send("after")
            await settle()
            assert log[2:] == ["first", "second", "info after"]

    async def test_failing_init_fails_the_start(self) -> None:
        """G01, G02: an init that raises fails the start; terminate does not run."""
        log: list[str] = []

        class Broken(Counter):
            async def init(self) -> None:
                raise OSError("no disk")

        with pytest.raises(StartFailed) as failure:
            async with started(Broken, log):
                pytest.fail("the block must not run")

        assert isinstance(failure.value.__cause__, OSError)
        assert log == []

    async def test_terminate_is_skipped_on_brutal_kill(self) -> None:
        """G09, K02: no cleanup callback runs on an end without grace."""
        log: list[str] = []
        async with started(Counter, log, shutdown=BRUTAL_KILL):
            pass

        assert log == ["init", "warm"]

    async def test_terminate_that_raises_replaces_the_reason(self) -> None:
        """G10: an error in terminate becomes the exit reason."""

        class Messy(Counter):
            async def terminate(self, reason: Reason) -> None:
                raise LookupError("cleanup")

        downs: list[Down] = []
        async with started(Messy, restart=Restart.TEMPORARY) as ref:
            ref.monitor(downs.append)
            with pytest.raises(ServerDied):
                await ref.stop()

        assert isinstance(downs[0].reason, Crash)
        assert isinstance(downs[0].reason.exc, LookupError)

    async def test_stop_ends_it_with_the_reason(self) -> None:
        """G11: stop returns when the actor ended with that reason."""
        log: list[str] = []
        async with started(Counter, log, restart=Restart.TRANSIENT) as ref:
            await settle()
            await ref.stop()
            assert log[-1] == "terminate normal"
            with pytest.raises(NoProc):
                await ref.stop()

    async def test_stop_with_drain_serves_the_mailbox_first(self) -> None:
        """D10: a stop overtakes the mailbox unless it is to drain it."""
        for drain, expected in ((True, 5), (False, 0)):
            counter: list[Counter] = []
            async with started(Counter, restart=Restart.TRANSIENT) as ref:
                counter.append(ref.info)
                for _ in range(5):
                    ref.cast(Counter.bump)

                await ref.stop(drain=drain)
                assert counter[0].n == expected

    async def test_idle_timeout(self) -> None:
        """G12: without a message for that long `idle` runs; any message starts the time anew."""
        log: list[str] = []
        async with started(Counter, log) as ref:
            ref.info.idle_timeout = 1.0
            await ref.call(Counter.slow_add, 1, 0)
            for _ in range(5):
                await asyncio.sleep(0.8)
                ref.send("tick")

            assert "idle" not in log
            await asyncio.sleep(1.1)
            assert log[-1] == "idle"


class TestCall:
    async def test_plain_handler_is_answered_inline(self) -> None:
        """Section 4.3: an idle actor answers a plain handler in the caller's turn."""
        async with started() as ref:
            await settle()
            assert await ref.call(Counter.add, 2) == 2
            assert await ref.call(Counter.slow_add, 3, 0.1) == 5
            assert (ref.statistics().inlined, ref.statistics().handled) == (1, 1)

    async def test_inline_calls_leave_the_loop_its_turns(self) -> None:
        """Section 4.3: a client that only calls inline does not starve the event loop."""
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with started() as ref:
            await settle()
            task = asyncio.ensure_future(other())
            for _ in range(10 * INLINE_BUDGET):
                await ref.call(Counter.add, 1)

            task.cancel()

        assert turns >= 9

    async def test_timeout_leaves_the_actor_alone(self) -> None:
        """G04, V6: a call that takes too long fails for the caller; the actor goes on."""
        async with started() as ref:
            with pytest.raises(CallTimeout):
                await ref.call(Counter.slow_add, 1, 10.0, timeout=1.0)

            assert await ref.call(Counter.add, 0, timeout=20.0) == 1

    async def test_calls_given_up_in_the_queue_are_skipped(self) -> None:
        """Pitfall 23: the actor does not work for callers who gave up before their turn."""
        async with started() as ref:
            slow = asyncio.ensure_future(ref.call(Counter.slow_add, 1, 3.0))
            await settle()
            calls = [ref.call(Counter.add, 1, timeout=1.0) for _ in range(100)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {CallTimeout}
            assert await slow == 1
            assert await ref.call(Counter.add, 0) == 1
            assert ref.statistics().skipped == 100
            assert ref.statistics().queued == 0

    async def test_cancelled_caller_does_not_cancel_the_actor(self) -> None:
        """Pitfall 24: the handler goes on when its caller is cancelled."""
        async with started() as ref:
            call = asyncio.ensure_future(ref.call(Counter.slow_add, 1, 1.0))
            await settle()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

            assert await ref.call(Counter.add, 0) == 1

    @pytest.mark.parametrize("method", [Counter.fail, Counter.slow_fail])
    async def test_death_is_told_at_once(self, method: Any) -> None:
        """G05, D9: a handler that raises kills the actor, and all callers know at once."""
        log: list[str] = []
        async with started(Counter, log) as ref:
            await settle()
            loop = asyncio.get_running_loop()
            pid = ref.pid
            first = asyncio.ensure_future(ref.call(method, timeout=100.0))
            await settle()
            waiting = [asyncio.ensure_future(ref.call(Counter.add, 1)) for _ in range(3)]
            began = loop.time()
            with pytest.raises(ServerDied) as death:
                await first

            assert isinstance(death.value.reason, Crash)
            if method is Counter.slow_fail:
                results = await asyncio.gather(*waiting, return_exceptions=True)
                assert {type(result) for result in results} == {ServerDied}

            assert loop.time() - began <= 1.0
            await wait_restarted(ref, pid)
            await asyncio.gather(*waiting, return_exceptions=True)
            assert "terminate ValueError: bug" in log

    async def test_call_while_restarting(self) -> None:
        """D12, G07: a call to nobody fails at once, or waits; a cast never fails."""
        async with Supervisor([ChildSpec("it", Counter)]) as root:
            ref = root.ref("it", Counter)
            await root.terminate_child("it")
            with pytest.raises(NoProc):
                await ref.call(Counter.add, 1)

            ref.cast(Counter.bump)
            with pytest.raises(NoProc):
                await ref.call(Counter.add, 1, wait_restart=1.0)

            call = asyncio.ensure_future(ref.call(Counter.add, 1, wait_restart=1.0))
            await settle()
            await root.restart_child("it")
            assert await call == 1

    async def test_declared_errors_are_answers(self) -> None:
        """D9: a Reply and declared errors are raised in the caller and kill nobody."""
        async with started() as ref:
            await settle()
            assert await ref.call(Counter.look_up, "a") == 1
            with pytest.raises(KeyError):
                await ref.call(Counter.look_up, "b")

            with pytest.raises(PermissionError):
                await ref.call(Counter.refuse)

            assert ref.slot.generation == 1

    async def test_deferred_answer(self) -> None:
        """G06: an answer may be given later, from anywhere; death fails it at once."""
        async with started() as ref:
            for asked_inline in (True, False):
                if asked_inline:
                    await settle()
                else:
                    ref.cast(Counter.bump)

                call = asyncio.ensure_future(ref.call(Counter.answer_later))
                await settle()
                assert not call.done()
                token = ref.info.later
                token.reply(42)
                assert await call == 42

            call = asyncio.ensure_future(ref.call(Counter.answer_later))
            await settle()
            with pytest.raises(ServerDied):
                await ref.call(Counter.fail)

            with pytest.raises(ServerDied):
                await call

    async def test_stop_with_a_reply_and_without(self) -> None:
        """G06: a handler may stop the actor, with an answer or with the reason for one."""
        async with started(Counter, restart=Restart.TRANSIENT) as ref:
            await settle()
            assert await ref.call(Counter.finish) == "bye"
            await settle()
            with pytest.raises(NoProc):
                await ref.call(Counter.add, 1)

        async with started(Counter, restart=Restart.TRANSIENT) as ref:
            with pytest.raises(ServerDied) as death:
                await ref.call(Counter.give_up)

            assert death.value.reason == Shutdown("enough")

    async def test_calling_oneself_is_refused(self) -> None:
        """G05, pitfall 25: a call that would wait for itself fails at once, in any circle."""
        specs = [ChildSpec("a", Counter), ChildSpec("b", Counter)]
        async with Supervisor(specs) as root:
            a, b = root.ref("a", Counter), root.ref("b", Counter)
            pid = a.pid
            with pytest.raises(ServerDied) as death:
                await a.call(Counter.ask_self, a)

            assert isinstance(death.value.reason, Crash)
            assert isinstance(death.value.reason.exc, CallingSelf)
            await wait_restarted(a, pid)
            with pytest.raises(ServerDied) as death:
                await a.call(Counter.ask, b, a)

            # The one that would close the circle is refused, and the other dies of its death.
            assert isinstance(death.value.reason, Crash)
            died = death.value.reason.exc
            assert isinstance(died, ServerDied)
            assert isinstance(died.reason, Crash)
            assert isinstance(died.reason.exc, CallingSelf)

    async def test_waiting_for_another_is_no_circle(self) -> None:
        """Pitfall 25: actors may wait for each other one after another, and from other tasks."""

        class Asking(Counter):
            @handle.call
            async def sum(self, other: Ref[Counter]) -> int:
                mine = await other.call(Counter.slow_add, 1, 0.1)
                beside = self.spawn(other.call(Counter.slow_add, 1, 0.1))
                return mine + await beside

        async with Supervisor([ChildSpec("a", Asking), ChildSpec("b", Counter)]) as root:
            a, b = root.ref("a", Asking), root.ref("b", Counter)
            assert await a.call(Asking.sum, b) == 3
            assert await a.call(Asking.sum, b) == 7

    async def test_context_of_the_caller_stays_out(self) -> None:
        """Pitfall 17: an inline handler runs in the actor's context, not in the caller's."""
        var = contextvars.ContextVar("var", default="base")

        class Reader(Actor):
            @handle.call
            def read(self) -> str:
                seen = var.get()
                var.set("actor")
                return seen

        async with started(Reader) as ref:
            await settle()
            var.set("caller")
            assert [await ref.call(Reader.read) for _ in range(2)] == ["base", "actor"]
            assert var.get() == "caller"

    async def test_unmarked_method_is_refused(self) -> None:
        """A method that is no handler cannot be called from outside."""
        async with started() as ref:
            with pytest.raises(TypeError, match=r"handle\.call"):
                await ref.call(Counter.first)

            with pytest.raises(TypeError, match=r"handle\.cast"):
                ref.cast(Counter.first)

    @pytest.mark.real_time
    async def test_call_from_a_thread(self) -> None:
        """Pitfall 26: threads have calls of their own; one from another loop is refused."""
        async with started() as ref:
            await settle()

            def from_thread() -> int:
                ref.cast_threadsafe(Counter.bump)
                return ref.call_threadsafe(Counter.add, 1).result(5)  # type: ignore[no-any-return]

            assert await asyncio.to_thread(from_thread) == 2
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(ref.call(Counter.add, 1)))


class Slow(Actor):
    """Takes a second per message, and has little room."""

    maxsize = 2

    def __init__(self) -> None:
        self.done: list[int] = []

    @handle.call
    async def work(self, n: int) -> int:
        await asyncio.sleep(1)
        self.done.append(n)
        return n

    @handle.cast
    async def note(self, n: int) -> None:
        await asyncio.sleep(1)
        self.done.append(n)

    @handle.cast
    async def die(self) -> None:
        await asyncio.sleep(1)
        raise ValueError("dead")


def with_overflow(policy: Overflow) -> type[Slow]:
    """Return the actor with another policy."""

    class It(Slow):
        overflow: ClassVar[Overflow] = policy

    return It


class TestMailbox:
    async def test_block_lets_callers_wait(self) -> None:
        """D10: with the policy `block` callers wait for room and all are answered, in order."""
        async with started(Slow) as ref:
            calls = [ref.call(Slow.work, n, timeout=100) for n in range(10)]
            assert await asyncio.gather(*calls) == list(range(10))
            assert ref.info.done == list(range(10))

    async def test_waiting_for_room_takes_part_in_the_timeout(self) -> None:
        """V6: the wait for room ends with the timeout of the call."""
        async with started(Slow) as ref:
            calls = [ref.call(Slow.work, n, timeout=1.5) for n in range(6)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [r for r in results if isinstance(r, int)] == [0]
            assert sum(isinstance(r, CallTimeout) for r in results) == 5

    async def test_death_wakes_whoever_waits_for_room(self) -> None:
        """Pitfall 30: callers that wait for room learn of the death at once."""
        async with started(Slow, intensity=10) as ref:
            await settle()
            ref.cast(Slow.die)
            await settle()
            calls = [asyncio.ensure_future(ref.call(Slow.work, n)) for n in range(10)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {ServerDied}

    async def test_raise_refuses(self) -> None:
        """D10: with the policy `raise` what has no room is refused, calls and casts alike."""
        actor = with_overflow("raise")
        async with started(actor) as ref:
            await settle()
            calls = [asyncio.ensure_future(ref.call(Slow.work, n)) for n in range(4)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(r) for r in results] == [int, int, MailboxFull, MailboxFull]
            for n in range(2):
                ref.cast(Slow.note, n)

            with pytest.raises(MailboxFull):
                ref.cast(Slow.note, 3)

    @pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", [3, 4]), ("drop_newest", [0, 1])])
    async def test_drop(self, policy: Overflow, kept: list[int]) -> None:
        """D10: the oldest or the newest message goes; a dropped call is told."""
        async with started(with_overflow(policy)) as ref:
            await settle()
            for n in range(5):
                ref.cast(Slow.note, n)

            await asyncio.sleep(10)
            assert ref.info.done == kept
            calls = [asyncio.ensure_future(ref.call(Slow.work, n)) for n in range(4)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(r, MailboxFull) for r in results) == 2


class TestMisuse:
    async def test_unexpected_message_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """G07: a message nobody handles is logged, and no harm."""
        caplog.set_level("WARNING", "supervision")
        async with started(Slow) as ref:
            ref.send("what?")
            await settle()
            assert ref.slot.generation == 1

        assert "unexpected message: 'what?'" in caplog.text

    async def test_messages_to_what_is_no_actor(self) -> None:
        """A child that is no actor takes no messages, and has no children."""
        async with Supervisor([ChildSpec("it", asyncio.Event().wait)]) as root:
            ref = root.ref("it")
            with pytest.raises(TypeError, match="not an actor"):
                await ref.call(Counter.add, 1)

            with pytest.raises(TypeError, match="not an actor"):
                await ref.stop()

            with pytest.raises(TypeError, match="not a supervisor"):
                ref.which_children()

    async def test_defer_outside_a_call(self) -> None:
        """G06: only a call can be answered later."""
        async with started() as ref:
            with pytest.raises(RuntimeError, match="no call"):
                ref.info.defer()

    async def test_stop_that_takes_too_long(self) -> None:
        """G11: a stop that takes too long fails for the caller; the end comes all the same."""
        async with started(Slow, restart=Restart.TEMPORARY) as ref:
            ref.cast(Slow.note, 1)
            await settle()
            with pytest.raises(CallTimeout):
                await ref.stop(timeout=0.5)

            await asyncio.sleep(1)
            with pytest.raises(NoProc):
                ref.statistics()

    async def test_wrong_maxsize(self) -> None:
        """D10: a mailbox without room makes no sense."""

        class Nowhere(Counter):
            maxsize = 0

        with pytest.raises(StartFailed, match="maxsize"):
            async with started(Nowhere):
                pytest.fail("the block must not run")


class TestIntrospection:
    async def test_state_can_be_read_and_replaced(self) -> None:
        """G15: get_state and replace_state; a raising replacer changes nothing."""
        async with started() as ref:
            assert (await ref.get_state())["n"] == 0
            await ref.replace_state(lambda state: {**state, "n": 7})
            assert await ref.call(Counter.add, 0) == 7

            def raising(state: dict[str, object]) -> dict[str, object]:
                state["n"] = 9
                raise LookupError

            with pytest.raises(LookupError):
                await ref.replace_state(raising)

            assert await ref.call(Counter.add, 0) == 7

    async def test_suspended_actor_keeps_its_messages(self) -> None:
        """G15: a suspended actor answers system requests only, and then all the rest."""
        async with started() as ref:
            await ref.suspend()
            call = asyncio.ensure_future(ref.call(Counter.add, 1))
            await settle()
            assert not call.done()
            assert (await ref.get_state())["n"] == 0
            assert ref.statistics().suspended
            await ref.resume()
            assert await call == 1

    async def test_normal_monitor(self) -> None:
        """O01: a monitor is told once how it ended, and not at all after demonitor."""
        downs: list[Down] = []
        async with started(Counter, restart=Restart.TEMPORARY) as ref:
            ref.monitor(downs.append)
            ref.monitor(downs.append).demonitor()
            await ref.stop()
            ref.monitor(downs.append)
            await settle()

        assert [type(down.reason) for down in downs] == [Normal, NoProc]


class TestEdges:
    """What hardly ever happens, and must be right when it does."""

    async def test_busy_mailbox_leaves_the_loop_its_turns(self) -> None:
        """Design of the mailbox: it is drained in batches, between which others have their turn."""
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with started() as ref:
            await settle()
            for _ in range(MESSAGE_BUDGET * 10):
                ref.cast(Counter.bump)

            task = asyncio.ensure_future(other())
            await ref.call(Counter.slow_add, 0, 0.0)
            task.cancel()
            assert turns >= 10

    async def test_messages_without_an_incarnation(self) -> None:
        """G05: an actor that was never started takes nothing and tells nothing."""
        actor = Counter()
        with pytest.raises(NoProc):
            actor.stop()

        with pytest.raises(NoProc):
            await actor.system(lambda front: front)

        with pytest.raises(TypeError, match=r"handle\.call"):
            await actor.request(Counter.add, (1,), None)

    async def test_cast_after_the_end(self) -> None:
        """G07: a cast to an actor that is ending is lost without a word."""
        async with started(Counter, restart=Restart.TEMPORARY) as ref:
            actor = ref.info
            await ref.stop()
            actor.tell(Counter.bump, ())
            assert actor.statistics().queued == 0
            with pytest.raises(ServerDied):
                await actor.request(Counter.slow_add, (1, 1.0), None)

    async def test_state_that_loses_an_attribute(self) -> None:
        """G15: what the changed state does not have, the actor does not have either."""
        async with started() as ref:
            await ref.replace_state(lambda state: {"n": state["n"]})
            assert await ref.get_state() == {"n": 0}

    async def test_infinite_timeout_is_none(self) -> None:
        """G04: infinity is no limit, as None is."""
        async with started() as ref:
            assert await ref.call(Counter.slow_add, 1, 1.0, timeout=math.inf) == 1

    async def test_host_s_own_timeout_is_not_ours(self) -> None:
        """Pitfall 4: a TimeoutError from around a wait is not taken for the wait's own limit."""

        class Small(Counter):
            maxsize: ClassVar[int | None] = 1

        async with Supervisor([ChildSpec("it", Small)]) as root:
            ref = root.ref("it", Small)
            calls = [asyncio.ensure_future(ref.call(Small.slow_add, 1, 1.0)) for _ in range(2)]
            await settle()
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await ref.call(Small.slow_add, 1, 1.0, timeout=100.0)

            assert not isinstance(caught.value, CallTimeout)
            await asyncio.gather(*calls)

    async def test_stop_ends_system_requests(self) -> None:
        """G15: who asks an actor that ends for its state is told so."""
        async with started(Counter, restart=Restart.TEMPORARY) as ref:
            busy = asyncio.ensure_future(ref.call(Counter.slow_add, 1, 10.0))
            await settle()
            asking = asyncio.ensure_future(ref.get_state())
            gone = asyncio.ensure_future(ref.get_state())
            await settle()
            gone.cancel()
            stops = [asyncio.ensure_future(ref.stop(Shutdown())) for _ in range(2)]
            await settle()
            ref.slot.current().exit(Shutdown())
            for ended in (busy, asking):
                with pytest.raises(ServerDied):
                    await ended

            await asyncio.gather(*stops, return_exceptions=True)

    async def test_crash_names_its_last_message(self, caplog: pytest.LogCaptureFixture) -> None:
        """G10: the report of a crash has the last message, the state and the error."""
        caplog.set_level("ERROR", "supervision")
        async with started(Counter, restart=Restart.TEMPORARY) as ref:
            for method in (Counter.slow_fail, Counter.fail):
                with pytest.raises((ServerDied, NoProc)):
                    await ref.call(method)

        record = next(record for record in caplog.records if "actor" in record.getMessage())
        assert record.__dict__["last_message"] == "slow_fail"
        assert record.__dict__["state"]["n"] == 0
        assert record.exc_info is not None


class Narrow(Actor):
    """Has room for one message, and crashes on the second."""

    maxsize = 1

    @handle.call
    async def work(self, n: int) -> int:
        if n == 1:
            raise ValueError("bug")

        await asyncio.sleep(1)
        return n


async def test_crash_reaches_who_was_just_let_into_the_mailbox() -> None:
    """Pitfall 30: nobody waits for an actor that has ended, whatever turn they are in."""
    async with Supervisor([ChildSpec("it", Narrow, restart=Restart.TEMPORARY)]) as root:
        await settle()
        ref = root.ref("it", Narrow)
        async with asyncio.timeout(60):
            answers = await await_all([ref.call(Narrow.work, n, timeout=None) for n in range(10)])

    assert answers[0] == 0
    assert [type(each) for each in answers[1:]] == [ServerDied] * 9


async def await_all(calls: list[Any]) -> list[object]:
    """Await all at once; an error is a result."""
    results: list[object] = await asyncio.gather(*calls, return_exceptions=True)
    return results
