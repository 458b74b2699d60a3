"""`net` and `template_params` of `parameters.mllib`, and the kinds of values of a template."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from dd_ray.params import Int, Params
from dd_ray.templates.spec import Activation


def lower(value: Any) -> Any:
    """Text in lower case."""
    return value.lower() if isinstance(value, str) else value


def _layer(value: Any) -> Any:
    """Layers are numbers or texts: `50`, `50.0`, `"50"`, `"1CR32"`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if float(value).is_integer() else str(value)


def _layers(value: Any) -> Any:
    return [_layer(item) for item in value] if isinstance(value, list) else value


def _rates(value: Any) -> Any:
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


Layers = Annotated[list[str], BeforeValidator(_layers, json_schema_input_type=list[int | str])]
Rate = Annotated[float, Field(ge=0, lt=1)]
Rates = Annotated[list[Rate], BeforeValidator(_rates, json_schema_input_type=float | list[float])]
LowerActivation = Annotated[Activation, BeforeValidator(lower, json_schema_input_type=Activation)]


class NetParams(Params):
    """`parameters.mllib.net`."""

    where: ClassVar[str] = "parameters.mllib.net"

    batch_size: Int | None = Field(
        None, ge=1, description="Training batch size; default the template's, else 32"
    )
    test_batch_size: Int | None = Field(
        None,
        ge=1,
        description="Testing and prediction batch size; default batch_size for testing, 32 for"
        " prediction, or 8 of images without a GPU",
    )


class TemplateParams(Params):
    """`parameters.mllib.template_params`."""

    where: ClassVar[str] = "parameters.mllib.template_params"

    nclasses: Int | None = Field(None, ge=0, description="As mllib.nclasses, which goes first")
    vit_flavor: str = Field("vit_base_patch16", description="Vision transformer architecture")
    realformer: bool = Field(
        False, description="Whether attention scores have a residual, as in RealFormer (`vit`)"
    )
    layers: Layers | None = Field(None, description="As mllib.layers, which goes first")
    activation: LowerActivation | None = Field(None, description="As mllib.activation")
    dropout: Rates | None = Field(None, description="As mllib.dropout, which goes first")
    bn: bool | None = Field(None, description="As mllib.bn, which goes first")
