"""TorchScript that does more than compute, and files that are pickles."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dd_ray.errors import ApiError, BadParameter, Forbidden, LibraryError
from dd_ray.mllibs.torch.files import load_traced, read_file, read_weights
from dd_ray.mllibs.torch.mllib import Caffe, Torch
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.mllibs.torch.script_check import check_script, forbidden_operator
from dd_ray.repository import Repository
from tests.conftest import SetSettings

VICTIM = "/tmp/dd-ray-victim-of-a-test"
"""In the code of the models below, where TorchScript wants a constant."""


class WritesWhenLoaded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.number = 1

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return self.number, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = state[1]
        mapped = torch.from_file("/tmp/dd-ray-victim-of-a-test", True, 4, dtype=torch.uint8)
        self.number = int(mapped.fill_(65).sum().item())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.number


class WritesWhenCalled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mapped = torch.from_file("/tmp/dd-ray-victim-of-a-test", True, 4, dtype=torch.uint8)
        return x + mapped.fill_(65).sum()


class Saves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "/tmp/dd-ray-victim-of-a-test")
        return x


@pytest.fixture
def victim() -> Any:
    path = Path(VICTIM)
    path.write_text("....")
    yield path
    path.unlink()


def scripted(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), str(path))
    return path


@pytest.mark.parametrize("module", [WritesWhenLoaded, WritesWhenCalled, Saves])
def test_a_model_that_touches_files_is_not_loaded(
    module: type[nn.Module], tmp_path: Path, victim: Path
) -> None:
    path = scripted(module(), tmp_path / "m.pt")
    victim.write_text("....")  # making the model may have run it
    with pytest.raises(LibraryError, match=r"its code .* calls (from_file|save), expected"):
        load_traced(path, torch.device("cpu"))
    assert victim.read_text() == "...."


def test_the_guard_is_needed(tmp_path: Path, victim: Path) -> None:
    """Should torch.jit.load stop to run such code, this says so."""
    path = scripted(WritesWhenLoaded(), tmp_path / "m.pt")
    victim.write_text("....")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    assert victim.read_text() == "AAAA"


def test_a_model_that_computes_is_loaded(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    check_script(scripted(module, tmp_path / "m.pt"))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("return torch.add(x, y)", None),
        ("_0 = __torch__.torchvision.ops.misc.___torch_mangle_4.forward", None),
        ("_0 = ops.prim.NumToTensor(torch.size(x, 0))", None),
        ("_0 = ops.quantized.linear_dynamic(x, w)", None),
        ("_0 = ops.torchvision.nms(a, b, 0.5)", None),
        ("_0 = ops.aten.from_file(a)", "from_file"),
        ("_0 = (torch . # here\n from_file # there\n (a))", "from_file"),
        ("_0 = ops . c10d . send(x)", "ops.c10d"),
        ("_0 = ops.symm_mem.nvshmem_get(x)", "ops.symm_mem"),
        ("_0 = ops.inductor._reinterpret_tensor(x, a, b, 0)", "ops.inductor"),
        ("_0 = torch.save(x, a)", "save"),
        ("_0 = 'unclosed\n_1 = torch.save(x, a)", "save"),
        ("def save(self: X) -> Tensor:\n  return x", None),
        ("x = 'please save this'  # save", None),
        ("save", "save"),
        ("", None),
    ],
)
def test_code(code: str, found: str | None) -> None:
    assert forbidden_operator(code) == found


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"not a zip file" * 10])
def test_what_is_no_torchscript_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(LibraryError, match="cannot read"):
        load_traced(tmp_path / "m.pt", torch.device("cpu"))


class Evil:
    """What pickle runs when it reads this."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {VICTIM}-ran",)


def pickles(folder: Path) -> dict[str, Path]:
    """Files that run code when they are unpickled, as torch writes them and plain."""
    torch.save({"w": Evil()}, folder / "zip.npt")
    torch.save({"w": Evil()}, folder / "old.npt", _use_new_zipfile_serialization=False)
    (folder / "plain.npt").write_bytes(pickle.dumps(Evil(), protocol=2))
    return {path.stem: path for path in folder.glob("*.npt")}


@pytest.mark.parametrize("kind", ["zip", "old", "plain"])
@pytest.mark.parametrize("ending", [".npt", ".pt", ".safetensors", ".caffemodel"])
def test_weights_run_no_code(kind: str, ending: str, tmp_path: Path) -> None:
    path = pickles(tmp_path)[kind].rename(tmp_path / f"w{ending}")
    for reader in (read_weights,) if ending == ".safetensors" else (read_weights, read_file):
        with pytest.raises(BadParameter):
            reader(path)
    with pytest.raises(LibraryError):
        load_traced(path, torch.device("cpu"))
    assert not Path(f"{VICTIM}-ran").exists()


@pytest.mark.parametrize(
    ("library", "name"),
    [
        (Torch, "checkpoint-1.npt"),
        (Torch, "mine.pt"),
        (Torch, "checkpoint-1.pt"),
        (Caffe, "model_iter_1.caffemodel"),
    ],
)
def test_a_repository_runs_no_code(library: Any, name: str, tmp_path: Path) -> None:
    for kind in ("zip", "old", "plain"):
        folder = tmp_path / kind
        folder.mkdir()
        pickles(folder)[kind].rename(folder / name)
        for path in folder.glob("*.npt"):
            if path.name != name:
                path.unlink()
        (folder / "network.json").write_text('{"template":"mlp","shape":[2],"outputs":2}')
        with pytest.raises((ApiError, ValueError)):
            library.load(Repository(folder), TorchParams.merge({"nclasses": 2}))
    assert not Path(f"{VICTIM}-ran").exists()


def test_weights_outside_of_the_roots_are_not_read(
    tmp_path: Path, set_settings: SetSettings
) -> None:
    for name in ("root", "outside"):
        (tmp_path / name / "r").mkdir(parents=True)
        torch.save({"w": torch.zeros(1)}, tmp_path / name / "r" / "w.pt")
    set_settings(roots=tmp_path / "root")
    repository = Repository(tmp_path / "root" / "r")
    outside = tmp_path / "outside" / "r" / "w.pt"
    (repository.path / "link.pt").symlink_to(outside)
    for weights in (str(outside), "../../outside/r/w.pt", "../../outside/none", "link.pt"):
        with pytest.raises(Forbidden):
            TorchParams.merge({"weights": weights}).weights_path(repository)
    for path in (outside, repository.path / "link.pt"):
        for reader in (read_weights, read_file):
            with pytest.raises(Forbidden):
                reader(path)
        with pytest.raises(Forbidden):
            load_traced(path, torch.device("cpu"))
    with pytest.raises(Forbidden):
        read_weights(outside.with_suffix(".safetensors"))
    assert TorchParams.merge({"weights": "w.pt"}).weights_path(repository)


@pytest.mark.parametrize("prefix", ["/outside/x", "../../x", "a/b/../x", "x"])
def test_snapshot_prefixes_are_names(prefix: str) -> None:
    assert Caffe.files(prefix).weights.name(1) == "x_iter_1.caffemodel"
