"""A head fitted on the map, without training, against the bundled model and plain pooling: retrieval on real imagery.

NAIP: photos of one date (35 places, turned at random, scaled by 0.8 to 1.2), the 35 true crops of another date as gallery, all 90 pairs of
dates, by season. The head is fitted on the chips of the gallery's date. Brighton: the 12 drone photos centred on the map, position hidden.
The heading is unknown throughout: a photo's score is that of its best quarter turn.

    python benchmarks/map_fitted.py [--encoder mobilenet|gengeo-tiny] [--stride 16] [--px 128] [--only naip|brighton] [--json FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from brighton import truth
from crossfix.evaluate.imagenet import MobileNetGem
from crossfix.geo.geodesy import LocalFrame
from crossfix.geo.metadata import read_photo
from crossfix.index import fit
from crossfix.index.build import build_index
from crossfix.index.fit import fit_head
from crossfix.locate.query import Query
from crossfix.locate.retrieve import describe, retrieve
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models import registry
from crossfix.models.folder import load_model
from crossfix.models.gengeo import VladConfig
from naip import PX, SEASONS, SIDE_M, date, photos
from shared_folder import shared

PLAN = TilingPlan((453.0, 640.0, 905.0), 0.5)
# Clusters, entries, sharpness of the assignment, and how far the whitening goes.
HEADS = {
    "nearest centre, no whitening": (VladConfig(32, None, None), 0.0),
    "nearest centre, whitened fully (AnyLoc)": (VladConfig(32, 512, None), 1.0),
    "shared out, no whitening": (VladConfig(32, None), 0.0),
    "shared out, whitened fully": (VladConfig(32, 512), 1.0),
    "shared out, whitened half (default)": (VladConfig(32, 512), 0.5),
}


class Remembered:
    """A describer of tokens that encodes the same picture once: the heads differ, the encoder does not."""

    def __init__(self, tokens) -> None:
        self._tokens, self._known = tokens, {}
        self.sha256, self.dim, self.input_px = tokens.sha256, tokens.dim, tokens.input_px

    def describe(self, images) -> np.ndarray:
        """Tokens (B, N * D) of pictures."""
        keys = [hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest() for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self._known}
        if new:
            self._known |= dict(zip(new, self._tokens.describe(list(new.values())), strict=True))
        return np.stack([self._known[key] for key in keys])

    def forget(self) -> None:
        """Drops what is remembered, before the next map."""
        self._known = {}


class Fitted:
    """A fitted head behind remembered tokens."""

    def __init__(self, folder: Path, tokens: Remembered) -> None:
        net, card = load_model(folder / "model")
        self._head, self._features, self._tokens = net.head, net.encoder.dim, tokens
        self.model_id, self.sha256, self.dim, self.input_px = card.name, card.sha256, net.dim, card.preprocessing.px

    @torch.inference_mode()
    def describe(self, images) -> np.ndarray:
        """Descriptors (B, L) of pictures."""
        parts = [images[start : start + 64] for start in range(0, len(images), 64)]
        tokens = (torch.from_numpy(self._tokens.describe(part)).view(len(part), -1, self._features) for part in parts)
        return torch.cat([self._head(part) for part in tokens]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="mobilenet", help="mobilenet, or a model's name or folder")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--stride", type=int, default=16)
    parser.add_argument("--only", choices=["naip", "brighton"])
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    folder = shared()
    weights = folder / "weights" / "mobilenetv2_100.imagenet.safetensors"
    if wanted.encoder == "mobilenet":
        settings = {"pad_type": "same", "mean": 0.5, "std": 0.5}
        encoder = registry.open_encoder("mobilenetv2_100", weights=weights, px=wanted.px, stride=wanted.stride, settings=settings)
    else:
        encoder = registry.open_encoder(wanted.encoder)
    tokens = Remembered(fit._token_describer(*encoder))
    fit._token_describer = lambda *_: tokens  # so that all heads are fitted on the same encoding
    plain = {"gengeo-tiny": registry.load("gengeo-tiny"), "MobileNetV2, GeM": MobileNetGem(weights)}
    measures = {"naip": naip, "brighton": brighton}
    found = {name: measures[name](folder, encoder, tokens, plain) for name in ([wanted.only] if wanted.only else measures)}
    if wanted.json:
        wanted.json.write_text(json.dumps({"encoder": wanted.encoder, "px": wanted.px, "stride": wanted.stride, **found}, indent=1) + "\n")


def fitted_heads(geomap: GeoMap, plan: TilingPlan, encoder, tokens: Remembered, space: Path) -> dict[str, Fitted]:
    heads = {}
    for name, (config, power) in HEADS.items():
        out = space / f"{len(list(space.iterdir()))}.cfx"
        fit_head(geomap, encoder, out, plan, head=config, power=power)
        heads[name] = Fitted(out, tokens)
    return heads


def naip(folder: Path, encoder, tokens: Remembered, plain: dict, maps: slice = slice(None)) -> list[dict]:
    paths = sorted((folder / "data" / "naip").glob("*.tif"))
    taken = [photos(path, seed=number, heading=False) for number, path in enumerate(paths)]
    turned = [[np.ascontiguousarray(np.rot90(photo.pixels, turn)) for photo, _, _ in some for turn in range(4)] for some in taken]
    known = {name: [method.describe(some) for some in turned] for name, method in plain.items()}
    rows = []
    for b, path in list(enumerate(paths))[maps]:
        start = time.perf_counter()
        with GeoMap.open([path]) as geomap, tempfile.TemporaryDirectory() as space:
            methods = plain | fitted_heads(geomap, PLAN, encoder, tokens, Path(space))
            for a in range(len(paths)):
                if a == b:
                    continue
                crops = [geomap.read_square(lon, lat, SIDE_M, PX).pixels for _, lon, lat in taken[a]]
                row = {"photo": date(paths[a]), "map": date(path)}
                for name, method in methods.items():
                    query_QRD = (known[name][a] if name in known else method.describe(turned[a])).reshape(len(crops), 4, -1)
                    scores_QG = np.einsum("qrd,gd->qrg", query_QRD, method.describe(crops)).max(1)
                    row[name] = float(np.mean(scores_QG.argmax(1) == np.arange(len(crops))))
                rows.append(row)
        tokens.forget()
        print(f"map of {date(path)}: {time.perf_counter() - start:.0f} s", flush=True)
    seasons(rows)
    return rows


def seasons(rows: list[dict]) -> None:
    """R@1 by the times of year of photo and map."""
    groups: dict[str, list[dict]] = {"all": rows}
    for row in rows:
        names = sorted({SEASONS[row["photo"][4:6]], SEASONS[row["map"][4:6]]}, key=list(SEASONS.values()).index)
        groups.setdefault(" and ".join(names) if len(names) == 2 else f"both {names[0]}", []).append(row)
    methods = [name for name in rows[0] if name not in ("photo", "map")]
    print("\n| time of year | pairs | " + " | ".join(methods) + " |\n|---|---" + "|---" * len(methods) + "|")
    for name, group in groups.items():
        cells = [f"{statistics.mean(row[method] for row in group):.3f}" for method in methods]
        print(f"| {name} | {len(group)} | " + " | ".join(cells) + " |")


def brighton(folder: Path, encoder, tokens: Remembered, plain: dict) -> list[dict]:
    """The best chip, or one of the best five, holds the photo's centre in its middle half."""
    on_map = [row for row in truth(folder) if row["centre_on_map"] == "1"]
    rows = []
    print("\n| map | method | entries | photos | R@1 | R@5 |\n" + "|---" * 6 + "|")
    for name in ("ortho_full.tif", "ortho.tif"):
        with GeoMap.open([folder / "data" / "brighton" / name]) as geomap, tempfile.TemporaryDirectory() as space:
            plan = TilingPlan.default(geomap)
            for number, (method, describer) in enumerate((plain | fitted_heads(geomap, plan, encoder, tokens, Path(space))).items()):
                index = build_index(geomap, describer, Path(space) / f"index{number}.cfx", plan)
                first, five = 0, 0
                for row in on_map:
                    photo = read_photo(folder / "data" / "brighton" / "images" / row["file"])
                    query = Query.prepare(photo, photo.prior.without_position())
                    frame = LocalFrame(float(row["match_lon"]), float(row["match_lat"]))
                    hits = retrieve(query, describe(query, describer), index, frame, top=5, near=None)
                    right = [max(abs(hit.east_m), abs(hit.north_m)) <= hit.side_m / 4 for hit in hits]
                    first, five = first + right[0], five + any(right)
                rows.append({"map": name, "method": method, "entries": describer.dim, "photos": len(on_map), "r1": first, "r5": five})
                print("| " + " | ".join(map(str, rows[-1].values())) + " |", flush=True)
        tokens.forget()
    return rows


if __name__ == "__main__":
    main()
