"""`parameters.output` of train and predict calls."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dd_ray.params import Int, Params


class NetworkParams(Params):
    """`parameters.output.network`: where to send the answer instead of the caller."""

    where: ClassVar[str] = "parameters.output.network"

    url: str = Field("", description="URL of the remote service, e.g. http://localhost:9200")
    http_method: str = Field("POST", description="HTTP method: POST, PUT, PATCH, GET or DELETE")
    content_type: str = Field(
        "Content-Type: application/json", description="Content type as an HTTP header line"
    )


class OutputParams(Params):
    """`parameters.output` of every service."""

    where: ClassVar[str] = "parameters.output"

    best: Int = Field(
        1, ge=-1, description="Number of top predictions returned by data URI, -1 for all"
    )
    confidence_threshold: float = Field(
        0.0,
        description="Only return classifications with a probability strictly above it; 0 for all",
    )
    measure: list[str] = Field(
        default_factory=list,
        description="Measures to compute: acc, acc-k, f1, f1full, mcll, auc, cmdiag, cmfull, mcc,"
        " gini, eucll, l1, percent, kl, js, was, ks, dc, r2, deltas, raw",
    )
    template: str = Field("", description="Output template in Mustache format")
    network: NetworkParams | None = Field(
        None, description="Where to push the output instead of answering it"
    )
    measure_hist: bool = Field(
        False, description="Whether to return the history of measures with the training's report"
    )
    max_hist_points: Int = Field(
        10000, description="Most points of a measure's history, 0 and less for all"
    )
    target_repository: str = Field(
        "", description="Folder to which the model files are copied once training has completed"
    )
    binarized: bool = Field(
        False, description="Whether values of an `unsupervised` service become 0.0 and 1.0"
    )
    bool_binarized: bool = Field(
        False, description="Whether values of an `unsupervised` service become booleans"
    )
    string_binarized: bool = Field(
        False, description="Whether values of an `unsupervised` service become text such as 0110"
    )
    logits_blob: str = Field(
        "", description="Adds the raw logits of all classes, whichever layer is named"
    )
    logits: bool = Field(False, description="Whether to add the raw logits of all classes")
    regression: bool = Field(
        False, description="Accepted: the service knows whether it is a regression"
    )
    store_config: bool = Field(
        False, description="Whether to keep the creation call as config.json in the repository"
    )
