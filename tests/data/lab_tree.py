"""A laboratory in worlds-v1's layout, of textures instead of worlds: each place has its own."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from crossfix.data.table import TABLE
from crossfix.data.worldsv1 import DRONE, DRONE_CONDITIONS, GROUND, OWN, SATELLITE, SHOTS, TESTS, TRAINED

COLUMNS = ("file", "role", "place", "kind", "lat", "lon", "height_m", "heading_deg", "pitch_deg")


def write_lab(root: Path, places: int = 3, distractors: int = 1, px: int = 48, trained: int = 0, headings: bool = False) -> Path:
    """Write all test parts, and training parts of some places each; pictures from below say where they look, or do not."""
    for number, part in enumerate((*TESTS, *((TRAINED, *OWN) if trained else ()))):
        tested = part in TESTS
        rows = []
        for place in range(places + distractors if tested else trained):
            rng = np.random.default_rng([number, place])
            texture = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (px, px), interpolation=cv2.INTER_CUBIC)
            name = f"{place + 1:05d}"
            rows.append(_store(root / part, f"{SATELLITE}/{name}.jpg", "gallery", name, texture, number, place))
            if tested and place >= places:
                continue
            for condition in DRONE_CONDITIONS if tested else [str(shot + 1) for shot in range(SHOTS)]:
                seen = np.clip(texture.astype(np.int16) + rng.integers(-20, 21, texture.shape), 0, 255).astype(np.uint8)
                rows.append(_store(root / part, f"{DRONE}-{condition}/{name}.jpg", "query", name, seen, number, place))
            panorama = cv2.resize(texture, (4 * px, px))
            rows.append(_store(root / part, f"{GROUND}/{name}.jpg", "query", name, panorama, number, place))
        if headings:
            rows = [row | ({} if row["kind"] == SATELLITE else {"heading_deg": str(37 * n % 360)}) for n, row in enumerate(rows)]
        with (root / part / TABLE).open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)
    return root


def _store(folder: Path, file: str, role: str, place: str, picture: np.ndarray, part: int, number: int) -> dict[str, str]:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=95)
    kind = path.parent.name.partition("-")[0]
    return {"file": file, "role": role, "place": place, "kind": kind, "lat": f"{40 + 0.01 * number}", "lon": f"{10 * part}"}
