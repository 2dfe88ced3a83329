"""Weights that a training goes on from, instead of random numbers: fine-tuning, or a second stage."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from crossfix.errors import ModelError
from crossfix.models.card import ModelCard
from crossfix.models.gengeo import build, fitted
from crossfix.models.registry import UntrainedHeadWarning, open_model
from crossfix.train.config import TrainConfig


@dataclass(frozen=True)
class Start:
    """A model that a training begins with.

    Attributes:
        card: what is known of it.
        tensors: its weights and running averages, float32.
    """

    card: ModelCard
    tensors: dict[str, torch.Tensor]

    @classmethod
    def of(cls, name_or_folder: str | Path) -> Start:
        """The model of this name, or in this folder. An untrained head is no fault here.

        Raises:
            ModelError: if there is none, or it is damaged.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UntrainedHeadWarning)
            model, card = open_model(name_or_folder)
        return cls(card, {name: tensor.detach().float() for name, tensor in model.state_dict().items()})

    def recorded(self, config: TrainConfig) -> TrainConfig:
        """The config with the checksum of these weights, and their licence, which what is made of them has too.

        No other published weights are fetched then.

        Raises:
            ModelError: if the config's network is another.
        """
        with torch.device("meta"):  # shapes alone: nothing is drawn, and a large network takes no memory
            own = build(config.arch).state_dict()
        try:
            fitted(own, self.tensors)
        except ModelError as misfit:
            raise ModelError(
                f"its weights are those of another network than the recipe's: {misfit.what}",
                where=self.card.name,
                mend="start from a model of the recipe's architecture",
            ) from misfit
        return dataclasses.replace(config, start=self.card.sha256, licence=self.card.licence, pretrained=False)

    @property
    def about(self) -> str:
        """For the card of what is made of it."""
        return f"; began with {self.card.name} ({self.card.sha256[:8]}), trained on {self.card.training_data}"
