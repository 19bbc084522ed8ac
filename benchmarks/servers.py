"""The load server: another process that answers every call with the same text.

nginx with its echo module answers faster than one Python process can ask, so it is never what is
measured. Where it is not installed the project's own sandbox server stands in; it is slower than
what it is asked by, and the output says so.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from dspex.sandbox import MODEL_ID, Latency, SandboxServer, Script

__all__ = ("ANSWER", "LoadServer", "find_nginx", "load_server", "server_words")

ANSWER: Final = "4"
"""What every call is answered, as the field `answer`."""

_TEXT: Final = (
    "[[ ## reasoning ## ]]\nTwo and two make four.\n\n"
    f"[[ ## answer ## ]]\n{ANSWER}\n\n[[ ## completed ## ]]"
)

_MODULES: Final = (Path("/usr/lib/nginx/modules"), Path("/usr/share/nginx/modules"))
_START_S: Final = 5.0
_STOP_S: Final = 5.0
_FILES: Final = 20_000

_CONFIG: Final = """
load_module {module};
daemon off;
master_process off;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_buffer_size 64k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  server {{
    listen 127.0.0.1:{port}{ssl} backlog=65535;
{tls}{locations}
  }}
}}
"""


_TLS: Final = """\
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_session_cache off;
"""


@dataclass(frozen=True, slots=True)
class LoadServer:
    """A running server: the model to ask for, and a base URL for each latency."""

    model: str
    base_urls: Mapping[float, str]

    def base_url(self, latency_s: float) -> str:
        """Return the URL that "/chat/completions" is appended to."""
        return self.base_urls[latency_s]


def find_nginx() -> tuple[str, Path] | None:
    """Return the program and its echo module, if both are installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    modules = (folder / "ngx_http_echo_module.so" for folder in _MODULES)
    module = next((path for path in modules if path.exists()), None)
    return None if program is None or module is None else (program, module)


def server_words() -> str:
    """Return which server will be used, for the report."""
    if find_nginx() is not None:
        return "nginx + echo module, a process of its own"

    return "dspex.sandbox, a process of its own: FIGURES INCLUDE A SLOW SERVER"


@asynccontextmanager
async def load_server(
    latencies_s: Iterable[float], *, tls: bool = False
) -> AsyncIterator[LoadServer]:
    """Run the best server there is, with a base URL for each of the latencies.

    With `tls` it has a certificate of its own making, which only nginx can show.
    """
    found = find_nginx()
    if found is None and tls:
        raise RuntimeError("TLS is measured against nginx with its echo module: install both")

    start = _sandbox(latencies_s) if found is None else _nginx(*found, latencies_s, tls=tls)
    async with start as server:
        yield server


@asynccontextmanager
async def _sandbox(latencies_s: Iterable[float]) -> AsyncIterator[LoadServer]:
    async with AsyncExitStack() as stack:
        base_urls: dict[float, str] = {}
        for latency_s in latencies_s:
            script = Script(answer=_TEXT, latency=Latency(median_s=latency_s))
            server = await stack.enter_async_context(SandboxServer.start(script=script))
            base_urls[latency_s] = server.base_url

        yield LoadServer(MODEL_ID, base_urls)


@asynccontextmanager
async def _nginx(
    program: str, module: Path, latencies_s: Iterable[float], *, tls: bool
) -> AsyncIterator[LoadServer]:
    port = _free_port()
    names = {latency_s: f"/s{index}/v1" for index, latency_s in enumerate(latencies_s)}
    with tempfile.TemporaryDirectory(prefix="dspex-nginx-") as name:
        folder = Path(name)
        config = folder / "nginx.conf"
        if tls:
            await _make_certificate(folder)

        config.write_text(_nginx_config(module, folder, port, names, tls=tls))
        process = await asyncio.create_subprocess_exec(
            program, "-p", name, "-e", f"{name}/error.log", "-c", str(config)
        )
        try:
            await _listening(process, port, folder / "error.log")
            root = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            base_urls = {s: f"{root}{path}" for s, path in names.items()}
            yield LoadServer("fixed-answer", base_urls)
        finally:
            await _stop(process)


async def _make_certificate(folder: Path) -> None:
    """Write a self-signed certificate and its key."""
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *options.split(),
        *("-subj", "/CN=127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    if await process.wait() != 0:
        raise RuntimeError("openssl made no certificate")


def _nginx_config(
    module: Path, folder: Path, port: int, names: Mapping[float, str], *, tls: bool
) -> str:
    locations = "\n".join(_location(path, latency_s) for latency_s, path in names.items())
    return _CONFIG.format(
        module=module,
        files=_FILES,
        connections=_FILES - 100,
        folder=folder,
        port=port,
        tls=_TLS.format(folder=folder) if tls else "",
        ssl=" ssl" if tls else "",
        locations=locations,
    )


def _location(path: str, latency_s: float) -> str:
    sleep = f"echo_sleep {latency_s:.3f}; " if latency_s else ""
    # In nginx's own quotes a backslash escapes, so those of the JSON are doubled.
    body = _answer_body().replace("\\", "\\\\").replace("'", "\\'")
    return f"    location = {path}/chat/completions {{ {sleep}echo '{body}'; }}"


def _answer_body() -> str:
    answer = {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "fixed-answer",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _TEXT},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 200, "completion_tokens": 30, "total_tokens": 230},
    }
    return orjson.dumps(answer).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """Return when the server accepts connections; raise if it ends or takes too long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_S
    while process.returncode is None and loop.time() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            await writer.wait_closed()
            return

    raise RuntimeError(f"nginx did not start (exit code {process.returncode}): {_said(log)!r}")


def _said(log: Path) -> str:
    return log.read_text() if log.exists() else "it said nothing"


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return

    process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
