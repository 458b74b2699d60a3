"""`vit`: flavours, sizes of images, and RealFormer's residual attention."""

from __future__ import annotations

import pytest
import torch
from timm.layers import Attention

from dd_ray.errors import BadParameter
from dd_ray.templates.build import build, output_layer
from dd_ray.templates.realformer import ResidualAttention
from dd_ray.templates.spec import Options, Shape
from dd_ray.templates.table import TEMPLATES
from dd_ray.templates.vit import FLAVORS


def vit(
    flavor: str = "vit_tiny_patch16", *, height: int = 32, width: int = 32, **given: object
) -> torch.nn.Module:
    options = Options(vit_flavor=flavor, **given)
    return build(TEMPLATES.find("vit"), Shape(channels=3, height=height, width=width), 3, options)


@pytest.mark.parametrize(
    ("flavor", "millions"),
    [
        ("vit_tiny_patch16", 5.5),
        ("vit_small_patch16", 21.7),
        ("vit_base_patch16", 85.8),
        ("vit_base_patch32", 87.5),
        ("vit_large_patch16", 303.3),
        ("vit_large_patch32", 305.5),
        ("vit_huge_patch16", 630.8),
        ("vit_huge_patch32", 633.6),
    ],
)
def test_flavors_have_the_size_of_their_name(flavor: str, millions: float) -> None:
    """On the meta device: the huge ones have gigabytes of weights."""
    with torch.device("meta"):
        network = vit(flavor, height=224, width=224)
        assert network(torch.rand(2, 3, 224, 224)).shape == (2, 3)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)
    assert output_layer(network)[1].out_features == 3


def test_all_flavors_of_the_reference_are_there() -> None:
    assert len(FLAVORS.names()) == 8


def test_an_unknown_flavor_is_told_the_known_ones() -> None:
    with pytest.raises(BadParameter, match=r"unknown ViT flavor 'vit_giant', .*vit_tiny_patch16"):
        vit("vit_giant")


@pytest.mark.parametrize(
    ("flavor", "height", "width", "patch"),
    [("vit_tiny_patch16", 32, 40, 16), ("vit_base_patch32", 48, 64, 32)],
)
def test_images_must_be_multiples_of_the_patch(
    flavor: str, height: int, width: int, patch: int
) -> None:
    with pytest.raises(BadParameter, match=rf"{width}x{height}, expected multiples of {patch}"):
        vit(flavor, height=height, width=width)


def test_dropout_is_off_by_default_and_else_one_rate() -> None:
    def rates(**given: object) -> set[float]:
        modules = vit(**given).blocks.modules()
        return {m.p for m in modules if isinstance(m, torch.nn.Dropout)}

    assert rates() == {0.0}
    assert 0.3 in rates(dropout=(0.3,))


def test_residual_attention_without_scores_before_is_attention() -> None:
    torch.manual_seed(0)
    plain, residual = Attention(12, num_heads=3), ResidualAttention(12, num_heads=3)
    residual.load_state_dict(plain.state_dict())
    tokens = torch.rand(2, 5, 12)
    attended, scores = residual(tokens, None)
    torch.testing.assert_close(attended, plain(tokens))
    assert scores.shape == (2, 3, 5, 5)


def test_scores_before_are_added_to_those_of_the_block() -> None:
    """A large score before it makes every token attend to the one it points at."""
    torch.manual_seed(0)
    residual = ResidualAttention(12, num_heads=3)
    tokens = torch.rand(2, 5, 12)
    previous = torch.zeros(2, 3, 5, 5)
    previous[..., 4] = 100.0
    attended, scores = residual(tokens, previous)
    torch.testing.assert_close(scores - residual(tokens, None)[1], previous)
    values = residual.qkv(tokens)[:, 4, 24:]
    torch.testing.assert_close(attended, residual.proj(values)[:, None].expand(2, 5, 12))


def test_a_realformer_has_the_weights_of_a_vit_and_learns() -> None:
    torch.manual_seed(0)
    plain, residual = vit(), vit(realformer=True)
    residual.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 32, 32)
    outputs = residual(images)
    assert outputs.shape == (2, 3)
    assert not torch.allclose(outputs, plain(images))
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in residual.blocks.parameters())
