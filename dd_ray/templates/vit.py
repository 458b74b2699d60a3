"""`vit`: vision transformers (arXiv 2010.11929) from timm, in DeepDetect's flavours."""

from __future__ import annotations

from dataclasses import dataclass

from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from dd_ray.errors import BadParameter
from dd_ray.registry import Registry
from dd_ray.templates.realformer import ResidualBlock, ResidualBlocks
from dd_ray.templates.spec import Options, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """A size of transformer: embedding width, number of blocks and heads, side of a patch."""

    name: str
    width: int
    depth: int
    heads: int
    patch: int
    qkv_bias: bool = True


FLAVORS = Registry(
    [
        Flavor(name="vit_tiny_patch16", width=192, depth=12, heads=3, patch=16),
        Flavor(name="vit_small_patch16", width=384, depth=12, heads=6, patch=16),
        Flavor(name="vit_base_patch32", width=768, depth=12, heads=12, patch=32),
        Flavor(name="vit_base_patch16", width=768, depth=12, heads=12, patch=16),
        Flavor(name="vit_large_patch16", width=1024, depth=24, heads=16, patch=16),
        Flavor(name="vit_large_patch32", width=1024, depth=24, heads=16, patch=32),
        Flavor(name="vit_huge_patch16", width=1280, depth=32, heads=16, patch=16, qkv_bias=False),
        Flavor(name="vit_huge_patch32", width=1280, depth=32, heads=16, patch=32, qkv_bias=False),
    ],
    missing=lambda message: BadParameter(f"unknown ViT flavor {message}"),
)


def vit(shape: Shape, outputs: int, options: Options) -> nn.Module:
    """The flavour asked for, for images of this size only; without dropout by default."""
    flavor = FLAVORS.find(options.vit_flavor)
    if shape.height % flavor.patch or shape.width % flavor.patch:
        raise BadParameter(
            f"parameters.input.width and parameters.input.height: {shape.width}x{shape.height},"
            f" expected multiples of {flavor.patch}, the patch size of {flavor.name}"
        )
    (rate,) = options.dropout_rates(1, default=0.0)
    network = VisionTransformer(
        img_size=(shape.height, shape.width),
        patch_size=flavor.patch,
        in_chans=shape.channels,
        num_classes=outputs,
        embed_dim=flavor.width,
        depth=flavor.depth,
        num_heads=flavor.heads,
        qkv_bias=flavor.qkv_bias,
        pos_drop_rate=rate,
        proj_drop_rate=rate,
        block_fn=ResidualBlock if options.realformer else Block,
    )
    if options.realformer:
        network.blocks = ResidualBlocks(network.blocks)
    assert isinstance(network, nn.Module)
    return network
