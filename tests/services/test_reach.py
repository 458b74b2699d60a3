"""Whether all machines see a repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dd_ray.errors import BadParameter
from dd_ray.services.reach import check, marked, why_not
from tests.buckets import Bucket
from tests.conftest import SetSettings


def test_a_machine_with_the_same_folder_sees_the_mark_and_leaves_nothing(tmp_path: Path) -> None:
    with marked(str(tmp_path)) as mark:
        assert [path.name for path in tmp_path.iterdir()] == [mark.name]
        assert why_not(mark) == ""
        assert [path.name for path in tmp_path.iterdir()] == [mark.name]
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_it_says_so(tmp_path: Path, set_settings: SetSettings) -> None:
    (tmp_path / "other").mkdir()
    with marked(str(tmp_path)) as mark:
        for name in ("other", "none"):
            elsewhere = replace(mark, repository=str(tmp_path / name))
            assert why_not(elsewhere) == "it has another folder there, or none"
    set_settings(roots=tmp_path / "other")
    assert "DD_RAY_ROOTS" in why_not(mark)


def test_a_bucket_is_asked_itself(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with marked(f"{bucket.url}/m") as mark:
        assert why_not(mark) == ""
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        assert "no answer from the host" in why_not(mark)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.env["AWS_ENDPOINT_URL_S3"])
    assert bucket.names() == []


def test_the_machines_that_cannot_are_named() -> None:
    check("/data/m", [("10.0.0.1 (a)", ""), ("10.0.0.2 (b)", "")])
    with pytest.raises(BadParameter) as caught:
        check("/data/m", [("10.0.0.2 (b)", "x"), ("10.0.0.3 (c)", "y"), ("10.0.0.3 (c)", "")])
    assert caught.value.message == (
        "model.repository: node 10.0.0.2 (b) cannot use /data/m (x); node 10.0.0.3 (c) cannot use"
        " /data/m (y): expected a folder on a file system that all nodes have, or an s3:// or"
        " gs:// URL"
    )
