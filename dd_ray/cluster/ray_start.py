"""Starting Ray or joining the Ray that is there."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import ray
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray._private.grpc_utils import init_grpc_channel
from ray.exceptions import AuthenticationError

from dd_ray.cluster.exposure import check_ray, check_same_key, close_own_ray, key_digest
from dd_ray.cluster.flags import NAMESPACE, serve_flags, set_serve_flags, short_temporary_folder
from dd_ray.cluster.own_ray import own_flags, without_unused_parts
from dd_ray.cluster.start_error import StartError

logger = logging.getLogger(__name__)

_CURRENT_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # noqa: S108  # written by `ray start`
_PROBE_S = 3

LOCAL = "local"
"""Stands for a Ray of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """The Ray this process is connected to."""

    address: str
    owned: bool
    """Whether this process started it and ends it."""
    folder: str | None = None
    """Where a Ray of our own keeps its files."""

    def stop(self) -> None:
        """Disconnects; ends a Ray of our own with all its processes and files."""
        if not self.owned:
            ray.shutdown()
            return
        processes = psutil.Process().children(recursive=True)
        ray.shutdown()
        _end(processes)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def find(address: str) -> str:
    """The address that `auto` stands for: the Ray of RAY_ADDRESS, of this machine, or LOCAL."""
    if address != "auto":
        return address
    return os.environ.get("RAY_ADDRESS") or _running_here() or LOCAL


def connect(address: str, *, insecure: bool = False) -> Ray:
    """Joins the Ray at `address`, or starts one for LOCAL. Raises StartError.

    Refuses to start one without token authentication, unless `insecure`.
    """
    if address == LOCAL:
        return _start(insecure=insecure)
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)  # as for a Ray of our own
    _check_answers(address)
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as exc:
        raise StartError(f"cannot join the Ray at {address}: {exc}") from exc
    return Ray(address=address, owned=False)


def check_joined(address: str, *, insecure: bool) -> None:
    """Raises StartError for a Ray that was started without our flags, our key, or its token."""
    environment, digest = ray.get(ray.remote(num_cpus=0)(_environment).remote())
    missing = serve_flags(environment)
    if insecure:
        missing.pop("RAY_AUTH_MODE", None)
    if missing:
        raise StartError(
            f"the Ray at {address} was started without the flags that dd-ray needs:"
            " start it again with these in the environment of every node: "
            + " ".join(f"{name}={value}" for name, value in sorted(missing.items()))
        )
    check_same_key(digest)
    if not insecure:
        check_ray(environment, f"the Ray at {address}")


def _start(*, insecure: bool) -> Ray:
    set_serve_flags()
    os.environ.update(own_flags(os.environ))
    folder = short_temporary_folder()
    try:
        close_own_ray(folder)
        if not insecure:
            check_ray(os.environ, "a Ray of our own")
        with without_unused_parts():
            context = ray.init(
                address="local",
                namespace=NAMESPACE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                # Ray lets everybody into its folder: it gets one inside of one that is ours alone
                _temp_dir=f"{folder}/r",
            )
    except StartError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except Exception as exc:  # Ray raises whatever its processes died of
        shutil.rmtree(folder, ignore_errors=True)
        raise StartError(f"Ray did not start: {exc}") from exc
    return Ray(address=context.address_info["gcs_address"], owned=True, folder=folder)


def _running_here() -> str | None:
    """The address that `ray start` left on this machine, if something listens there."""
    try:
        address = _CURRENT_CLUSTER.read_text().strip()
    except OSError:
        return None
    if not address or not _listens(address):
        return None  # left behind by a Ray that was killed
    return address


def _check_answers(address: str) -> None:
    if "://" in address:
        return  # a Ray client address, which ray.init checks itself
    if not _listens(address):
        raise StartError(f"no Ray at {address}: nothing listens there")
    with init_grpc_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_PROBE_S)
        except grpc.FutureTimeoutError:
            healthy = False
        else:
            healthy = True
    if not healthy:
        raise StartError(
            f"the Ray at {address} does not answer, it may be starting or ending:"
            " wait, or end it with `ray stop`"
        )


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S):
            return True
    except (OSError, ValueError):
        return False


def _environment() -> tuple[dict[str, str], str]:
    """Of a process of the Ray: its environment, and the digest of its key."""
    return dict(os.environ), key_digest()


def _end(processes: list[psutil.Process]) -> None:
    """Makes sure that none of the processes is left."""
    _, alive = psutil.wait_procs(processes, timeout=3)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=3)
