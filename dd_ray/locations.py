"""What a text of a call names: a path, or objects in a bucket (`s3://`, `gs://`)."""

from __future__ import annotations

SCHEMES = ("s3", "gs")

_BEGINNINGS = tuple(f"{scheme}://" for scheme in SCHEMES)


def in_bucket(text: str) -> bool:
    """Whether a text is the URL of an object, or of all that lie under a prefix.

    >>> in_bucket("s3://bucket/iris.csv"), in_bucket("/data/iris.csv")
    (True, False)
    """
    return text.startswith(_BEGINNINGS)


def bucket_url(text: str) -> str:
    """The one way to write the URL of an object or prefix; raises ValueError saying what is wrong.

    >>> bucket_url("s3://bucket//models/wine/")
    's3://bucket/models/wine'
    """
    scheme, _, rest = text.partition("://")
    parts = [part for part in rest.split("/") if part]
    if not parts or rest.startswith("/"):
        raise ValueError(f"expected {scheme}://BUCKET/PREFIX")
    if "." in parts or ".." in parts:
        raise ValueError("a part of it is . or .., which lead nowhere in a bucket")
    if not text.isprintable():
        raise ValueError("it holds characters that cannot be printed")
    return f"{scheme}://{'/'.join(parts)}"


def join(url: str, name: str) -> str:
    """The URL of an object under another; a name that is itself a URL stays.

    >>> join("s3://b/set", "cats/1.png"), join("s3://b/set", "s3://other/1.png")
    ('s3://b/set/cats/1.png', 's3://other/1.png')
    """
    return name if in_bucket(name) else f"{url.rstrip('/')}/{name}"


def as_path(text: str) -> str:
    """A path, also where it was written as `file:///path`.

    >>> as_path("file:///data/iris.csv"), as_path("iris.csv")
    ('/data/iris.csv', 'iris.csv')
    """
    return text.removeprefix("file://") if text.startswith("file:///") else text
