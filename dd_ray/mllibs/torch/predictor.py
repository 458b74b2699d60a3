"""A loaded network that answers predict calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from dd_ray.data import Batch, Floats, ImageBatch, Output, Vectors
from dd_ray.errors import BadInput, BadParameter, LibraryError
from dd_ray.mllibs.torch.augment import center_crop
from dd_ray.mllibs.torch.description import TRACED, Description
from dd_ray.mllibs.torch.feed import normalized, table_tensor
from dd_ray.mllibs.torch.fusion import by_pixel, fused
from dd_ray.mllibs.torch.losses import output_of
from dd_ray.mllibs.torch.network import Network, TracedNetwork
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.mllibs.torch.task import Task
from dd_ray.templates.table import TEMPLATES

_BATCH = 32
"""Examples in one forward pass where the call does not say."""

_IMAGES_ON_CPU = 8
"""The same for images without a GPU: what layers compute of more leaves the cache, and is mapped
anew each time. Measured with ResNet-18 on one thread, each image of 1, 8, 16 and 32: 21.9, 15.9,
17.3 and 18.5 ms."""

_LISTED = 200
"""Layers that an error names."""


class TorchPredictor:
    """One forward pass at a time: a network's threads are those of the process."""

    def __init__(self, network: Network, device: torch.device, *, inner_layers: bool) -> None:
        module = network.module.to(device).eval()
        if network.description.network_shape.is_image:
            module = by_pixel(module)
            module = module if inner_layers else fused(module)
        self._network = module
        self._description = network.description
        self._device = device
        slower = device.type == "cpu" and network.description.network_shape.is_image
        self._batch = _IMAGES_ON_CPU if slower else _BATCH
        self._lock = threading.Lock()

    def predict(self, batch: Batch, params: TorchParams) -> Output:
        description = self._description
        _check(batch, description)
        size = self._size(params)
        outputs, kept = [], []
        with self._lock, torch.inference_mode():
            for inputs in _tensors(batch, description, size):
                outputs.append(self._forward(inputs.to(self._device), params))
                if description.task is Task.AUTOENCODER:
                    kept.append(inputs.numpy())
        joined = np.concatenate(outputs)
        if params.extract_layer:
            return Vectors(values_NV=joined.reshape(len(joined), -1))
        if description.task is not Task.AUTOENCODER and joined.ndim != 2:
            raise LibraryError(
                f"the network's output is {list(joined.shape)}, expected [examples, values]"
            )
        return output_of(
            description.task,
            joined,
            np.concatenate(kept) if kept else None,
            temperature=params.scaling_temperature,
            loss=description.loss,
        )

    def at_once(self, params: TorchParams) -> int | None:
        return self._size(params) if self._description.network_shape.is_image else None

    def close(self) -> None:
        del self._network

    def _size(self, params: TorchParams) -> int:
        """Examples in one forward pass."""
        return params.net.test_batch_size or self._batch

    def _forward(self, inputs: torch.Tensor, params: TorchParams) -> Floats:
        try:
            if params.extract_layer:
                outputs = extracted(self._network, params.extract_layer, inputs)
            elif params.forward_method:
                outputs = self._other_method(inputs, params.forward_method)
            else:
                outputs = self._network(inputs)
        except RuntimeError as exc:
            raise LibraryError(f"the network failed: {str(exc).strip().splitlines()[-1]}") from exc
        values: Floats = outputs.float().cpu().numpy()
        return values

    def _other_method(self, inputs: torch.Tensor, name: str) -> torch.Tensor:
        network = self._network
        if not isinstance(network, TracedNetwork) or not hasattr(network.script, name):
            raise BadParameter(f"Method {name} not found in traced model")
        return network.features(inputs, name)


def extracted(network: nn.Module, layer: str, inputs: torch.Tensor) -> torch.Tensor:
    """What a layer computes [N, ...]; raises BadParameter, which lists the layers there are.

    `last` is the network's output; `final` is what the layer added to a TorchScript model gets.
    """
    if layer == "last":
        outputs: torch.Tensor = network(inputs)
        return outputs
    if isinstance(network, TracedNetwork):
        if layer != "final":
            raise BadParameter(f"unknown extract layer {layer}, expected one of final, last")
        return network.features(inputs)
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise BadParameter(
            f"unknown extract layer {layer}, expected one of last, {', '.join(names[:_LISTED])}"
            + more
        )
    found: list[torch.Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(
        lambda module, given, output: found.append(
            output[0] if isinstance(output, tuple | list) else output
        )
    )
    try:
        network(inputs)
    finally:
        hook.remove()
    if not found:
        raise BadParameter(f"extract layer {layer} is not used in a prediction")
    return found[-1]


def _check(batch: Batch, description: Description) -> None:
    """Raises BadInput when the data does not have the network's shape."""
    if description.template == TRACED:
        return  # nothing is known of it
    shape = description.network_shape
    if not isinstance(batch, ImageBatch):
        width = batch.values_NF.shape[1]
        if shape.is_image or width != shape.features:
            raise BadInput(f"{width} columns, but the model was trained on {shape.features}")
        return
    any_size = TEMPLATES.find(description.template).any_size
    for uri, image in zip(batch.uris, batch.images, strict=True):
        height, width, channels = image.shape
        least = description.crop_size
        fits = any_size or (height, width) == (shape.height, shape.width)
        if least:
            fits = height >= least and width >= least
        if channels != shape.channels or not fits:
            raise BadInput(
                f"{uri[:200]}: {width}x{height} with {channels} channels, but the model was trained"
                f" on {shape.width}x{shape.height} with {shape.channels}"
            )


def _tensors(batch: Batch, description: Description, size: int) -> Iterator[torch.Tensor]:
    """The examples in pieces of at most `size`."""
    for start in range(0, len(batch), size):
        if not isinstance(batch, ImageBatch):
            yield table_tensor(batch.values_NF[start : start + size])
            continue
        images: list[Any] = list(batch.images[start : start + size])
        if description.crop_size:
            target = (description.crop_size, description.crop_size)
            images = [center_crop(image, target) for image in images]
        yield torch.from_numpy(normalized(images, batch.normalization)).permute(0, 3, 1, 2)
