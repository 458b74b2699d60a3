"""dd-ray: the DeepDetect REST API on a Ray cluster."""

__version__ = "0.1.0"
