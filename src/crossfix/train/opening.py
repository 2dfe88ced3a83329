"""What a run begins with: its folder, its pairs, and the order they come in, from a config and what the command line adds to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crossfix.clouds.layout import cloud_folder
from crossfix.data.registry import open_dataset
from crossfix.errors import DataError, InputError
from crossfix.train.cameras import ViewCameras
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.dataset_source import DatasetSource
from crossfix.train.files import read_json
from crossfix.train.folder import RunFolder
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.order import RandomOrder
from crossfix.train.pairs import BankSource
from crossfix.train.reading import Reader
from crossfix.train.samplers import NeighbourOrder
from crossfix.train.source import PairSource, Sampler
from crossfix.train.start import Start
from crossfix.train.training_clouds import CloudDraw, FoundClouds, sampled
from crossfix.worlds.pairs import PairBank, make_pair_bank

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Given:
    """What a run needs and what does not decide its weights; see `crossfix.train.loop.train`."""

    bank: PairBank | None = None
    root: Path | None = None
    workers: int | None = None
    memory_gb: float = 0.0
    bank_progress: Report | None = None
    clouds: Path | None = None
    cloud_cache: Path | None = None
    cloud_progress: Report | None = None
    start: Start | None = None


def open_run(config: TrainConfig, run: Path, given: Given) -> tuple[TrainConfig, RunFolder, Callable[[], tuple[PairSource, Sampler]]]:
    """Claim a run's folder, and say how to get its pairs.

    Args:
        config: as the recipe has it.
        run: the folder.
        given: the rest.

    Returns:
        The config as it is run, the folder, and a function that gives pairs and sampler: it may have to render them.

    Raises:
        RunError: where the folder holds another run.
        InputError: where the config makes no sense with the pairs, or the model that the run begins with is not said.
        ModelError: where that model is another network.
        DataError: where the data set is not whole.
    """
    if given.start is not None:
        config = given.start.recorded(config)
    elif _needs_start(config, run):
        raise InputError("this training begins with the weights of a model", where=run, mend="say which: --start MODEL")
    if given.clouds is not None and (config.geolink is None or config.geolink.clouds == "none"):
        raise InputError("this recipe trains on pictures alone", where=given.clouds, mend="leave --clouds out")
    if isinstance(config.data, SetData):
        return _open_set(config, config.data, run, given)
    if given.root is not None:
        raise InputError("this recipe renders what it trains on", where=given.root, mend="leave --data out")
    plan = config.data if given.bank is None else given.bank.plan
    config = dataclasses.replace(config, data=plan).resolved((plan.places - config.held_out) // config.batch)

    def pairs() -> tuple[PairSource, Sampler]:
        bank = given.bank or make_pair_bank(run / "bank", plan, progress=given.bank_progress)
        source = BankSource(bank, config.held_out, config.seed, config.ground)
        return source, make_sampler(config, source, run)

    return config, RunFolder(run, config.to_dict()), pairs


def _needs_start(config: TrainConfig, run: Path) -> bool:
    """Whether a training makes no sense from random numbers, or this one has begun with a model's weights before."""
    alone = config.ground is not None and config.ground.alone
    return alone or bool(config.start) or ((run / "config.json").exists() and bool(read_json(run / "config.json").get("start")))


def _open_set(
    config: TrainConfig, data: SetData, run: Path, given: Given
) -> tuple[TrainConfig, RunFolder, Callable[[], tuple[PairSource, Sampler]]]:
    if given.bank is not None:
        raise InputError("this recipe trains on a data set", where=config.recipe, mend="leave --bank out")
    if given.root is None:
        raise InputError(f"this recipe trains on {data.name}", where=config.recipe, mend=f"say where it is: --data {data.name}:ROOT")
    dataset = open_dataset(data.name, given.root)
    source = DatasetSource(dataset, data, config.held_out, config.seed, Reader(given.workers, given.memory_gb), config.ground)
    if config.query_turns == 4 and not source.knows_headings:
        mend = 'choose heading="quarters"' if data.panoramas else "leave upright out"
        raise InputError(f"{data.name} {data.split} does not say how its pictures lie", where=config.recipe, mend=mend)
    extra = {} if config.geolink is None else _add_clouds(config, config.geolink, source, dataset.root, run, given)
    sampler = make_sampler(config, source, run)
    config = config.resolved(sampler.batches_per_epoch)
    values = config.to_dict()
    values["data"]["fingerprint"] = source.fingerprint
    if extra:
        values["geolink"] |= extra
    return config, RunFolder(run, values), lambda: (source, sampler)


