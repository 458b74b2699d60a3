"""`parameters.mllib` of `caffe` and `caffe2`: the same engine behind their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from dd_ray.errors import BadParameter
from dd_ray.mllibs.torch.caffe_files import CAFFE_ONLY, holds_caffe_only, is_ours
from dd_ray.mllibs.torch.description import has_files
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.params import Int
from dd_ray.repository import NETWORK, Repository

CAFFE_LOSSES = {
    "": "euclidean",
    "l1": "smooth_l1",
    "l2": "euclidean",
    "euclidean": "euclidean",
    "sigmoid": "sigmoid",
}


class CaffeParams(TorchParams):
    """`parameters.mllib` of `caffe`: the same engine behind Caffe's parameters and file names."""

    losses: ClassVar[Mapping[str, str]] = CAFFE_LOSSES

    db: bool = Field(
        False, description="Accepted: images are read from their files, tables have input.db"
    )
    engine: Literal["DEFAULT", "CAFFE", "CUDNN", "CUDNN_SINGLE_HANDLE", "CUDNN_MIN_MEMORY"] = Field(
        "DEFAULT", description="Engine of Caffe; accepted, without effect"
    )
    timesteps: Int = Field(0, ge=0, description="Of recurrent networks; not supported yet")
    offset: Int = Field(0, ge=0, description="Of recurrent networks; not supported yet")
    ssd_expand_prob: float = Field(0.0, description="Of object detection; not supported yet")
    ssd_max_expand_ratio: float = Field(0.0, description="Of object detection; not supported yet")
    ssd_mining_type: str = Field("", description="Of object detection; not supported yet")
    ssd_neg_pos_ratio: float = Field(0.0, description="Of object detection; not supported yet")
    ssd_neg_overlap: float = Field(0.0, description="Of object detection; not supported yet")
    ssd_keep_top_k: float = Field(0.0, description="Of object detection; not supported yet")

    def check_creation(self, repository: Repository, *, type: str) -> None:
        if self.loss.startswith("dice"):
            raise BadParameter("asked for  dice loss without segmentation")
        super().check_creation(repository, type=type)

    def check_network(self, repository: Repository) -> None:
        """As in DeepDetect, a missing network is no error before it is needed."""
        check_caffe_network(self, repository)

    def meaningless(self) -> tuple[str, ...]:
        return (*super().meaningless(), "db", "engine", "timesteps", "offset", *_SSD)


_SSD = tuple(name for name in CaffeParams.model_fields if name.startswith("ssd_"))


class Caffe2Params(TorchParams):
    """`parameters.mllib` of `caffe2`: the same engine behind Caffe2's name."""

    losses: ClassVar[Mapping[str, str]] = CAFFE_LOSSES


def check_caffe_network(params: TorchParams, repository: Repository) -> None:
    """Raises BadParameter for what only Caffe can read, and for a finetuning of nothing."""
    weights = params.weights_path(repository)
    if weights is not None and weights.suffix == ".caffemodel" and not is_ours(weights):
        raise BadParameter(f"{weights}: {CAFFE_ONLY}")
    if not params.template and not has_files(repository, NETWORK) and holds_caffe_only(repository):
        raise BadParameter(f"{repository.path} holds {CAFFE_ONLY}")
    if params.finetuning and weights is None and not has_files(repository, ".caffemodel"):
        raise BadParameter("finetuning requires specifying an existing weights file")
