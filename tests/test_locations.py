"""Texts that name paths or objects in buckets."""

from __future__ import annotations

import pytest

from dd_ray.locations import bucket_url


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///key", "s3://b/a/../c", "s3://b/./c", "s3://b/a\nb", "gs://b/\0"]
)
def test_what_is_no_url_of_a_bucket(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|lead nowhere|cannot be printed"):
        bucket_url(text)
