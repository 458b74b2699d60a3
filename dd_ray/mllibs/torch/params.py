"""`parameters.mllib` of `torch`, under DeepDetect's names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from dd_ray.errors import BadInput, BadParameter
from dd_ray.guard.paths import check
from dd_ray.locations import in_bucket
from dd_ray.mllibs.torch.augment_params import AugmentationFields
from dd_ray.mllibs.torch.description import has_files
from dd_ray.mllibs.torch.net_params import (
    Layers,
    LowerActivation,
    NetParams,
    Rates,
    TemplateParams,
    lower,
)
from dd_ray.mllibs.torch.solver_params import SolverParams
from dd_ray.mllibs.torch.task import Task
from dd_ray.params import Int
from dd_ray.repository import NETWORK, Repository
from dd_ray.templates.spec import Options, TemplateSpec
from dd_ray.templates.table import TEMPLATES

logger = logging.getLogger(__name__)


class TorchParams(AugmentationFields):
    """`parameters.mllib` of `torch`."""

    losses: ClassVar[Mapping[str, str]] = {
        "": "l1",
        "l1": "l1",
        "l2": "mse",
        "eucl": "mse",
        "euclidean": "mse",
        "sigmoid": "sigmoid",
    }
    """Losses of a regression by the name that a call may use, in lower case."""

    nclasses: Int = Field(0, ge=0, description="Number of output classes (classification)")
    ntargets: Int = Field(0, ge=0, description="Number of regression targets")
    regression: bool = Field(False, description="Whether the model is a regressor")
    autoencoder: bool = Field(
        False, description="Whether the network is an autoencoder (`mlp` and `convnet`)"
    )
    gpu: bool = Field(False, description="Whether to use a GPU; on a CPU where there is none")
    gpuid: Int | list[Int] = Field(
        0, description="GPU id: an int for one, -1 for all, an array to choose several"
    )
    template: str = Field(
        "", description=f"Neural network template, from {', '.join(TEMPLATES.names())}"
    )
    template_params: TemplateParams = Field(
        default_factory=lambda: TemplateParams.model_validate({}),
        description="Parameters of the template",
    )
    layers: Layers | None = Field(
        None,
        description="Neurons of each layer (`mlp`, default [50]), or layers as text (`convnet`):"
        " XCRY for X convolutions of Y filters with a max pooling, DRY for deconvolutions of an"
        " autoencoder, an int for a fully connected layer",
    )
    activation: LowerActivation | None = Field(
        None, description="Unit activation (`mlp` and `convnet`), default relu"
    )
    dropout: Rates | None = Field(
        None, description="Dropout rate, one or one a layer; default 0 in `mlp`, 0.5 in `convnet`"
    )
    bn: bool | None = Field(
        None, description="Whether to normalize batches (`mlp` and `convnet`), default false"
    )
    loss: Annotated[str, BeforeValidator(lower, json_schema_input_type=str)] = Field(
        "", description="Loss of a regression: L1, L2 or sigmoid; default L1, for caffe L2"
    )
    finetuning: bool = Field(
        False,
        description="Whether to start from weights in the repository and to make the last layer"
        " anew; requires a file of weights",
    )
    freeze_traced: bool = Field(
        False, description="Whether only the last layer learns, on top of the weights given"
    )
    class_weights: list[Annotated[float, Field(ge=0)]] | None = Field(
        None, description="Weight of each class in the loss, e.g. [1.0,0.1,1.0]"
    )
    ignore_label: Int | None = Field(None, ge=0, description="A label that the loss ignores")
    scaling_temperature: float = Field(
        1.0, gt=0, description="Softmax temperature: probabilities are softmax(logits / T)"
    )
    resume: bool = Field(False, description="Whether to resume training from the solver state")
    forward_method: str = Field(
        "", description="Method of a TorchScript model to call instead of forward"
    )
    extract_layer: str = Field(
        "", description="Layer to answer with instead of predictions (`unsupervised` services)"
    )
    seed: Int = Field(
        -1, description="Seed of initial weights, order and augmentation, -1 for random"
    )
    weights: str = Field(
        "", description="File in the repository with weights to start from; also model.weights"
    )
    solver: SolverParams = Field(
        default_factory=lambda: SolverParams.model_validate({}), description="The solver"
    )
    net: NetParams = Field(
        default_factory=lambda: NetParams.model_validate({}), description="Batch sizes"
    )
    self_supervised: str = Field("", description="Of language models; not supported yet")
    embedding_size: Int = Field(768, description="Of language models; accepted")
    retain_graph: bool = Field(False, description="Accepted; the graph is never needed twice")

    @property
    def class_count(self) -> int:
        """Number of classes; 0 where none are asked for."""
        return self.nclasses or self.template_params.nclasses or 0

    @property
    def task(self) -> Task:
        """What the network learns, as far as parameters tell: multi-label shows in the data."""
        if self.autoencoder:
            return Task.AUTOENCODER
        if self.regression and self.class_count > 1 and not self.ntargets:
            return Task.SOFT_LABELS
        if self.regression or (self.ntargets and not self.class_count):
            return Task.REGRESSION
        return Task.CLASSIFICATION

    def task_on(self, targets_NT: NDArray[np.float64]) -> Task:
        """The task with these targets; raises BadInput when classes are many for one example."""
        task, width = self.task, targets_NT.shape[1]
        if task is not Task.CLASSIFICATION or width == 1:
            return task
        if width != self.class_count:
            raise BadInput(
                f"{width} labels an example, expected one class, or one for each of nclasses"
                f" {self.class_count}"
            )
        return Task.MULTI_LABEL

    def output_count(self, targets_NT: NDArray[np.float64]) -> int:
        """How many outputs the network has."""
        if self.task is Task.REGRESSION:
            return self.ntargets or targets_NT.shape[1]
        return self.class_count

    @property
    def mltype(self) -> str:
        return "regression" if self.task is Task.SOFT_LABELS else self.task.value

    @property
    def classes(self) -> int | None:
        return self.class_count if self.task is Task.CLASSIFICATION else None

    @property
    def gpus(self) -> int:
        """`gpuid` alone asks for GPUs too, as in DeepDetect."""
        if not (self.gpu or self.resources.num_gpus or "gpuid" in self.model_fields_set):
            return 0
        if isinstance(self.gpuid, list):
            return len(self.gpuid)
        return -1 if self.gpuid < 0 else 1

    @property
    def resuming(self) -> bool:
        return self.resume or self.solver.resume

    @property
    def input_defaults(self) -> Mapping[str, Any]:
        """The image size of the template; and that an autoencoder needs no label."""
        spec = self.spec
        size = {"width": spec.width, "height": spec.height} if spec and spec.width else {}
        return size | ({"autoencoder": True} if self.autoencoder else {})

    @property
    def spec(self) -> TemplateSpec | None:
        """The template, None where there is none; raises BadParameter for an unknown one."""
        return TEMPLATES.find(self.template) if self.template else None

    @property
    def options(self) -> Options:
        """What the template is told."""
        own = self.template_params
        layers = self.layers if self.layers is not None else own.layers
        dropout = self.dropout if self.dropout is not None else own.dropout
        return Options(
            layers=tuple(layers or ()),
            activation=self.activation or own.activation or "relu",
            dropout=None if dropout is None else tuple(dropout),
            bn=bool(self.bn if self.bn is not None else own.bn),
            autoencoder=self.autoencoder,
            vit_flavor=own.vit_flavor,
            realformer=own.realformer,
        )

    @property
    def regression_loss(self) -> str:
        """The name of the loss in REGRESSION_LOSSES; raises BadParameter."""
        if self.loss not in self.losses:
            raise BadParameter(
                f"parameters.mllib.loss: unknown loss {self.loss}, expected L1, L2 or sigmoid"
            )
        return self.losses[self.loss]

    def weights_path(self, repository: Repository) -> Path | None:
        """The file of weights that the call names; raises BadParameter when it is not there."""
        if not self.weights:
            return None
        if in_bucket(self.weights):
            raise BadParameter(
                f"model.weights: {self.weights} is in a bucket, expected the name of a file in the"
                " repository, which may be in one"
            )
        path = repository.path / self.weights
        check(path, "weights")
        if not path.is_file():
            raise BadParameter(f"model.weights: no file {path}")
        return path

    def check_predict(self, *, type: str) -> None:
        if type == "unsupervised" and not self.extract_layer:
            raise BadParameter("unsupervised output needs mllib.extract_layer param")
        if type != "unsupervised" and self.extract_layer:
            raise BadParameter(
                "parameters.mllib.extract_layer requires a service of type unsupervised"
            )

    def check_creation(self, repository: Repository, *, type: str) -> None:
        if self.task is Task.CLASSIFICATION and self.class_count == 0:
            raise BadParameter(
                "number of classes is unknown (nclasses == 0): set parameters.mllib.nclasses,"
                " or ntargets for a regression"
            )
        if self.task is Task.REGRESSION and not (self.ntargets or self.class_count):
            raise BadParameter(
                "number of regression targets is unknown (ntargets == 0):"
                " set parameters.mllib.ntargets"
            )
        if self.self_supervised:
            raise BadParameter("parameters.mllib.self_supervised: not supported yet")
        spec = self.spec
        if self.autoencoder and spec is not None and not spec.autoencoder:
            able = ", ".join(each.name for each in TEMPLATES if each.autoencoder)
            raise BadParameter(
                f"parameters.mllib.autoencoder: {spec.name} cannot be one, expected {able}"
            )
        if self.class_weights is not None and len(self.class_weights) != self.class_count:
            raise BadParameter(
                f"parameters.mllib.class_weights: {len(self.class_weights)} weights for"
                f" {self.class_count} classes"
            )
        if self.task is Task.REGRESSION:
            self.regression_loss  # noqa: B018  # raises
        self.solver.check()
        self.check_network(repository)
        given = (name for name in self.meaningless() if name in self.model_fields_set)
        _log_meaningless(tuple(given))

    def check_network(self, repository: Repository) -> None:
        """Raises BadParameter when neither parameters nor repository say what the network is."""
        weights = self.weights_path(repository)
        if self.finetuning and weights is None and not has_files(repository, ".npt", ".pt"):
            raise BadParameter("finetuning requires specifying an existing weights file")
        if self.spec is None and not has_files(repository, NETWORK, ".pt"):
            raise BadParameter(
                "Use of libtorch backend needs either: traced net, protofile or native template:"
                f" set parameters.mllib.template to one of {', '.join(TEMPLATES.names())}, or put"
                f" a TorchScript model (*.pt) into {repository.path}"
            )

    def meaningless(self) -> tuple[str, ...]:
        """Parameters that are accepted and have no effect."""
        return ("embedding_size", "retain_graph")


@lru_cache(maxsize=64)
def _log_meaningless(names: tuple[str, ...]) -> None:
    for name in names:
        logger.info("parameters.mllib.%s has no effect here", name)
