"""The port that clients call: taking it, and waiting until somebody answers there."""

from __future__ import annotations

import socket
import time

import httpx

from dd_ray.cluster.start_error import StartError
from dd_ray.settings import settings

_READY_S = 30.0
_POLL_S = 0.05


def take(host: str, port: int) -> socket.socket:
    """A socket that listens there and accepts nobody yet. Raises StartError.

    It listens at once because another that is bound as well could begin to before us.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()
    except OSError as exc:
        bound.close()
        reason = exc.strerror or str(exc)
        raise StartError(f"cannot listen on {host}:{port}: {reason.lower()}") from exc
    except OverflowError as exc:
        bound.close()
        raise StartError(f"port {port}, expected 1 to 65535") from exc
    return bound


def await_answer(host: str, port: int) -> None:
    """Waits until the API answers there; raises StartError."""
    target = "127.0.0.1" if host in ("0.0.0.0", "") else shown(host)  # noqa: S104
    key = settings().api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"http://{target}:{port}/info", headers=headers, timeout=5)
            if answer.status_code == 200:
                return
        except (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError):
            pass
        time.sleep(_POLL_S)
    raise StartError(f"no answer on {host}:{port} after {_READY_S:.0f} s, see Ray's logs")


def shown(host: str) -> str:
    """A host as it stands in a URL.

    >>> shown("::1"), shown("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host
