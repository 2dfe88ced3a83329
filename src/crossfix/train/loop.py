"""The training loop: world pairs, symmetric InfoNCE, Lightning Fabric for device and precision, exact resume after a kill.

Everything random is keyed by (seed, step), so a run that was killed and started again ends with the weights it would have had, bit for bit
on the same machine, thread count and packages. Axes: B pairs, C H W channels and pixels, D entries of a descriptor.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import nn

from crossfix.errors import RunError
from crossfix.losses.contrastive import InfoNCE
from crossfix.losses.correspondence import Correspondence
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import save_model
from crossfix.models.gengeo import GenGeo, build
from crossfix.train.augment import augment, plain
from crossfix.train.checkpoint import load_checkpoint, save_checkpoint, tensors_of
from crossfix.train.config import TrainConfig
from crossfix.train.files import write_json
from crossfix.train.folder import RunFolder
from crossfix.train.keys import key, torch_generator
from crossfix.train.optim import average_, learning_rate, make_optimizer
from crossfix.train.overlap import points_on_map
from crossfix.train.pairs import PairBatch, PairSampler, split_places
from crossfix.train.validate import validate
from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank, make_pair_bank

Report = Callable[[int, int], None]
_POINTS = 32  # of a pair; about half of them are seen by both pictures


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves.

    Attributes:
        folder: the run folder, which is a model folder too.
        results: as ``results.json`` holds them.
    """

    folder: Path
    results: dict[str, Any]


