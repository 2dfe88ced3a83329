"""The training loop: pairs of two views, symmetric InfoNCE, Lightning Fabric for device and precision, exact resume after a kill.

Everything random is keyed by (seed, step), so a run that was killed and started again ends with the weights it would have had, bit for bit
on the same machine, thread count and packages. Axes: B pairs, N training pairs, D entries of a descriptor.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from crossfix.disk import write_json
from crossfix.errors import RunError
from crossfix.losses.contrastive import InfoNCE, NotFiniteError
from crossfix.losses.correspondence import Correspondence
from crossfix.models.card import ModelCard
from crossfix.models.folder import save_model
from crossfix.models.gengeo import GenGeo, build, fitted
from crossfix.models.geolink import GeoLinkBatch
from crossfix.models.precision import unemulated
from crossfix.train.checkpoint import load_checkpoint, save_checkpoint, tensors_of
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.folder import RunFolder
from crossfix.train.gather import mean_gradients_
from crossfix.train.keys import key
from crossfix.train.linked import LinkBatches, Linked, build_linked, check_alone, teach
from crossfix.train.memory import keep_freed_memory
from crossfix.train.opening import Given, Report, open_run
from crossfix.train.optim import average_, learning_rate, make_optimizer, set_rate
from crossfix.train.prepare import Prepare, Prepared
from crossfix.train.processes import Process, joined
from crossfix.train.reading import Ahead
from crossfix.train.siamese import Siamese, recompute_
from crossfix.train.source import Bytes, PairBatch, PairSource, Sampler, Side
from crossfix.train.start import Start
from crossfix.train.validate import validate
from crossfix.worlds.pairs import PairBank

_AHEAD = 2  # micro-batches of a data set read while the network runs
_NAMED = 3  # pictures that an error names; failed.json names all of the step


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
    root: Path | None = None,
    workers: int | None = None,
    memory_gb: float = 0.0,
    bank_progress: Report | None = None,
    clouds: Path | None = None,
    cloud_cache: Path | None = None,
    cloud_progress: Report | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
    start: str | Path | None = None,
) -> TrainResult:
    """Train a model, or go on where a killed run of the same config stands, or return what a finished one left.

    Under ``torchrun`` the processes share every batch; a run may go on with another number of them.

    Args:
        config: what decides the weights.
        run: the run folder.
        progress: told the steps done and all of them after every step.
        bank: the pairs, if there are some already; otherwise they are rendered into the run's ``bank`` folder.
            Its plan takes the place of the config's.
        root: of the copy of the data set, for configs that train on one. ``config.json`` holds a fingerprint of the split's files instead.
        workers: threads that read a data set's pictures; as many as there are cores if none is given.
        memory_gb: pictures of a data set are kept, resized, until they take so much memory.
        bank_progress: told the bank's worlds rendered and all of them.
        clouds: folder of the places' clouds, for configs that train with 3D; where `crossfix clouds build` puts them if none is given.
        cloud_cache: folder for the points sampled of them, which several runs may share; the run's own if none is given.
        cloud_progress: told the clouds read and all of them.
        log: given every record that goes into the log.
        start: name or folder of the model whose weights the run begins with; of a killed run's, too, when it goes on.

    Raises:
        RunError: where the folder holds another run, the checkpoint is damaged, or the loss is not finite.
        InputError: where the config makes no sense with the pairs, or the model that the run begins with is not said.
        ModelError: where that model is another network, or damaged.
        DataError: where the data set is not whole, or a picture cannot be read.
        DiskError: where the folder cannot be written.
    """
    keep_freed_memory()
    begun = None if start is None else Start.of(start)
    given = Given(bank, root, workers, memory_gb, bank_progress, clouds, cloud_cache, cloud_progress, begun)
    with joined() as process:
        if config.geolink is not None:
            check_alone(process.count, "3D")
        if config.ground is not None:
            check_alone(process.count, "ground views")
        with process.first_alone():
            config, folder, pairs = open_run(config, run, given)
            todo = folder.results is None
        if todo:
            with process.first_alone():
                source, sampler = pairs()
            trainer = _Trainer(config, folder, source, sampler, log, process, begun)
            try:
                trainer.run(progress if process.first else None)
            finally:
                trainer.batches.close()
            with process.first_alone():
                if process.first:
                    trainer.finish()
        return TrainResult(run, folder.results or {})


class _Trainer:
    """One run: its modules, where it stands, and how it steps."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        source: PairSource,
        sampler: Sampler,
        log: Callable[[dict[str, Any]], None] | None,
        process: Process,
        start: Start | None = None,
    ) -> None:
        self.config, self.folder, self.source, self.sampler, self.log, self.process = config, folder, source, sampler, log, process
        self.start = start
        devices = [process.local] if torch.cuda.is_available() else 1
        self.precision = unemulated(config.precision, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        self.fabric = Fabric(accelerator="auto", devices=devices, precision=self.precision)  # type: ignore[arg-type]
        torch.manual_seed(key(config.seed, 0, "weights"))
        self.module: Siamese | Linked = _siamese(config) if config.geolink is None else build_linked(config, config.geolink)
        model = self.module.model
        if start is not None:
            model.load_state_dict(fitted(model.state_dict(), start.tensors))
        self.module.to(self.fabric.device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.module.model) if config.ema > 0 else None
        if config.recompute:
            recompute_(model.encoder)
        apart = self.module.q_parameters() if isinstance(self.module, Linked) else []
        optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": make_optimizer(self.module, config.optim, model.encoder, apart)}
        if apart and config.geolink is not None:
            optimizers["q"] = torch.optim.AdamW(apart, lr=config.geolink.q_rate, weight_decay=0.0)
        self.kept = {"module": self.module} | ({} if self.average is None else {"average": self.average})
        self.progress, self.best = load_checkpoint(folder.path, self.kept, optimizers)
        if process.first:
            folder.cut_log(self.progress.step or -1)  # a run begun anew teaches its teacher, at step 0, again
        self.wrapped, *wrapped = self.fabric.setup(self.module, *optimizers.values())
        self.optimizers = dict(zip(optimizers, wrapped, strict=True))
        multiple = model.encoder.step((config.preprocessing.ground_hw or (config.arch.px,))[0])
        self.prepare = Prepare(config, source.satellite_margin, multiple, self.fabric.device)
        self.link: LinkBatches | None = None
        if config.geolink is not None:
            grid = model.encoder.grid(config.arch.px, config.arch.px)
            self.link = LinkBatches(config.geolink, source.clouds, grid, config.seed, self.fabric.device)
        depth = _AHEAD if isinstance(config.data, SetData) else 0
        part = process.part(config.batch)
        self.batches = Ahead(lambda number: partial(source.read, sampler.rows(number), number, part), depth)
        self.epoch = -1

    def run(self, report: Report | None) -> None:
        """Step until the schedule's end, with validations and checkpoints on the way."""
        config = self.config
        started = time.monotonic() - self.progress.seconds
        self._teach()
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
                self._save()
            if report is not None:
                report(step + 1, config.steps)

    def _step(self, step: int, window: _Window) -> dict[str, Any]:
        config = self.config
        rate = learning_rate(step, config.steps, config.optim)
        set_rate(self.optimizers["optimizer"], rate)  # q's is its own, and does not change
        self.module.train()
        torch.manual_seed(key(config.seed, step, "dropout" if self.process.first else f"dropout/{self.process.rank}"))
        total, terms = 0.0, Counter[str]()
        ids: list[str] = []
        for number in range(step * config.accumulate, (step + 1) * config.accumulate):
            began = time.monotonic()
            batch = self._read(number)
            ids += batch.ids
            prepared = self.prepare(batch, number, step)
            given = prepared if self.link is None else self.link(prepared, batch.place_J, number)
            window.data += time.monotonic() - began
            try:
                total += self._backward(given) / config.accumulate
            except RunError as error:
                if self.link is None and not isinstance(error, NotFiniteError):
                    raise
                rows = error.rows if isinstance(error, NotFiniteError) and max(error.rows, default=0) < len(batch.ids) else []
                raise self._failed(step, error.what, batch.ids, [batch.ids[row] for row in rows]) from error
            if isinstance(self.module, Linked):
                terms.update({name: value / config.accumulate for name, value in self.module.parts.items()})
        mean_gradients_(self.module.parameters())
        norms = [
            self.fabric.clip_gradients(self.wrapped, one, max_norm=config.optim.clip_norm, error_if_nonfinite=False)
            for one in self.optimizers.values()
        ]
        grad_norm = float(norms[0]) if norms[0] is not None else 0.0
        if not all(np.isfinite(float(norm)) for norm in norms if norm is not None):
            raise self._failed(step, "the gradient is not finite", ids, [])
        for one in self.optimizers.values():
            one.step()
            one.zero_grad(set_to_none=True)
        if self.average is not None:
            average_(self.average, self.module.model, config.ema, step)
        record = {
            "step": step + 1,
            "loss": round(total, 5),
            "rate": rate,
            "temperature": round(self.module.temperature, 5),
            "grad_norm": round(grad_norm, 4),
        }
        return record | ({"terms": {name: round(value, 5) for name, value in terms.items() if name != "total"}} if terms else {})

    def _backward(self, batch: Prepared | GeoLinkBatch) -> float:
        """Add a micro-batch's gradients; returns its loss, of training with 3D without the loss of the bound's own network."""
        parts, pairs = self.config.accumulate, self.config.cached
        if 0 < pairs < self.config.batch and isinstance(self.module, Siamese) and isinstance(batch, Prepared):
            with self.fabric.autocast():
                return float(self.module.backward_cached(batch, pairs, lambda part: self.fabric.backward(part / parts)))
        loss: torch.Tensor = self.wrapped(batch)
        self.fabric.backward(loss / parts)
        return self.module.parts["total"] if isinstance(self.module, Linked) else float(loss.detach())

    def _teach(self) -> None:
        """Before the first step, a frozen teacher learns and is examined; a run that goes on finds it in its checkpoint."""
        chosen, clouds = self.config.geolink, self.source.clouds
        if self.progress.step or chosen is None or clouds is None or chosen.teacher == "joint" or not isinstance(self.module, Linked):
            return
        facts = teach(self.module.link, clouds, chosen, self.config.seed, self.fabric.device)
        self._write({"step": 0, "teacher": facts})

    def _read(self, number: int) -> PairBatch:
        """Micro-batch ``number``; the sampler begins its epoch before."""
        epoch = number // self.sampler.batches_per_epoch
        if epoch != self.epoch:
            with self.process.first_alone():  # it mines, and the others find what it has found
                self.sampler.begin(epoch, self._embed)
            self.epoch = epoch
        return self.batches.get(number, self.sampler.known)

    def _embed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Describe one picture a side of every training pair with the weights as they are."""
        size, count = 2 * self.config.batch, len(self.source.place_N)
        parts = [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
        sides: list[torch.Tensor] = []
        for side in ("query", "satellite"):
            pictures = Ahead(lambda number, side=side: partial(self.source.pictures, side, parts[number]), _AHEAD)  # type: ignore[misc]
            found = [self._describe(self.module.model, pictures.get(part, len(parts)), side).cpu() for part in range(len(parts))]
            pictures.close()
            sides.append(torch.cat(found))
        self.module.train()
        return sides[0], sides[1]

    def _describe(self, model: GenGeo, picture_BHWC: Bytes, side: Side) -> torch.Tensor:
        model.eval()
        with torch.inference_mode(), self.fabric.autocast():
            desc_BD: torch.Tensor = model(self.prepare.plain(picture_BHWC, side), side)
        return desc_BD.float()

    def _validate(self) -> None:
        model = self.module.model if self.average is None else self.average
        describe = partial(self._describe, model)
        size, held = 2 * self.config.batch, self.source.validation
        scores = validate(held, describe, size, turns=self.config.panorama_turns if held.panoramas else self.config.query_turns)
        if self.source.ground is not None:
            ground = validate(self.source.ground, describe, size, turns=self.config.panorama_turns)
            scores |= {f"ground_{name}": value for name, value in ground.items() if name != "places"}
        self._write({"step": self.progress.step, "validation": scores})
        if _level(scores) >= _level(self.progress.best):
            self.progress.best = {"step": self.progress.step, **scores}
            self.best = {name: tensor.clone() for name, tensor in tensors_of(model).items()}

    def _save(self) -> None:
        """Write a checkpoint, but none of weights that went wrong in the last step: the one before is good."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.module.parameters()):
            raise self._failed(self.progress.step - 1, "it left weights that are not finite", (), [])
        if self.process.first:
            save_checkpoint(self.folder.path, self.progress, self.kept, self._optimizers(), self.best)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {name: one.optimizer for name, one in self.optimizers.items()}

    def _failed(self, step: int, what: str, ids: Sequence[str], bad: list[str]) -> RunError:
        """The error of a step, which names its pictures; all of them are written to ``failed.json``."""
        if self.process.first:
            write_json(self.folder.path / "failed.json", {"step": step + 1, "what": what, "not_finite": bad, "pictures": list(ids)})
        named = [*bad, *(name for name in ids if name not in bad)][:_NAMED]
        whose = f", of {', '.join(named)} and others, see failed.json" if named else ""
        mend = "start again in another folder with a lower learning rate or more warm-up; the last good checkpoint is kept"
        return RunError(f"step {step + 1} failed: {what}{whose}", where=self.folder.path, mend=mend)

    def _write(self, record: dict[str, Any]) -> None:
        if not self.process.first:
            return
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
            "precision": self.precision,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "training_places": len(np.unique(self.source.place_N)),
            "validation": progress.best,
        }
        if self.source.clouds is not None:
            results["clouds"] = self.source.clouds.clouds.report
        card = ModelCard(
            name=config.recipe,
            architecture=config.arch,
            preprocessing=config.preprocessing,
            training_data=self.source.about
            + (f"; the encoder began with published weights, {config.arch.encoder}" if config.pretrained else "")
            + ("" if self.start is None else self.start.about),
            recipe=config.to_dict(),
            seed=config.seed,
            metrics={"validation": progress.best},
            licence=config.licence,
            query_turns=config.query_turns,
            any_view=config.ground is not None,
        )
        card = save_model(self.folder.path, model.cpu(), card)
        write_json(self.folder.path / "results.json", results | {"sha256": card.sha256})


def _level(scores: Mapping[str, float]) -> float:
    """The mean R@1 over kinds of queries, by which weights are kept."""
    found = [scores[name] for name in ("r1", "ground_r1") if name in scores]
    return sum(found) / len(found) if found else -1.0


def _siamese(config: TrainConfig) -> Siamese:
    model = build(config.arch, pretrained=config.pretrained)
    tokens = Correspondence(model.encoder.dim) if config.tokens_weight > 0 else None
    contrast, chosen = partial(InfoNCE, config.temperature, config.label_smoothing), config.ground
    if chosen is None:
        return Siamese(model, contrast(), tokens, config.tokens_weight)
    return Siamese(model, contrast(), tokens, config.tokens_weight, contrast(), chosen.weight, chosen.alone)


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
