"""What `mlp` and `convnet` are made of: fully connected layers, activations, sizes of layers."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from dd_ray.templates.spec import Activation, Options

ACTIVATIONS: Mapping[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "swish": nn.SiLU,
}

SIZE = re.compile(r"[1-9]\d{0,5}")
"""The size of a layer as text, below a million."""


class FullyConnected(nn.Linear):
    """A linear layer that takes dense or sparse CSR rows [N, F], and starts as DeepDetect's do."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs)
        # Features are rows in memory; else torch.sparse.mm copies the whole weight in each call.
        self.weight = nn.Parameter(self.weight.detach().t().contiguous().t())

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.layout == torch.sparse_csr:
            product: torch.Tensor = torch.sparse.mm(input, self.weight.t())
            return product + self.bias
        return super().forward(input)


def fully_connected(
    features: int, sizes: Sequence[int], options: Options, *, dropout: float, prefix: str
) -> OrderedDict[str, nn.Module]:
    """Layers of these sizes on `features` inputs, each with its activation; raises BadParameter.

    `dropout` is the rate where the options have none. As in DeepDetect a layer with batch
    normalization has no dropout.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    rates = options.dropout_rates(len(sizes), default=dropout)
    for index, (size, rate) in enumerate(zip(sizes, rates, strict=True)):
        name = f"{prefix}{index}"
        parts[name] = FullyConnected(features, size)
        if options.bn:
            parts[f"{name}_bn"] = nn.BatchNorm1d(size)
        parts[f"{name}_act"] = ACTIVATIONS[options.activation]()
        if rate and not options.bn:
            parts[f"{name}_drop"] = nn.Dropout(rate)
        features = size
    return parts
