"""What a network template is. Imports no torch: tables, documentation and refusals need none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dd_ray.errors import BadParameter

Activation = Literal["relu", "prelu", "elu", "sigmoid", "tanh", "swish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What goes into a network: F features of a table, or images [C, H, W]."""

    features: int = 0
    channels: int = 0
    height: int = 0
    width: int = 0

    @property
    def is_image(self) -> bool:
        return self.channels > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a call may choose about a template; each template reads those that are its own."""

    layers: tuple[str, ...] = ()
    """As in the call, integers as text: `("150", "150")`, `("1CR32", "1CR64", "1000")`."""
    activation: Activation = "relu"
    dropout: tuple[float, ...] | None = None
    """One rate for all layers, or one for each; None is the template's own."""
    bn: bool = False
    autoencoder: bool = False
    vit_flavor: str = "vit_base_patch16"
    realformer: bool = False

    def dropout_rates(self, layers: int, *, default: float) -> tuple[float, ...]:
        """The rate of each of `layers` dropout layers; raises BadParameter for a wrong number.

        >>> Options(dropout=(0.2,)).dropout_rates(3, default=0.5)
        (0.2, 0.2, 0.2)
        """
        rates = (default,) if self.dropout is None else self.dropout
        if len(rates) == 1:
            return rates * layers
        if len(rates) != layers:
            raise BadParameter(
                f"parameters.mllib.dropout: {len(rates)} rates, expected one for all layers or"
                f" one for each of {layers}"
            )
        return rates


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSpec:
    """A row of the template table.

    `build` names a function `(shape: Shape, outputs: int, options: Options, **arguments) ->
    nn.Module` whose network maps float32 [N, F] or [N, C, H, W] to [N, outputs] without a softmax;
    an autoencoder maps to the shape of its input, as logits. Raises BadParameter.
    """

    name: str
    description: str
    build: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What `build` is given besides, such as the name of a library's network."""
    inputs: Literal["table", "image"]
    head: str = "head"
    """The name of the layer that makes the outputs, the last one that learns."""
    autoencoder: bool = False
    """Whether it can be an autoencoder."""
    width: int = 0
    height: int = 0
    """The input size of images where a call gives none; 0 for tables."""
    smallest: int = 1
    """The smallest height and width that the network can learn from."""
    any_size: bool = False
    """Whether a network built for one image size takes images of another."""
    solver: Mapping[str, Any] = field(default_factory=dict)
    """Solver parameters where a call gives none, under DeepDetect's names."""
    batch_size: int = 0
    """Training batch size where a call gives none; 0 where the template has none of its own."""
    aliases: tuple[str, ...] = ()
