"""Put a model into the package as gengeo-tiny, its card with how it was made and what it reaches.

crossfix model average runs/tiny-drone runs/tiny -o models/tiny
python benchmarks/bundle_model.py models/tiny runs/tiny WORK
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import crossfix.models
from crossfix.evaluate.bank import chips, score_bank
from crossfix.evaluate.baselines import ColourHistogram, RotatedHog
from crossfix.models.describe import Describer
from crossfix.models.folder import load_model, save_model
from worlds_banks import bank

TASKS = {"test": "training_regions_unseen_places", "desert": "unseen_region_desert", "delta": "unseen_region_delta"}


def main(folder: Path, run: Path, work: Path) -> None:
    target = Path(crossfix.models.__file__).parent / "weights" / "gengeo-tiny"
    target.mkdir(parents=True, exist_ok=True)
    model, card = load_model(folder)
    save_model(target, model, dataclasses.replace(card, dtype="float16"))
    model, card = load_model(target)  # what users get is measured: rounded to half precision
    describer = Describer(model, card)
    ways = {"model": describer, "colour_histogram": ColourHistogram(), "hog_12_rotations": RotatedHog()}
    retrieval = {}
    for name, task in TASKS.items():
        retrieval[task] = {way: score_bank(bank(work, name), how).to_dict()["metrics"] for way, how in ways.items()}
        print(task, {way: round(found["R@1"]["value"], 3) for way, found in retrieval[task].items()}, flush=True)
    pictures = chips(bank(work, "test"))[:128]
    describer.describe(pictures)
    start = time.process_time()
    describer.describe(pictures)
    results = json.loads((run / "results.json").read_text())
    metrics = {
        "drone_to_satellite_300_places_heading_unknown": retrieval,
        "cpu_ms_an_image": round((time.process_time() - start) / len(pictures) * 1000, 2),
        "training": {key: results[key] for key in ("steps", "pairs", "seconds", "training_places", "validation")}
        | {"environment": json.loads((run / "environment.json").read_text())},
    }
    card = dataclasses.replace(
        card,
        description="GenGeo with a ResNet-34 cut at stride 8 and shared SALAD clusters, for drone to satellite at 80 to 300 m, with "
        "unknown heading by four quarter turns of the photo; the average of two stages, the second with weather and panoramas (which it "
        "hardly tells apart), trained on procedural worlds alone, no real image.",
        metrics=metrics,
    )
    saved = save_model(target, model, card)
    print(target, saved.sha256)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
