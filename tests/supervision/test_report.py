"""Reports: to `logging` with their fields, and to the bus."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from supervision import (
    BRUTAL_KILL,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    Killed,
    MaxRestartsExceeded,
    Normal,
    Restart,
    StartFailed,
    Supervisor,
)
from supervision.report import LOGGER_NAME, Offender
from supervision.testing import crash, settle, wait_restarted


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


async def politely() -> None:
    """Return when cancelled."""
    try:
        await forever()
    except asyncio.CancelledError:
        return


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Any:
    """Return what is logged: (context, child, level)."""
    caplog.set_level(logging.INFO, LOGGER_NAME)

    def read() -> list[tuple[str, object, int]]:
        return [
            (fields["error_context"], fields["offender"].id, record.levelno)
            for record in caplog.records
            if "offender" in (fields := vars(record))
        ]

    return read


async def test_progress_and_crash(records: Any, caplog: pytest.LogCaptureFixture) -> None:
    """L01: a progress report per start, an error report per crash, with all fields."""
    async with Supervisor([ChildSpec("it", forever)], name="root") as root:
        await settle()
        bug = ValueError("bug")
        await wait_restarted(root.ref("it"), crash(root.ref("it"), bug))

    assert records() == [
        ("started", "it", logging.INFO),
        ("terminated", "it", logging.ERROR),
        ("started", "it", logging.INFO),
    ]
    fields = vars(caplog.records[1])
    assert (fields["supervisor"], fields["reason"]) == ("root", Crash(bug))
    assert fields["exc_info"][1] is bug
    offender = fields["offender"]
    assert isinstance(offender, Offender)
    assert (offender.start, offender.restart_type, offender.child_type) == (
        "forever",
        "permanent",
        "worker",
    )
    assert caplog.records[1].getMessage() == "child 'it' of 'root' ended: ValueError: bug"


async def test_normal_ends_are_silent(records: Any) -> None:
    """L02: normal ends of transient and temporary children are not reported."""

    async def short() -> None:
        return

    for restart in (Restart.TRANSIENT, Restart.TEMPORARY):
        async with Supervisor() as root:
            await root.start_child(ChildSpec("it", short, restart=restart))
            await settle()

    assert {context for context, _, _ in records()} == {"started"}


async def test_start_error_and_giving_up(records: Any) -> None:
    """L01, I06: failed starts and the end of patience are reported."""

    async def broken(*, ready: object) -> None:
        raise OSError

    async with Supervisor() as root:
        with pytest.raises(StartFailed):
            await root.start_child(ChildSpec("broken", broken))

    async def host() -> None:
        async with DynamicSupervisor(intensity=0) as dyn:
            ref = await dyn.start_child(ChildSpec("it", forever))
            assert ref is not None
            await settle()
            crash(ref)
            await forever()

    with pytest.raises(MaxRestartsExceeded):
        await host()

    assert [(context, id) for context, id, _ in records()] == [
        ("start_error", "broken"),
        ("started", "it"),
        ("terminated", "it"),
        ("exceeded", "it"),
    ]


@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
@pytest.mark.parametrize(
    ("start", "restart", "shutdown", "reported"),
    [
        (forever, Restart.PERMANENT, 5.0, False),
        (forever, Restart.PERMANENT, 0, True),
        (forever, Restart.PERMANENT, BRUTAL_KILL, False),
        (politely, Restart.PERMANENT, 5.0, True),
        (politely, Restart.TRANSIENT, 5.0, False),
    ],
)
async def test_shutdown_error(
    kind: Any, start: Any, restart: Restart, shutdown: Any, reported: bool
) -> None:
    """K03: a stop is reported if the child answered it in another way than asked."""
    reasons: list[Any] = []
    async with kind() as root:
        root.telemetry.attach(
            "s",
            ("supervisor", "child", "shutdown_error"),
            lambda _, __, metadata, ___: reasons.append(metadata["reason"]),
        )
        await root.start_child(ChildSpec("it", start, restart=restart, shutdown=shutdown))
        await settle()

    assert bool(reasons) is reported
    assert reasons in ([], [Killed()], [Normal()])
