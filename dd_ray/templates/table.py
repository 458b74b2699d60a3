"""The table of network templates, under DeepDetect's names."""

from __future__ import annotations

from dataclasses import replace

from dd_ray.errors import BadParameter
from dd_ray.registry import Registry
from dd_ray.templates import solvers
from dd_ray.templates.spec import TemplateSpec

_TORCHVISION = TemplateSpec(
    name="",
    description="",
    build="dd_ray.templates.torchvision_zoo:torchvision_network",
    inputs="image",
    width=224,
    height=224,
    smallest=17,  # below it two stages see one pixel, and batch normalization of a few overflows
    any_size=True,
)
_VGG = replace(
    _TORCHVISION, head="classifier.6", smallest=32, solver=solvers.GOOGLENET, batch_size=32
)
_RESNET = replace(_TORCHVISION, head="fc", solver=solvers.RESNET)
_DENSENET = replace(_TORCHVISION, head="classifier", smallest=29)
_MNASNET = replace(_TORCHVISION, head="classifier.1")
_SQUEEZENET = replace(
    _TORCHVISION, head="classifier.1", width=227, height=227, solver=solvers.SQUEEZENET
)
_SHUFFLENET = replace(_TORCHVISION, head="fc", solver=solvers.SHUFFLENET, batch_size=32)
_SQUEEZE_EXCITE = replace(
    _TORCHVISION,
    build="dd_ray.templates.squeeze_excite:squeeze_excite",
    head="last_linear",
    smallest=19,
    solver=solvers.RESNET,
)


def _library(
    family: TemplateSpec, name: str, network: str, description: str, *aliases: str
) -> TemplateSpec:
    """A row for the network that a library has under the name `network`."""
    return replace(
        family,
        name=name,
        description=description,
        arguments={"network": network},
        aliases=aliases,
    )


