"""The table of input connectors."""

from __future__ import annotations

from dd_ray.connectors.csv import CsvParams
from dd_ray.connectors.image import ImageParams
from dd_ray.connectors.spec import ConnectorSpec
from dd_ray.connectors.svm import SvmParams
from dd_ray.errors import ConnectorNotFound
from dd_ray.registry import Registry

CONNECTORS = Registry(
    [
        ConnectorSpec(
            name="image",
            description="Images: class folders and list files, paths, URLs, base64",
            params=ImageParams,
            implementation="dd_ray.connectors.image:IMAGE",
        ),
        ConnectorSpec(
            name="csv",
            description="Tables from CSV files or lines",
            params=CsvParams,
            implementation="dd_ray.connectors.csv:CSV",
        ),
        ConnectorSpec(
            name="svm",
            description="Sparse data in libSVM's format, from files or lines",
            params=SvmParams,
            implementation="dd_ray.connectors.svm:SVM",
        ),
    ],
    missing=ConnectorNotFound,
)
