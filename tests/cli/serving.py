"""An ASGI app behind a real port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from dd_ray.cluster.flags import free_port


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The URL of a server in a thread."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    started = threading.Event()

    class Started(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Started(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
