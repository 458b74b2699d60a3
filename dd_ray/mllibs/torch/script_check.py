"""Looking at TorchScript before it runs: a model computes, it does not touch files.

`torch.jit.load` runs code of the file (`__setstate__`), and that code has operators that read and
overwrite any file of the server's user. The file is read here with the reader that loads it, so
that both see the same code.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dd_ray.errors import LibraryError

_NAMESPACES = frozenset({"aten", "prim", "quantized", "torchvision"})
"""Operators outside these reach memory, devices and other machines. In `aten` are two that touch
files: `from_file` maps one, `save` writes one.
"""

_MOST_CODE = 64 * 2**20


def check_script(path: Path) -> None:
    """Raises LibraryError for a TorchScript file whose code calls what a model has no use for."""
    for record, code in _code(path):
        found = forbidden_operator(code)
        if found is not None:
            raise LibraryError(
                f"cannot read {path} as a TorchScript model: its code ({record}) calls {found},"
                " expected operators that compute"
            )


def forbidden_operator(code: str) -> str | None:
    """The first operator that TorchScript code has no use for, None when there is none.

    >>> forbidden_operator("y = torch.from_file('/etc/passwd', False, 4)")
    'from_file'
    >>> forbidden_operator("y = ops.c10d.send(x)"), forbidden_operator("ops.prim.NumToTensor(3)")
    ('ops.c10d', None)
    """
    if "from_file" in code:  # in whatever place: readers may differ in what is a comment
        return "from_file"
    words = _words(code)
    around = ["", *words, "", ""]
    for i, word in enumerate(words):
        before, _, dot, after = around[i : i + 4]
        if word == "save" and before != "def":
            return word
        # `__torch__.torchvision.ops.misc` is the name of a class
        if word == "ops" and before != "." and dot == "." and after not in _NAMESPACES:
            return f"ops.{after}"
    return None


def _words(code: str) -> list[str]:
    """Names and dots without comments and line breaks; all of them where Python cannot tell."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError):
        return re.findall(r"\w+|\.", code)
    return [t.string for t in tokens if t.type == tokenize.NAME or t.string == "."]


def _code(path: Path) -> Iterator[tuple[str, str]]:
    """The records of a TorchScript file that hold code."""
    try:
        reader: Any = torch._C.PyTorchFileReader(str(path))
        records = list(reader.get_all_records())
    except RuntimeError as exc:
        raise LibraryError(
            f"cannot read {path} as a TorchScript model: {str(exc).splitlines()[0][:200]}"
        ) from exc
    if "model.json" in records:
        raise LibraryError(f"cannot read {path}: TorchScript from before PyTorch 1.0")
    left = _MOST_CODE
    for record in records:
        if record.startswith("code/") and not record.endswith(".debug_pkl"):
            code = reader.get_record(record)
            left -= len(code)
            if left < 0:
                raise LibraryError(f"cannot read {path}: more than {_MOST_CODE} bytes of code")
            yield record, code.decode("utf-8", "replace")
