"""Archives made for tests, good ones and others."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

FILES = {"model.json": b"{}", "sub/weights.pt": b"\0" * 1000}


def tar(path: Path, files: dict[str, bytes] = FILES, **members: dict[str, Any]) -> Path:
    """A tar file, compressed as its name says; `members` are others, by attributes of TarInfo."""
    kind = path.suffix.lstrip(".")
    with tarfile.open(path, f"w:{kind}" if kind in ("gz", "bz2", "xz") else "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, attributes in members.items():
            entry = tarfile.TarInfo(name)
            for key, value in attributes.items():
                setattr(entry, key, value)
            archive.addfile(entry)
    return path


def zipped(
    path: Path, files: dict[str, bytes] = FILES, modes: dict[str, int] | None = None
) -> Path:
    """A zip file; `modes` are Unix file types by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (modes or {}).get(name, 0o100644) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path
