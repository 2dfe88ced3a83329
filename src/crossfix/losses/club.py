"""An upper bound of the mutual information between two descriptors, whose network is really fitted.

Source: vCLUB, Cheng et al., "CLUB: A Contrastive Log-ratio Upper Bound of Mutual Information", ICML 2020. GeoLink's "geometric-aware
semantic refinement" minimises it between each view's descriptor and the cloud's; its published code never fits the network, by which the
term bounds nothing.

Axes: B rows of the batch, S sets of rows, X entries of the first descriptor, Y entries of the second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.func import functional_call

from crossfix.errors import RunError


class Club(nn.Module):
    """q(y | x), a Gaussian whose mean and log-variance are perceptrons of x, and the bound made with it.

    Three things keep it in scale at thousands of dimensions: entries of unit-norm descriptors are multiplied by the root of their number,
    so that their variance is about 1; log-variances stay within a bound; and everything is a mean over y's entries, in nats an entry. The
    last layers start at zero: until q has learnt something the bound is zero and pulls at nothing. All in float32 even under autocast.

    Two losses are to be minimised in alternation, or in one step, since their gradients do not meet: `fit_loss` trains q and treats
    descriptors as data, `forward` trains the descriptors and treats q as a constant.

    Args:
        x_dim: X.
        y_dim: Y.
        hidden: width of both perceptrons.
        bound: log-variances lie between minus and plus this; at 3 a standard deviation between 0.22 and 4.5 of an entry's own.
        unit_norm: descriptors have unit norm and are multiplied as said above; False takes them as they are.
    """

    def __init__(self, x_dim: int, y_dim: int, hidden: int = 128, *, bound: float = 3.0, unit_norm: bool = True) -> None:
        super().__init__()
        self.bound = bound
        self.unit_norm = unit_norm
        self.mean = nn.Sequential(nn.Linear(x_dim, hidden), nn.ReLU(), nn.Linear(hidden, y_dim))
        self.log_variance = nn.Sequential(nn.Linear(x_dim, hidden), nn.ReLU(), nn.Linear(hidden, y_dim))
        for head in (self.mean, self.log_variance):
            last = head[2]
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x_BX: torch.Tensor, y_BY: torch.Tensor, sets: int = 1) -> torch.Tensor:
        """The bound in nats an entry of y: mean log q(y_i | x_i) less mean log q(y_j | x_i) over all j other than i.

        The diagonal is left out of the second mean: with it the bound sinks by 1 / B and may fall under the information itself. No gradient
        reaches q's weights.

        Args:
            x_BX: descriptors.
            y_BY: the other descriptors; row i belongs to row i.
            sets: the batch is made of so many sets of equal size, one after the other; j runs over the rows of i's own set, and the bound
                is the mean of the sets'.

        Raises:
            RunError: if there are fewer than two rows, or the result is not finite.
        """
        if len(x_BX) < 2 * sets:
            raise RunError("mutual information of a single pair cannot be estimated", mend="use batches of two and more")
        with torch.autocast(x_BX.device.type, enabled=False):
            mean_BY, log_variance_BY = self._predict(x_BX, {name: weight.detach() for name, weight in self.named_parameters()})
            y_SBY, mean_SBY = self._scaled(y_BY).view(sets, -1, y_BY.shape[1]), mean_BY.view(sets, -1, y_BY.shape[1])
            own_SBY = (mean_SBY - y_SBY).square()
            # Sums over all j from each set's first two moments: no tensor of pairs.
            rows, centre_S1Y = y_SBY.shape[1], y_SBY.mean(1, keepdim=True)
            all_SBY = rows * (mean_SBY - centre_S1Y).square() + (y_SBY - centre_S1Y).square().sum(1, keepdim=True)
            gap_SBY = (all_SBY - own_SBY) / (rows - 1) - own_SBY
            bound = (gap_SBY * (-log_variance_BY).exp().view_as(gap_SBY)).mean() / 2
        return _finite(bound, "mutual information")

    def likelihood_loss(self, x_BX: torch.Tensor, y_BY: torch.Tensor) -> torch.Tensor:
        """Mean of -log q(y_i | x_i) in nats an entry, with gradients to the descriptors and none to q: what x does not tell of y."""
        return self._loss(x_BX, y_BY, {name: weight.detach() for name, weight in self.named_parameters()})

    def fit_loss(self, x_BX: torch.Tensor, y_BY: torch.Tensor) -> torch.Tensor:
        """Mean of -log q(y_i | x_i) in nats an entry, with gradients to q and none to the descriptors."""
        return self._loss(x_BX.detach(), y_BY.detach(), dict(self.named_parameters()))

    def _loss(self, x_BX: torch.Tensor, y_BY: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with torch.autocast(x_BX.device.type, enabled=False):
            mean_BY, log_variance_BY = self._predict(x_BX, weights)
            gap_BY = (self._scaled(y_BY) - mean_BY).square() * (-log_variance_BY).exp()
            return _finite((gap_BY + log_variance_BY + math.log(2 * math.pi)).mean() / 2, "likelihood")

    def _predict(self, x_BX: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        x_BX = self._scaled(x_BX)
        parts = []
        for name, head in (("mean", self.mean), ("log_variance", self.log_variance)):
            own = {key.removeprefix(f"{name}."): weight for key, weight in weights.items() if key.startswith(f"{name}.")}
            parts.append(functional_call(head, own, (x_BX,)))
        return parts[0], self.bound * torch.tanh(parts[1] / self.bound)

    def _scaled(self, value_BX: torch.Tensor) -> torch.Tensor:
        return value_BX.float() * (math.sqrt(value_BX.shape[1]) if self.unit_norm else 1.0)


def _finite(value: torch.Tensor, name: str) -> torch.Tensor:
    if not torch.isfinite(value):
        raise RunError(f"the {name} term is {value.item()}", mend="lower the learning rate or train in bf16-mixed")
    return value