def train(
    config: TrainConfig,
    run: Path,
    progress: Report | None = None,
    *,
    bank: PairBank | None = None,
    bank_progress: Report | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> TrainResult:
    """Train a model, or go on where a killed run of the same config stands, or return what a finished one left.

    Args:
        config: what decides the weights.
        run: the run folder.
        progress: told the steps done and all of them after every step.
        bank: the pairs, if there are some already; otherwise they are rendered into the run's ``bank`` folder.
            Its plan takes the place of the config's.
        bank_progress: told the bank's worlds rendered and all of them.
        log: given every record that goes into the log.

    Raises:
        RunError: where the folder holds another run, the checkpoint is damaged, or the loss is not finite.
        InputError: where the config makes no sense with the bank.
        DiskError: where the folder cannot be written.
    """
    if bank is not None:
        config = dataclasses.replace(config, bank=bank.plan)
    folder = RunFolder(run, config.to_dict())
    if folder.results is None:
        trainer = _Trainer(config, folder, bank or make_pair_bank(run / "bank", config.bank, progress=bank_progress), log)
        trainer.run(progress)
        trainer.finish()
    return TrainResult(run, folder.results or {})


class _Siamese(nn.Module):
    """Model and loss as one module, so that Fabric sets up precision for both."""

    def __init__(self, model: GenGeo, loss: InfoNCE, tokens: Correspondence | None, tokens_weight: float) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.tokens = tokens
        self.tokens_weight = tokens_weight

    def forward(self, batch: _Prepared) -> torch.Tensor:
        """The loss; both views pass as one batch, so that they share their normalisation statistics as they share the weights."""
        tok_BND, cls_BD = self.model.encoder(torch.cat([batch.satellite_BCHW, batch.drone_BCHW]))
        satellite_BD, drone_BD = self.model.head(tok_BND, cls_BD).chunk(2)
        loss: torch.Tensor = self.loss(drone_BD, satellite_BD, batch.place_B)
        if self.tokens is None:
            return loss
        satellite_BND, drone_BND = tok_BND.chunk(2)
        term: torch.Tensor = self.tokens(drone_BND, satellite_BND, batch.drone_BT2, batch.satellite_BT2, batch.seen_BT)
        return loss + self.tokens_weight * term


class _Prepared(NamedTuple):
    """A micro-batch as the network takes it: both views' pictures, and points that both show where tokens are matched."""

    satellite_BCHW: torch.Tensor
    drone_BCHW: torch.Tensor
    place_B: torch.Tensor
    satellite_BT2: torch.Tensor
    drone_BT2: torch.Tensor
    seen_BT: torch.Tensor


class _Trainer:
    """One run: its modules, where it stands, and how it steps."""

    def __init__(self, config: TrainConfig, folder: RunFolder, bank: PairBank, log: Callable[[dict[str, Any]], None] | None) -> None:
        self.config, self.folder, self.bank, self.log = config, folder, bank, log
        train_rows, self.held_rows = split_places(bank.region, config.held_out)
        self.sampler = PairSampler(bank, train_rows, config.batch, config.seed, config.together)

        self.fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)  # type: ignore[arg-type]
        torch.manual_seed(key(config.seed, 0, "weights"))
        model = build(config.arch)
        tokens = Correspondence(model.encoder.dim) if config.tokens_weight > 0 else None
        self.module = _Siamese(model, InfoNCE(config.temperature, config.label_smoothing), tokens, config.tokens_weight)
        self.module.to(self.fabric.device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.module.model) if config.ema > 0 else None
        optimizer = make_optimizer(self.module, config.optim)
        self.kept = {"module": self.module} | ({} if self.average is None else {"average": self.average})
        self.progress, self.best = load_checkpoint(folder.path, self.kept, optimizer)
        folder.cut_log(self.progress.step)
        self.wrapped, self.optimizer = self.fabric.setup(self.module, optimizer)
        self.mean_C11 = torch.tensor(config.mean, device=self.fabric.device)[:, None, None]
        self.std_C11 = torch.tensor(config.std, device=self.fabric.device)[:, None, None]

    def run(self, report: Report | None) -> None:
        """Step until the schedule's end, with validations and checkpoints on the way."""
        config = self.config
        started = time.monotonic() - self.progress.seconds
        window = _Window()
        for step in range(self.progress.step, config.steps):
            record = self._step(step, window)
            window.steps += 1
            self.progress.step = step + 1
            self.progress.seconds = time.monotonic() - started
            last = step + 1 == config.steps
            if (step + 1) % config.log_every == 0 or last:
                self._write(record | window.flush(2 * config.batch * config.accumulate))
            validates = (step + 1) % config.validate_every == 0 or last
            if validates:
                self._validate()
                self.progress.seconds = time.monotonic() - started
                window = _Window()  # a validation's time is none of a step's
            if validates or (step + 1) % config.checkpoint_every == 0:
                save_checkpoint(self.folder.path, self.progress, self.kept, self.optimizer.optimizer, self.best)
            if report is not None:
                report(step + 1, config.steps)

    def _step(self, step: int, window: _Window) -> dict[str, Any]:
        config = self.config
        rate = learning_rate(step, config.steps, config.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.module.train()
        torch.manual_seed(key(config.seed, step, "dropout"))
        total = 0.0
        for micro in range(config.accumulate):
            number = step * config.accumulate + micro
            began = time.monotonic()
            batch = self.sampler.read(number)
            prepared = self._prepare(batch, number, step)
            window.data += time.monotonic() - began
            try:
                loss = self.wrapped(prepared)
            except RunError as error:  # the loss is not finite
                raise self._failed(step, error.what) from error
            self.fabric.backward(loss / config.accumulate)
            total += float(loss.detach()) / config.accumulate
        norm = self.fabric.clip_gradients(self.wrapped, self.optimizer, max_norm=config.optim.clip_norm, error_if_nonfinite=False)
        grad_norm = float(norm) if norm is not None else 0.0
        if not np.isfinite(grad_norm):
            raise self._failed(step, "the gradient is not finite")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            average_(self.average, self.module.model, config.ema, step)
        return {
            "step": step + 1,
            "loss": round(total, 5),
            "rate": rate,
            "temperature": round(self.module.loss.temperature, 5),
            "grad_norm": round(grad_norm, 4),
        }

    def _failed(self, step: int, what: str) -> RunError:
        mend = "start again in another folder with a lower learning rate or more warm-up"
        return RunError(f"step {step + 1} failed: {what}", where=self.folder.path, mend=mend)

    def _prepare(self, batch: PairBatch, number: int, step: int) -> _Prepared:
        config, device = self.config.augment, self.fabric.device
        strength = config.strength(step)
        seed, px = self.config.seed, self.config.arch.px
        mirror_B = torch.rand(len(batch.place_B), generator=torch_generator(seed, number, "mirror")) < (0.5 if config.mirror else 0.0)
        turn_B = self._turns(batch, number)
        views, warps = [], []
        for name, picture_BHWC, warp, margin in (
            ("satellite", batch.satellite_BHWC, config.satellite, SATELLITE_MARGIN),
            ("drone", batch.drone_BHWC, config.drone, 1.0),
        ):
            img_BCHW, theta_B23 = augment(
                torch.from_numpy(picture_BHWC).to(device),
                px,
                warp,
                config.colour,
                torch_generator(seed, number, name),
                margin=margin,
                strength=strength,
                mirror_B=mirror_B,
                turn_B=turn_B[name],
            )
            views.append(self._normalise_(img_BCHW))
            warps.append(theta_B23)
        drone_BT2 = torch.rand(len(batch.place_B), _POINTS, 2, generator=torch_generator(seed, number, "points")) * 2 - 1
        satellite_BT2, seen_BT = points_on_map(drone_BT2, batch.poses, warps[1], warps[0])
        place_B = torch.from_numpy(batch.place_B).to(device)
        return _Prepared(views[0], views[1], place_B, satellite_BT2.to(device), drone_BT2.to(device), seen_BT.to(device))

    def _turns(self, batch: PairBatch, number: int) -> dict[str, torch.Tensor | None]:
        """Angles by which both views are turned besides their augmentation: none, or those that ``AugmentConfig.upright`` says."""
        if not self.config.augment.upright:
            return {"satellite": None, "drone": None}
        quarter_B = torch.randint(4, (len(batch.place_B),), generator=torch_generator(self.config.seed, number, "quarter"))
        upright_B = (batch.poses.heading_deg / 90).round()
        return {"satellite": quarter_B * (math.pi / 2), "drone": (quarter_B - upright_B) * (math.pi / 2)}

    def _normalise_(self, img_BCHW: torch.Tensor) -> torch.Tensor:
        return img_BCHW.sub_(self.mean_C11).div_(self.std_C11)

    def _validate(self) -> None:
        model = self.module.model if self.average is None else self.average
        model.eval()

        def describe(picture_BHWC: npt.NDArray[np.uint8], margin: float) -> torch.Tensor:
            img_BCHW = plain(torch.from_numpy(picture_BHWC).to(self.fabric.device), self.config.arch.px, margin=margin)
            img_BCHW = img_BCHW.contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), self.fabric.autocast():
                desc_BD: torch.Tensor = model(self._normalise_(img_BCHW))
            return desc_BD.float()

        scores = validate(self.bank, self.held_rows, describe, 2 * self.config.batch, turns=self.config.query_turns)
        self._write({"step": self.progress.step, "validation": scores})
        if scores["r1"] >= self.progress.best.get("r1", -1.0):
            self.progress.best = {"step": self.progress.step, **scores}
            self.best = {name: tensor.clone() for name, tensor in tensors_of(model).items()}

    def _write(self, record: dict[str, Any]) -> None:
        record = record | {"seconds": round(self.progress.seconds, 3)}
        self.folder.log(record)
        if self.log is not None:
            self.log(record)

    def finish(self) -> None:
        """Write the best weights as a model folder, then the results, which mark the run as finished."""
        config, progress = self.config, self.progress
        model = self.module.model
        model.load_state_dict(self.best)
        results = {
            "recipe": config.recipe,
            "steps": config.steps,
            "pairs": config.steps * config.batch * config.accumulate,
            "seconds": round(progress.seconds, 1),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "training_places": len(self.sampler.rows),
            "validation": progress.best,
        }
        card = ModelCard(
            name=config.recipe,
            architecture=config.arch,
            preprocessing=Preprocessing(px=config.arch.px, mean=config.mean, std=config.std),
            training_data=f"{len(self.sampler.rows)} procedural places of {', '.join(sorted(set(self.bank.region)))}",
            recipe=config.to_dict(),
            seed=config.seed,
            metrics={"validation": progress.best},
            licence=config.licence,
            query_turns=config.query_turns,
        )
        card = save_model(self.folder.path, model.cpu(), card)
        write_json(self.folder.path / "results.json", results | {"sha256": card.sha256})


class _Window:
    """What the steps since the last log line spent."""

    def __init__(self) -> None:
        self.start, self.data, self.steps = time.monotonic(), 0.0, 0

    def flush(self, images_a_step: int) -> dict[str, float]:
        """Pictures a second, and the share of the time that went into reading and augmenting; the count starts anew."""
        spent = max(time.monotonic() - self.start, 1e-9)
        speed = {"images_per_s": round(self.steps * images_a_step / spent, 1), "data_share": round(self.data / spent, 4)}
        self.start, self.data, self.steps = time.monotonic(), 0.0, 0
        return speed
