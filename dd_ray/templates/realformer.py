"""Transformer blocks whose attention scores have a residual: RealFormer (arXiv 2012.11747)."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block
from torch import nn


class ResidualAttention(Attention):  # type: ignore[misc]  # timm has no types
    """Attention softmax(Q K' / sqrt(d) + P) V, where P are the scores of the block before.

    Equation 3 of the paper; the sum inside the softmax is what the next block adds.
    """

    def forward(
        self, tokens: torch.Tensor, previous: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [N, T, D] and scores [N, heads, T, T], both attended and summed."""
        count, length, _ = tokens.shape
        qkv = self.qkv(tokens).reshape(count, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        if previous is not None:
            scores = scores + previous
        attended = self.attn_drop(scores.softmax(dim=-1)) @ v
        joined = attended.transpose(1, 2).reshape(count, length, self.attn_dim)
        return self.proj_drop(self.proj(joined)), scores


class ResidualBlock(Block):  # type: ignore[misc]  # timm has no types
    """timm's transformer block around that attention."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given | {"attn_layer": ResidualAttention})

    def forward(
        self, tokens: torch.Tensor, previous: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        attended, scores = self.attn(self.norm1(tokens), previous)
        tokens = tokens + attended
        return tokens + self.mlp(self.norm2(tokens)), scores


class ResidualBlocks(nn.ModuleList):
    """Blocks that hand their scores on; takes and gives tokens [N, T, D]."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores = None
        for block in self:
            tokens, scores = block(tokens, scores)
        return tokens
