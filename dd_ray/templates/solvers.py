"""Solver parameters of the templates, from DeepDetect's `templates/caffe/*/*_solver.prototxt`."""

from __future__ import annotations

MLP = {"base_lr": 0.1, "lr_policy": "fixed", "momentum": 0.9}
LREGRESSION = {
    "base_lr": 0.1,
    "lr_policy": "inv",
    "gamma": 1e-4,
    "power": 0.75,
    "momentum": 0.9,
    "weight_decay": 1e-5,
}
CONVNET = {"base_lr": 0.01, "lr_policy": "fixed", "momentum": 0.9, "weight_decay": 0.004}
CIFAR = {"base_lr": 0.001, "lr_policy": "fixed", "momentum": 0.9, "weight_decay": 0.004}
LENET = {
    "base_lr": 0.01,
    "lr_policy": "inv",
    "gamma": 1e-4,
    "power": 0.75,
    "momentum": 0.9,
    "weight_decay": 5e-4,
}
"""DeepDetect has no lenet: as in Caffe's `examples/mnist/lenet_solver.prototxt`."""
ALEXNET = {
    "base_lr": 0.01,
    "lr_policy": "step",
    "gamma": 0.1,
    "stepsize": 100_000,
    "momentum": 0.9,
    "weight_decay": 5e-4,
}
"""Of `nin` too."""
GOOGLENET = {
    "base_lr": 0.01,
    "lr_policy": "step",
    "gamma": 0.96,
    "stepsize": 320_000,
    "momentum": 0.9,
    "weight_decay": 2e-4,
}
"""Of `vgg_16` too."""
RESNET = {
    "base_lr": 0.1,
    "lr_policy": "step",
    "gamma": 0.96,
    "stepsize": 320_000,
    "momentum": 0.9,
    "weight_decay": 1e-4,
}
"""Of networks with squeeze and excitation too."""
SQUEEZENET = {
    "base_lr": 0.04,
    "lr_policy": "poly",
    "power": 1.0,
    "momentum": 0.9,
    "weight_decay": 2e-4,
    "iter_size": 16,
}
SHUFFLENET = {"base_lr": 0.01, "lr_policy": "fixed", "momentum": 0.9, "weight_decay": 1e-4}
MOBILENET = {"base_lr": 0.001, "lr_policy": "fixed", "momentum": 0.9, "weight_decay": 1e-4}