def _add_clouds(config: TrainConfig, chosen: GeoLinkTraining, source: DatasetSource, root: Path, run: Path, given: Given) -> dict[str, str]:
    """Give a source the clouds of its places; returns what the run's config has to say of them besides."""
    data = source.data
    if source.apart_NS is not None and data.semi_positives == "neutral":
        what = f"{data.name} has semi-positive pictures, which the terms with 3D know nothing of"
        raise InputError(what, where=config.recipe, mend='give semi_positives "negatives"')
    if chosen.clouds == "none":
        return {}
    folder = given.clouds or cloud_folder(root, data.name, data.split)
    found = FoundClouds.of(folder, source.places, chosen.group)
    extra = {"fingerprint": found.fingerprint}
    if (run / "config.json").exists():  # a folder of another run is refused before minutes go into sampling
        values = config.to_dict()
        values["geolink"] |= extra
        values["data"]["fingerprint"] = source.fingerprint
        RunFolder(run, values | {"steps": read_json(run / "config.json").get("steps")})
    clouds = sampled(found, chosen, given.cloud_cache or run, workers=given.workers, progress=given.cloud_progress)
    if chosen.without == "leave out":
        source.leave_out([number for number, place in enumerate(source.places) if place not in clouds.rows])
    cameras = ViewCameras(found) if chosen.terms.tokens else None
    if chosen.terms.ground_tokens:
        source.find_eyes()
    how = {"wrong": chosen.clouds == "wrong", "flat": chosen.clouds == "flat"}
    if (chosen.terms.in_metres or chosen.clouds == "flat") and not clouds.metres_M.any():
        what = f"no cloud is in metres about its place, as {' and '.join(chosen.terms.in_metres) or 'flat clouds'} want them"
        raise DataError(what, where=folder, mend="train without, or on clouds of worlds")
    try:
        source.clouds = CloudDraw(clouds, source.places, source.place_N, config.seed, **how, cameras=cameras)
    except DataError as error:
        raise DataError(error.what, where=folder, mend=error.mend) from error
    whose = "clouds of other places" if chosen.clouds == "wrong" else "clouds"
    source.about += f", and {whose} of {len(source.clouds.giver)} of these places in training"
    return extra


def sample_ahead(config: TrainConfig, root: Path, cache: Path, progress: Report | None = None) -> None:
    """Sample the clouds that a training with 3D will want, so that several trainings find them; for others there is nothing to do.

    Args:
        config: the run's.
        root: of the copy of the data set.
        cache: folder that the trainings will be given.
        progress: told the clouds read and all of them.

    Raises:
        DataError: where clouds are missing, or none can be used.
    """
    chosen, data = config.geolink, config.data
    if chosen is None or chosen.clouds == "none" or not isinstance(data, SetData):
        return
    source = DatasetSource(open_dataset(data.name, root), data, config.held_out, config.seed, Reader(1))
    found = FoundClouds.of(cloud_folder(root, data.name, data.split), source.places, chosen.group)
    sampled(found, chosen, cache, progress=progress)


def make_sampler(config: TrainConfig, source: PairSource, run: Path) -> Sampler:
    """The sampler that a config asks for.

    Args:
        config: the run's.
        source: the pairs.
        run: the run's folder, where a sampler keeps what it has mined.

    Raises:
        InputError: where the pairs are too few for it.
    """
    if config.neighbours is None:
        return RandomOrder(source.place_N, config.batch, config.seed, config.together, source.world_N)
    apart_NS = source.apart_NS if isinstance(config.data, SetData) and config.data.semi_positives == "apart" else None
    position_NX = source.position_N3
    return NeighbourOrder(source.place_N, config.batch, config.seed, run, config.neighbours, position_NX=position_NX, apart_NS=apart_NS)
