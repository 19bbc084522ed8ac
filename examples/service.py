"""A program inside a web service, twice: in an aiohttp server and in a Starlette application.

    python examples/service.py aiohttp
    python examples/service.py starlette          # needs starlette and uvicorn
    curl -d 'My router is dead' localhost:8080/triage

The Runtime is opened by the server's start-up and closed by its shutdown, which run in another task
than the handlers. Handlers just call the program: it finds the one Runtime that is open on its
event loop. With DSPEX_DEFAULT set it serves that model; without, the offline sandbox stands in, a
nearest-demonstration classifier and not a language model.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web

import dspex
from dspex.sandbox import SandboxServer

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse


class Triage(dspex.Signature):
    """Route the ticket to the team that owns it."""

    ticket: str = dspex.InputField(desc="what the customer wrote")
    team: Literal["billing", "network", "hardware"] = dspex.OutputField()


TRIAGE = dspex.Predict(Triage).with_demos(
    [
        dspex.Example(ticket="I was charged twice this month", team="billing"),
        dspex.Example(ticket="The wifi drops every evening", team="network"),
        dspex.Example(ticket="My router is dead, no lights at all", team="hardware"),
    ]
)


@asynccontextmanager
async def open_runtime() -> AsyncIterator[dspex.Runtime]:
    """Open a Runtime on the configured model, or on a sandbox of its own."""
    if "DSPEX_DEFAULT" in os.environ:
        async with dspex.Runtime.from_env() as runtime:
            yield runtime

        return

    async with SandboxServer.start() as server:
        provider = dspex.ProviderSettings(base_url=server.base_url)
        async with dspex.Runtime(
            default=f"sandbox/{server.model}", providers={"sandbox": provider}
        ) as runtime:
            yield runtime


async def answer(ticket: bytes) -> tuple[int, dict[str, Any]]:
    """Answer one request: status and body. An outage is a 503 that says when to come back."""
    try:
        prediction = await TRIAGE(ticket=ticket.decode())
    except UnicodeDecodeError as exc:
        return 400, {"error": f"the ticket is no UTF-8 text: {exc}"}
    except dspex.InputError as exc:
        return 400, {"error": str(exc)}
    except dspex.ProviderError as exc:
        status = 503 if exc.unavailable else 422
        return status, {"error": str(exc), "retry_after_s": exc.data.retry_after_s}
    except dspex.ParseError as exc:
        return 502, {"error": exc.problem}

    return 200, {"team": prediction.team, "tokens": prediction.usage.total_tokens}


def aiohttp_app() -> web.Application:
    """Build the aiohttp application."""

    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        async with open_runtime():
            yield

    async def triage(request: web.Request) -> web.Response:
        status, body = await answer(await request.read())
        return web.json_response(body, status=status)

    app = web.Application()
    app.cleanup_ctx.append(lifespan)
    app.router.add_post("/triage", triage)
    return app


def starlette_app() -> Starlette:
    """Build the Starlette application."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with open_runtime():
            yield

    async def triage(request: Request) -> JSONResponse:
        status, body = await answer(await request.body())
        return JSONResponse(body, status_code=status)

    return Starlette(routes=[Route("/triage", triage, methods=["POST"])], lifespan=lifespan)


def main(argv: list[str]) -> int:
    """Serve on port 8080 until interrupted."""
    match argv:
        case ["aiohttp"]:
            web.run_app(aiohttp_app(), port=8080)
        case ["starlette"]:
            import uvicorn

            uvicorn.run(starlette_app(), port=8080)
        case _:
            print(__doc__)
            return 2

    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