_ROWS = [
    TemplateSpec(
        name="lregression",
        description="Logistic regression: one linear layer",
        build="dd_ray.templates.mlp:lregression",
        inputs="table",
        solver=solvers.LREGRESSION,
    ),
    TemplateSpec(
        name="mlp",
        description="Multilayer perceptron, with layers, activation, dropout and bn",
        build="dd_ray.templates.mlp:mlp",
        inputs="table",
        autoencoder=True,
        solver=solvers.MLP,
    ),
    TemplateSpec(
        name="convnet",
        description="Convolutional neural net, with layers, activation, dropout and bn",
        build="dd_ray.templates.convnet:convnet",
        inputs="image",
        autoencoder=True,
        width=224,
        height=224,
        solver=solvers.CONVNET,
    ),
    TemplateSpec(
        name="lenet",
        description="'LeNet', small convolutional neural net for digits",
        build="dd_ray.templates.lenet:lenet",
        inputs="image",
        width=28,
        height=28,
        smallest=13,
        solver=solvers.LENET,
        batch_size=64,
    ),
    TemplateSpec(
        name="cifar",
        description="Convolutional neural net, very good for small images",
        build="dd_ray.templates.cifar:cifar",
        inputs="image",
        width=32,
        height=32,
        smallest=8,
        solver=solvers.CIFAR,
        batch_size=100,
    ),
    TemplateSpec(
        name="nin",
        description="'Network in Network', convolutional neural net, very fast",
        build="dd_ray.templates.nin:nin",
        inputs="image",
        width=224,
        height=224,
        smallest=39,
        any_size=True,
        solver=solvers.ALEXNET,
        batch_size=64,
    ),
    replace(
        _TORCHVISION,
        name="alexnet",
        description="'AlexNet', convolutional neural net, fast; torchvision's, of other widths",
        arguments={"network": "alexnet"},
        head="classifier.6",
        width=227,
        height=227,
        smallest=63,
        solver=solvers.ALEXNET,
        batch_size=256,
    ),
    replace(
        _TORCHVISION,
        name="googlenet",
        description="'GoogleNet', with batch normalization and without auxiliary heads",
        arguments={"network": "googlenet", "aux_logits": False, "init_weights": True},
        head="fc",
        smallest=15,
        solver=solvers.GOOGLENET,
        batch_size=32,
    ),
    _library(_VGG, "vgg_16", "vgg16", "'VGG' of 16 layers", "vgg16"),
    _library(_VGG, "vgg11", "vgg11", "'VGG' of 11 layers"),
    _library(_VGG, "vgg13", "vgg13", "'VGG' of 13 layers"),
    _library(_VGG, "vgg19", "vgg19", "'VGG' of 19 layers"),
    _library(_VGG, "vgg11bn", "vgg11_bn", "'VGG' of 11 layers, with batch normalization"),
    _library(_VGG, "vgg13bn", "vgg13_bn", "'VGG' of 13 layers, with batch normalization"),
    _library(_VGG, "vgg16bn", "vgg16_bn", "'VGG' of 16 layers, with batch normalization"),
    _library(_VGG, "vgg19bn", "vgg19_bn", "'VGG' of 19 layers, with batch normalization"),
    replace(
        _RESNET,
        name="resnet_10",
        description="'ResNet' of 10 layers",
        build="dd_ray.templates.resnet:resnet_10",
    ),
    _library(_RESNET, "resnet_18", "resnet18", "'ResNet' of 18 layers", "resnet18"),
    replace(
        _RESNET,
        name="resnet_32",
        description="'ResNet' of 32 layers, a shorter resnet_50",
        build="dd_ray.templates.resnet:resnet_32",
    ),
    _library(_RESNET, "resnet_34", "resnet34", "'ResNet' of 34 layers", "resnet34"),
    _library(_RESNET, "resnet_50", "resnet50", "'ResNet' of 50 layers", "resnet50"),
    _library(_RESNET, "resnet_101", "resnet101", "'ResNet' of 101 layers", "resnet101"),
    _library(_RESNET, "resnet_152", "resnet152", "'ResNet' of 152 layers", "resnet152"),
    _library(_RESNET, "resnext50_32x4d", "resnext50_32x4d", "'ResNeXt' of 50 layers"),
    _library(_RESNET, "resnext101_32x8d", "resnext101_32x8d", "'ResNeXt' of 101 layers"),
    _library(_RESNET, "wideresnet50_2", "wide_resnet50_2", "'ResNet' of 50 layers, twice as wide"),
    _library(
        _RESNET, "wideresnet101_2", "wide_resnet101_2", "'ResNet' of 101 layers, twice as wide"
    ),
    replace(
        _SQUEEZE_EXCITE,
        name="se_net",
        description="'SENet' of 154 layers",
        arguments={"network": "legacy_senet154", "dropout": 0.2},
    ),
    _library(
        _SQUEEZE_EXCITE, "se_resnet_50", "legacy_seresnet50", "resnet_50 with squeeze-excitation"
    ),
    _library(
        _SQUEEZE_EXCITE, "se_resnet_101", "legacy_seresnet101", "resnet_101 with squeeze-excitation"
    ),
    _library(
        _SQUEEZE_EXCITE, "se_resnet_152", "legacy_seresnet152", "resnet_152 with squeeze-excitation"
    ),
    _library(
        _SQUEEZE_EXCITE,
        "se_resnext_50",
        "legacy_seresnext50_32x4d",
        "'ResNeXt' of 50 layers with squeeze-excitation",
    ),
    _library(
        _SQUEEZE_EXCITE,
        "se_resnext_101",
        "legacy_seresnext101_32x4d",
        "'ResNeXt' of 101 layers with squeeze-excitation",
    ),
    replace(
        _TORCHVISION,
        name="mobilenet_v2",
        description="'MobileNet' 2, lightweight",
        arguments={"network": "mobilenet_v2"},
        head="classifier.1",
        solver=solvers.MOBILENET,
        batch_size=32,
        aliases=("mobilenetv2",),
    ),
    _library(
        _SHUFFLENET,
        "shufflenet",
        "shufflenet_v2_x1_0",
        "'ShuffleNet' 2 of width 1.0, lightweight; DeepDetect's is ShuffleNet 1",
        "shufflenetv2_x1_0",
    ),
    _library(_SHUFFLENET, "shufflenetv2_x0_5", "shufflenet_v2_x0_5", "'ShuffleNet' 2, half width"),
    _library(_SHUFFLENET, "shufflenetv2_x1_5", "shufflenet_v2_x1_5", "'ShuffleNet' 2, width 1.5"),
    _library(_SHUFFLENET, "shufflenetv2_x2_0", "shufflenet_v2_x2_0", "'ShuffleNet' 2, width 2"),
    _library(_SQUEEZENET, "squeezenet", "squeezenet1_1", "'SqueezeNet' 1.1, tiny", "squeezenet1_1"),
    _library(
        replace(_SQUEEZENET, smallest=21),
        "squeezenet1_0",
        "squeezenet1_0",
        "'SqueezeNet' 1.0, tiny",
    ),
    _library(_DENSENET, "densenet121", "densenet121", "'DenseNet' of 121 layers"),
    _library(_DENSENET, "densenet161", "densenet161", "'DenseNet' of 161 layers"),
    _library(_DENSENET, "densenet169", "densenet169", "'DenseNet' of 169 layers"),
    _library(_DENSENET, "densenet201", "densenet201", "'DenseNet' of 201 layers"),
    _library(_MNASNET, "mnasnet0_5", "mnasnet0_5", "'MNASNet', lightweight, half width"),
    _library(_MNASNET, "mnasnet0_75", "mnasnet0_75", "'MNASNet', lightweight, width 0.75"),
    _library(_MNASNET, "mnasnet1_0", "mnasnet1_0", "'MNASNet', lightweight, width 1.0"),
    _library(_MNASNET, "mnasnet1_3", "mnasnet1_3", "'MNASNet', lightweight, width 1.3"),
    TemplateSpec(
        name="vit",
        description="Vision transformer, of the size template_params.vit_flavor",
        build="dd_ray.templates.vit:vit",
        inputs="image",
        width=224,
        height=224,
        smallest=16,
    ),
]

TEMPLATES = Registry(
    _ROWS,
    missing=lambda message: BadParameter(f"failed to locate model template {message}"),
    aliases={alias: spec.name for spec in _ROWS for alias in spec.aliases},
)
