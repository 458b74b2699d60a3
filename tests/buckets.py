"""A bucket on an S3 server of this machine."""

from __future__ import annotations

from typing import Any

KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Bucket:
    """What a test puts into a bucket beside the server that it tests, and finds there."""

    def __init__(self, endpoint: str, name: str) -> None:
        from pyarrow.fs import S3FileSystem

        self.env = {**KEYS, "AWS_ENDPOINT_URL_S3": endpoint}
        self.url = f"s3://{name}"
        self._name = name
        self._files: Any = S3FileSystem(
            access_key=KEYS["AWS_ACCESS_KEY_ID"],
            secret_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region=KEYS["AWS_REGION"],
            scheme="http",
            endpoint_override=endpoint.removeprefix("http://"),
            allow_bucket_creation=True,
        )
        self._files.create_dir(name)

    def put(self, name: str, content: str | bytes) -> str:
        """Makes an object and returns its URL."""
        with self._files.open_output_stream(f"{self._name}/{name}") as target:
            target.write(content.encode() if isinstance(content, str) else content)
        return f"{self.url}/{name}"

    def put_as_it_is(self, name: str) -> None:
        """Makes an empty object whose name no file system would take."""
        import boto3

        client = boto3.client("s3", endpoint_url=self.env["AWS_ENDPOINT_URL_S3"])
        client.put_object(Bucket=self._name, Key=name, Body=b"")

    def get(self, name: str) -> bytes:
        with self._files.open_input_stream(f"{self._name}/{name}") as source:
            content: bytes = source.read()
        return content

    def names(self, under: str = "") -> list[str]:
        """Names of the objects under a prefix, relative to the bucket."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(f"{self._name}/{under}", recursive=True, allow_not_found=True)
        found = self._files.get_file_info(selector)
        return sorted(
            info.path.removeprefix(f"{self._name}/") for info in found if info.type == FileType.File
        )
