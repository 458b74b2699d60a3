"""What a service is: its definition out of a creation call, and the parameters of later calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from pydantic import Field

from dd_ray.connectors.spec import ConnectorSpec, InputParams
from dd_ray.connectors.table import CONNECTORS
from dd_ray.errors import BadInput, BadParameter, BadRequest, ConnectorNotFound, UnknownLibrary
from dd_ray.mllibs.spec import MLLibParams, MLLibSpec
from dd_ray.mllibs.table import MLLIBS
from dd_ray.outputs.params import OutputParams
from dd_ray.params import Params
from dd_ray.repository import Repository
from dd_ray.services.archive import install
from dd_ray.services.needs import shares
from dd_ray.settings import settings


class ModelParams(Params):
    """The `model` object of a creation call."""

    where: ClassVar[str] = "model"

    repository: str = Field(
        "", description="Folder of the statistical model files: a path, or an s3:// or gs:// URL"
    )
    create_repository: bool = Field(
        False, description="Whether to create the folder if it does not exist"
    )
    templates: str = Field("", description="Folder of templates; built in here, accepted")
    weights: str = Field("", description="File name of pre-trained weights")
    index_preload: bool = Field(True, description="Whether to preload a similarity search index")
    init: str = Field(
        "",
        description="Archive to start from, a path or a URL: zip, tar, tar.gz, tar.bz2 or tar.xz;"
        " `parameters` of a config.json in it stand for those of the call",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDefinition:
    """A service as it was created. All values are JSON, so that it travels and is kept."""

    name: str
    mllib: str
    connector: str
    type: str
    description: str
    repository: str
    parameters: Mapping[str, Any]
    """`parameters` of the creation call: defaults of every later call."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def mllib_spec(self) -> MLLibSpec:
        return MLLIBS.find(self.mllib)

    @property
    def connector_spec(self) -> ConnectorSpec:
        return CONNECTORS.find(self.connector)

    @property
    def mltype(self) -> str:
        return self.effective({}).mllib.mltype

    def effective(self, parameters: Any, *, learned: Mapping[str, Any] | None = None) -> Effective:
        """The parameters of a call to this service: what creation said, then what the call says.

        Between the two stands what a model was trained with, `learned`: a prediction reads its
        data as the training did, unless the call itself says otherwise.
        """
        mllib = self.mllib_spec.params.merge(*_layers(self.parameters, parameters, "mllib"))
        creation, call = (_part(given, "input") for given in (self.parameters, parameters))
        return Effective(
            input=self.connector_spec.params.merge(
                mllib.input_defaults, creation, learned or {}, call
            ),
            mllib=mllib,
            output=OutputParams.merge(*_layers(self.parameters, parameters, "output")),
        )

    def check_creation(self, repository: Repository) -> None:
        """Raises BadParameter when the mllib cannot work with this definition."""
        with repository.named():
            self.effective({}).mllib.check_creation(repository, type=self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The typed parameters of one call."""

    input: InputParams
    mllib: MLLibParams
    output: OutputParams


def define(name: str, call: Mapping[str, Any]) -> tuple[ServiceDefinition, ModelParams]:
    """The definition that a creation call asks for.

    Checks in the order of DeepDetect: the strings, the mllib (1000), the model (1006), the
    connector (1004), its parameters (1005), those of mllib and output (1006).
    """
    mllib = _string(call, "mllib")
    parameters = call.get("parameters")
    if not isinstance(parameters, Mapping):
        raise BadRequest("parameters: expected an object with input.connector")
    source = parameters.get("input")
    if not isinstance(source, Mapping):
        raise BadRequest("parameters.input: expected an object with a connector")
    connector = _string(source, "connector", where="parameters.input.")
    type_ = _string(call, "type", default="supervised")
    description = _string(call, "description", default="")

    spec = MLLIBS.find(mllib)
    if not spec.installed:
        raise UnknownLibrary(
            f"{mllib!r} is not installed here, expected after: pip install 'dd-ray[{spec.extra}]'"
        )
    if spec.types is not None and type_ not in spec.types:
        raise BadParameter(f"type: {type_!r}, expected one of {', '.join(spec.types)}")
    model = _model(call)
    if connector not in spec.connectors:
        expected = ", ".join(spec.connectors)
        raise ConnectorNotFound(f"{connector!r}, expected one of {expected} with {mllib}")
    definition = ServiceDefinition(
        name=name,
        mllib=mllib,
        connector=connector,
        type=type_,
        description=description,
        repository=model.repository,
        parameters=_with_weights(parameters, model.weights),
    )
    shares(definition.effective({}).mllib, settings())
    return definition, model


def open_repository(model: ModelParams) -> Repository:
    """The repository of a creation call, to be read; raises BadParameter."""
    repository = Repository.open(model.repository, create=model.create_repository)
    repository.fetch()
    return repository


def start_from_archive(
    definition: ServiceDefinition, model: ModelParams, repository: Repository
) -> ServiceDefinition:
    """Installs the archive of `model.init`; the definition, with its parameters if it has some."""
    with repository.named():
        parameters = install(model.init, repository)
    repository.repeat()
    if parameters is None:
        return definition
    found = replace(definition, parameters=_with_weights(parameters, model.weights))
    found.effective({})
    return found


def data_of(call: Mapping[str, Any]) -> list[str]:
    """The `data` of a train or predict call; raises BadInput."""
    data = call.get("data")
    if data is None or data == []:
        raise BadInput("missing data")
    if not isinstance(data, list):
        raise BadInput(f"data: expected an array of strings, got {type(data).__name__}")
    most = settings().max_data_items
    if len(data) > most:
        raise BadInput(f"data has {len(data)} elements, expected at most {most} in one call")
    for i, item in enumerate(data):
        if not isinstance(item, str):
            shown = "null" if item is None else type(item).__name__
            raise BadInput(f"data[{i}]: expected a string, got {shown}")
    return data


def _model(call: Mapping[str, Any]) -> ModelParams:
    given = call.get("model")
    model = ModelParams.merge(given if isinstance(given, Mapping) else {})
    if not model.repository:
        raise BadParameter("model.repository: empty repository, expected the path of a folder")
    return model


def _string(
    call: Mapping[str, Any], key: str, *, default: str | None = None, where: str = ""
) -> str:
    value = call.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        got = "nothing" if value is None else type(value).__name__
        raise BadRequest(f"{where}{key}: expected a string, got {got}")
    return value


def _with_weights(parameters: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """`model.weights` is read by the mllib, and so becomes one of its parameters."""
    if not weights:
        return dict(parameters)
    return dict(parameters) | {"mllib": {"weights": weights} | dict(_part(parameters, "mllib"))}


def _layers(creation: Any, call: Any, part: str) -> list[Mapping[str, Any]]:
    return [_part(parameters, part) for parameters in (creation, call)]


def _part(parameters: Any, part: str) -> Mapping[str, Any]:
    """The object `part` of a call's parameters; what is not an object says nothing."""
    layer = parameters.get(part) if isinstance(parameters, Mapping) else None
    return layer if isinstance(layer, Mapping) else {}
