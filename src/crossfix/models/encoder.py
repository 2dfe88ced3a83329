"""Image encoders that give a grid of tokens: any timm vision transformer with patch tokens, or a convolutional network cut at a stride.

Axes: B batch, C channels, H and W pixels, N tokens (row by row), D features.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, Self

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from crossfix.errors import ModelError
from crossfix.models.hub import hub_weights
from crossfix.models.positions import resample_positions

Positions = Literal["original", "timm"]
_DINOV2_OFFSET = 0.1
_COORDINATES = 8


class TokenEncoder(nn.Module):
    """A timm network that turns pictures into tokens.

    Args:
        timm_name: name of a timm architecture, with or without its weights' tag (`vit_small_patch14_dinov2.lvd142m`, `resnet18`).
        img_px: side of the square pictures it is meant for; other sizes pass too, as far as the patches fit.
        stride: where a convolutional network is cut, in pixels a token (8, 16, ...); layers behind are not built. None for transformers.
        pretrained: True: fetch timm's weights from the Hugging Face hub (or its cache); a path: read them from that safetensors file.
        positions: how a transformer's position embeddings are resampled to a picture's grid. "original" does it as the network's authors
            do (DINOv2 without registers: sampling step with an offset of 0.1, no antialiasing), "timm" always as timm does (exact size,
            antialiased). They differ for DINOv2 without registers only.
        trainable_blocks: see `train_last_blocks`; None: all of the network trains.
        squares: encode pictures that are wider than high, panoramas, as squares side by side. Views of all kinds then pass through the
            network at one size, and share its batch norms' statistics; what a square shows is not seen by the next.
        coordinates: tell tokens where in their picture (or square) they stand, by a learned linear map of their coordinates that begins at
            zero: heads that sum tokens up, like SALAD, know nothing of the layout otherwise.
        **timm_kwargs: passed to `timm.create_model`. ``final_norm=False`` takes a transformer's final norm away, after published weights
            were read.

    Raises:
        ModelError: unknown name, a stride the network does not have, a network without patch tokens, or a size it cannot take.
    """

    def __init__(
        self,
        timm_name: str,
        *,
        img_px: int,
        stride: int | None = None,
        pretrained: bool | Path = False,
        positions: Positions = "original",
        trainable_blocks: int | None = None,
        squares: bool = False,
        coordinates: bool = False,
        **timm_kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__()
        self.name = timm_name
        self.img_px = img_px
        self.squares = squares
        self.net: Any  # a timm network; its attributes are not typed
        if not timm.is_model(timm_name.split(".")[0]):
            raise ModelError("timm has no such architecture", where=timm_name, mend="list them with timm.list_models()")
        if stride is None:
            self.net = _vision_transformer(timm_name, pretrained, timm_kwargs)
            self.dim = int(self.net.embed_dim)
            self.stride = int(self.net.patch_embed.patch_size[0])
            self.has_cls = self.net.cls_token is not None
            self.depth = len(self.net.blocks)
            plain_dinov2 = "dinov2" in timm_name and self.net.reg_token is None
            self._offset = _DINOV2_OFFSET if plain_dinov2 and positions == "original" else None
        else:
            self.net, self.dim = _conv_map(timm_name, stride, pretrained, timm_kwargs)
            self.stride = stride
            self.has_cls = False
            self.depth = 0
        self.where = nn.Parameter(torch.zeros(_COORDINATES, self.dim)) if coordinates else None
        self._frozen_blocks: int | None = None
        self._check_size(img_px, img_px)
        if trainable_blocks is not None:
            self.train_last_blocks(trainable_blocks)

    @property
    def is_transformer(self) -> bool:
        """Whether tokens come from a transformer's blocks (otherwise from a convolutional map)."""
        return self.depth > 0

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens of a picture of this size in pixels.

        Raises:
            ModelError: if the patches do not divide it, or it is smaller than a token of a convolutional network.
        """
        self._check_size(height, width)
        if self.squares and width > height:
            rows, columns = self.grid(height, height)
            return rows, columns * (width // height)
        if self.is_transformer:
            return height // self.stride, width // self.stride
        with torch.no_grad():
            map_BDHW = copy.deepcopy(self.net).to("meta", torch.float32).eval()(torch.empty(1, 3, height, width, device="meta"))[-1]
        return int(map_BDHW.shape[2]), int(map_BDHW.shape[3])

    def step(self, height: int) -> int:
        """What the width of a picture of this height, in pixels, has to be a multiple of."""
        return height if self.squares else self.stride

    def train_last_blocks(self, blocks: int) -> None:
        """Train only a transformer's last blocks and its final norm; everything before runs without gradients.

        Args:
            blocks: how many blocks train; 0 trains the final norm only.

        Raises:
            ModelError: for convolutional encoders, or more blocks than there are.
        """
        if not self.is_transformer:
            raise ModelError("only transformers can be frozen up to their last blocks", where=self.name, mend="train all of it")
        if not 0 <= blocks <= self.depth:
            raise ModelError(f"cannot train the last {blocks} of {self.depth} blocks", where=self.name)
        self._frozen_blocks = self.depth - blocks
        self.net.requires_grad_(False)
        for part in (*self.net.blocks[self._frozen_blocks :], self.net.norm):
            part.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen blocks stay in evaluation mode, so that no dropout or drop path disturbs them."""
        super().train(mode)
        if self._frozen_blocks is not None:
            for part in (*self.net.blocks[: self._frozen_blocks], self.net.pos_drop, self.net.patch_drop):
                part.eval()
        return self

    def forward(self, img_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode pictures.

        Args:
            img_BCHW: normalised RGB; any size that the patches (and the squares) divide, not necessarily square.

        Returns:
            (tok_BND, cls_BD): patch tokens row by row, without class token and registers; the class token, or None if there is none.

        Raises:
            ModelError: as for `grid`.
        """
        return self.together([img_BCHW])[0]

    def together(self, views: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Encode several batches of pictures, as one batch where they have one size, so that they share statistics as they share weights.

        Args:
            views: pictures as `forward` takes them, each batch of any size.

        Returns:
            What `forward` gives for each.

        Raises:
            ModelError: as for `grid`.
        """
        for view in views:
            self._check_size(*view.shape[-2:])
        tiles = [_side_by_side(view) if self.squares else view for view in views]
        if len({tile.shape[1:] for tile in tiles}) > 1:
            return [self._whole(*self._encode(tile), len(view)) for tile, view in zip(tiles, views, strict=True)]
        tok_BND, cls_BD = self._encode(torch.cat(tiles) if len(tiles) > 1 else tiles[0])
        ends = list(accumulate(len(tile) for tile in tiles))
        parts = [slice(end - len(tile), end) for end, tile in zip(ends, tiles, strict=True)]
        return [
            self._whole(tok_BND[part], None if cls_BD is None else cls_BD[part], len(view)) for part, view in zip(parts, views, strict=True)
        ]

    @staticmethod
    def _whole(tok_BND: torch.Tensor, cls_BD: torch.Tensor | None, pictures: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Tokens of squares as those of the pictures they are of, row by row over each whole picture."""
        squares = len(tok_BND) // pictures
        if squares == 1:
            return tok_BND, cls_BD
        side, dim = math.isqrt(tok_BND.shape[1]), tok_BND.shape[2]
        rows_BRSCD = tok_BND.reshape(pictures, squares, side, side, dim).transpose(1, 2)
        return rows_BRSCD.reshape(pictures, -1, dim), None if cls_BD is None else cls_BD.reshape(pictures, squares, -1).mean(1)

    def _encode(self, img_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        tok_BND, cls_BD, grid = self._tokens(img_BCHW)
        if self.where is not None:
            tok_BND = tok_BND + (_coordinates(*grid).to(self.where) @ self.where).to(tok_BND.dtype)
        return tok_BND, cls_BD

    def _tokens(self, img_BCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, tuple[int, int]]:
        if not self.is_transformer:
            map_BDHW: torch.Tensor = self.net(img_BCHW)[-1]
            return map_BDHW.flatten(2).transpose(1, 2), None, (map_BDHW.shape[2], map_BDHW.shape[3])
        split = self._frozen_blocks
        frozen = split is not None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            all_BND = self._embed(img_BCHW)
            for block in self.net.blocks[: split or 0]:
                all_BND = block(all_BND)
        for block in self.net.blocks[split or 0 :]:
            all_BND = block(all_BND)
        all_BND = self.net.norm(all_BND)
        grid = img_BCHW.shape[-2] // self.stride, img_BCHW.shape[-1] // self.stride
        return all_BND[:, self.net.num_prefix_tokens :], all_BND[:, 0] if self.has_cls else None, grid

    def _embed(self, img_BCHW: torch.Tensor) -> torch.Tensor:
        net = self.net
        patch_BHWD = net.patch_embed(img_BCHW)
        batch, rows, columns, dim = patch_BHWD.shape
        tok_BND = patch_BHWD.reshape(batch, rows * columns, dim)
        prefix = [t.expand(batch, -1, -1) for t in (net.cls_token, net.reg_token) if t is not None]
        if net.pos_embed is not None:
            own = 0 if net.no_embed_class else net.num_prefix_tokens
            pos_1ND = resample_positions(net.pos_embed[:, own:], net.patch_embed.grid_size, (rows, columns), offset=self._offset)
            tok_BND = tok_BND + pos_1ND.to(tok_BND.dtype)
            if own:
                prefix = [torch.cat(prefix, 1) + net.pos_embed[:, :own]]
        all_BND: torch.Tensor = net.norm_pre(net.patch_drop(net.pos_drop(torch.cat([*prefix, tok_BND], 1))))
        return all_BND

    def _check_size(self, height: int, width: int) -> None:
        if self.is_transformer and (height % self.stride or width % self.stride or not height or not width):
            raise ModelError(
                f"pictures of {height} x {width} pixels do not divide into patches of {self.stride}",
                where=self.name,
                mend=f"resize to {_nearest(height, self.stride)} x {_nearest(width, self.stride)}",
            )
        if self.squares and width > height and width % height:
            raise ModelError(
                f"pictures of {height} x {width} pixels do not divide into squares",
                where=self.name,
                mend=f"resize to {height} x {_nearest(width, height)}",
            )
        if min(height, width) < self.stride:
            raise ModelError(
                f"pictures of {height} x {width} pixels are smaller than a token of {self.stride}", where=self.name, mend="give larger ones"
            )


def _coordinates(rows: int, columns: int) -> torch.Tensor:
    """Of each token, row by row, (N, 8): x to the right, y down, both from -1 to 1, distance from the middle and its square, waves."""
    y_R1 = (2 * torch.arange(rows)[:, None] + 1) / rows - 1
    x_1C = (2 * torch.arange(columns)[None] + 1) / columns - 1
    y, x = y_R1.expand(rows, columns).flatten(), x_1C.expand(rows, columns).flatten()
    away = torch.hypot(x, y)
    waves = [wave(math.pi * axis) for axis in (x, y) for wave in (torch.sin, torch.cos)]
    return torch.stack([x, y, away, away.square(), *waves], 1)


def _side_by_side(img_BCHW: torch.Tensor) -> torch.Tensor:
    """Pictures as squares, from left to right, all of the first picture before those of the second; no wider ones stay as they are."""
    height, width = img_BCHW.shape[-2:]
    if width <= height:
        return img_BCHW
    squares_BSCHH = img_BCHW.reshape(len(img_BCHW), -1, height, width // height, height).permute(0, 3, 1, 2, 4)
    return squares_BSCHH.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _nearest(size: int, patch: int) -> int:
    return max(patch, round(size / patch) * patch)


def _vision_transformer(name: str, pretrained: bool | Path, timm_kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    # timm refuses weights with a norm for a network without one, so it is built with its norm, which is then taken away.
    built_with = {key: value for key, value in timm_kwargs.items() if key != "final_norm" or value is not False}
    try:
        net = timm.create_model(name, num_classes=0, dynamic_img_size=True, **_source(name, pretrained), **built_with)
    except TypeError:
        net = None
    # Subclasses with their own embedding (distilled, relative positions, ...) would be run wrongly by TokenEncoder._embed.
    if not isinstance(net, VisionTransformer) or type(net)._pos_embed is not VisionTransformer._pos_embed:
        raise ModelError(
            "not a vision transformer with patch tokens",
            where=name,
            mend="take another transformer, or give the stride at which a convolutional network is cut: --encoder NAME/16, or stride=16",
        )
    if timm_kwargs.get("final_norm") is False:
        net.norm = nn.Identity()
    return net


def _conv_map(name: str, stride: int, pretrained: bool | Path, timm_kwargs: dict[str, Any]) -> tuple[Any, int]:
    try:
        probe: Any = timm.create_model(name, features_only=True, **timm_kwargs)
        strides = probe.feature_info.reduction()
        formats = getattr(probe, "output_fmt", "NCHW")
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(f"timm gives no feature maps of it ({error})", where=name, mend="choose another encoder") from error
    if stride not in strides or str(getattr(formats, "value", formats)) != "NCHW":
        raise ModelError(f"has no map of stride {stride}", where=name, mend=f"choose one of {', '.join(map(str, strides))}")
    level = len(strides) - 1 - strides[::-1].index(stride)  # the deepest map of that stride
    net: Any = timm.create_model(name, features_only=True, out_indices=(level,), **_source(name, pretrained), **timm_kwargs)
    return net, int(net.feature_info.channels()[-1])


def _source(name: str, pretrained: bool | Path) -> dict[str, Any]:
    if pretrained is False:
        return {"pretrained": False}
    file = hub_weights(name) if pretrained is True else pretrained
    # custom_load is timm's note that a name's first publication was an archive of numpy arrays: this file is none.
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(file), "custom_load": False}}
