"""Put a model into the package as gengeo-tiny, its card with how it was made and what it reaches.

crossfix train gengeo-tiny -o runs/tiny --start models/tiny-drone      # and before it what README.md says
python benchmarks/bundle_model.py runs/tiny WORK
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import crossfix.models
from crossfix.evaluate.bank import chips, score_bank
from crossfix.evaluate.baselines import ColourHistogram, RotatedHog
from crossfix.models.describe import Describer
from crossfix.models.folder import load_model, save_model
from crossfix.train.folder import environment
from worlds_banks import bank

TASKS = {"test": "training_regions_unseen_places", "desert": "unseen_region_desert", "delta": "unseen_region_delta"}


def cpu_ms(job: Callable[[], object], pictures: int) -> float:
    """Processor time a picture, of the second go."""
    job()
    start = time.process_time()
    job()
    return round((time.process_time() - start) / pictures * 1000, 2)


def main(run: Path, work: Path) -> None:
    target = Path(crossfix.models.__file__).parent / "weights" / "gengeo-tiny"
    target.mkdir(parents=True, exist_ok=True)
    model, card = load_model(run)
    save_model(target, model, dataclasses.replace(card, dtype="float16"))
    model, card = load_model(target)  # what users get is measured: rounded to half precision
    describer = Describer(model, card)
    ways = {"model": describer, "colour_histogram": ColourHistogram(), "hog_12_rotations": RotatedHog()}
    retrieval = {}
    for name, task in TASKS.items():
        retrieval[task] = {way: score_bank(bank(work, name), how).to_dict()["metrics"] for way, how in ways.items()}
        print(task, {way: round(found["R@1"]["value"], 3) for way, found in retrieval[task].items()}, flush=True)
    pictures = chips(bank(work, "test"))[:128]
    panoramas = list(np.random.default_rng(0).integers(0, 256, (16, 64, 256, 3), dtype=np.uint8))
    machine = environment()
    results = json.loads((run / "results.json").read_text())
    metrics = {
        "drone_to_satellite_300_places_heading_unknown": retrieval,
        "cpu_ms_an_image": cpu_ms(lambda: describer.describe(pictures), len(pictures)),
        "cpu_ms_a_panorama_at_twelve_turns": cpu_ms(lambda: describer.describe_query(panoramas, kind="ground"), len(panoramas)),
        "cpu_of_these": f"{machine['cpu']}, {machine['cpu_capability']}",
        "training": {key: results[key] for key in ("steps", "pairs", "seconds", "training_places", "validation")}
        | {"environment": json.loads((run / "environment.json").read_text())},
    }
    card = dataclasses.replace(
        card,
        description="Drones at 80 to 300 m and panoramas to satellite pictures, any heading: GenGeo on a ResNet-34 cut at stride 8, "
        "panoramas redrawn from above before an encoder of their own; trained on procedural worlds alone, no real image.",
        metrics=metrics,
    )
    saved = save_model(target, model, card)
    print(target, saved.sha256)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
