"""The report: one page that needs nothing else, and that says what happened."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossfix.errors import DiskError
from crossfix.locate import report
from crossfix.locate.report import write_report
from crossfix.locate.verdict import Verdict, judge, read_truth
from crossfix.maps.raster import GeoMap
from crossfix.worlds import Epoch, World
from crossfix.worlds.write import write_map, write_photos

SIZE_M = 120.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    world = World("farmland", 2, SIZE_M, lon=9.0, lat=48.5)
    scene = world.scene(Epoch.draw(1, "map"))
    write_map(world, scene, folder / "map.tif", gsd_m=0.5)
    write_photos(world, scene, folder / "photos", kind="drone", count=4, seed=1, size=(96, 72))
    return folder


def verdicts(place: Path, *, truth: bool = True) -> list[Verdict]:
    truths = read_truth(place / "photos" / "truth.csv")
    judged = []
    for number, (name, at) in enumerate(truths.items()):
        centre_lon, centre_lat = at.centre_lon or 0.0, (at.centre_lat or 0.0) + (0, 0.00005, 0.0005, 0.001)[number]
        fix: dict[str, Any] | None = {
            "lat": at.lat, "lon": at.lon, "centre_lat": centre_lat, "centre_lon": centre_lon, "radius95_m": 8.0, "heading_deg": 90.0,
            "confidence": 0.9, "accepted": number < 3, "reason": None if number < 3 else "too <few> details agree", "method": "test",
        }  # fmt: skip
        candidates = [{"rank": 1, "lat": centre_lat, "lon": centre_lon, "side_m": 60.0, "score": 0.7}]
        result = {"photo": name, "fix": fix, "candidates": candidates, "prior": None, "seconds": 0.5}
        judged.append(judge(result, at if truth else None))
    lost = {"photo": "<script>alert(1)</script>.jpg", "fix": None, "candidates": [], "seconds": None, "error": "the photo is empty"}
    return [*judged, judge(lost, None)]


@pytest.fixture(scope="module")
def page(place: Path) -> str:
    photos = {path.name: path for path in (place / "photos").glob("*.jpg")}
    with GeoMap.open([place / "map.tif"]) as geomap:
        path = write_report(place / "report.html", verdicts(place), photos, geomap, title="Four & one", facts={"model": "<tiny>"})
    return path.read_text(encoding="utf-8")


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, kind: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.found if kind in (attrs.get("class") or "").split()]


def test_the_page_needs_no_network_and_no_other_file(page: str) -> None:
    for tag, attrs in Elements(page).found:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "action", "poster"):
            assert (attrs.get(name) or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
    without_pictures = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", without_pictures)
    assert "default-src 'none'" in page


def test_what_others_wrote_is_escaped(page: str) -> None:
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.jpg" in page
    assert "too &lt;few&gt; details agree" in page
    assert "Four &amp; one" in page
    assert "&lt;tiny&gt;" in page


def test_every_photo_has_a_row_a_card_and_its_verdict(page: str) -> None:
    elements = Elements(page)
    rows = [attrs for tag, attrs in elements.found if tag == "tr" and "data-state" in attrs]
    assert [row["data-state"] for row in rows] == ["right", "right", "wrong far", "refused far", "refused"]
    cards = elements.of("shot")
    assert [card["data-id"] for card in cards] == ["2", "0", "1", "3", "4"]  # wrong ones first
    assert len(elements.of("fixed")) == 4
    assert "2 of 5 photos were placed within 25 m" in page
    assert "stands by 3 of its fixes; 2 of them are right, 1 wrong" in page
    assert "the photo is empty" in page


def test_convention_the_map_is_drawn_in_metres_from_its_north_west_corner(place: Path, page: str) -> None:
    svg = page[page.index("<svg viewBox") :]
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())  # type: ignore[union-attr]
    assert width == pytest.approx(SIZE_M, abs=1.5)
    assert height == pytest.approx(SIZE_M, abs=1.5)
    frame = World("farmland", 2, SIZE_M, lon=9.0, lat=48.5).frame
    truths = list(read_truth(place / "photos" / "truth.csv").values())
    crosses = re.findall(r'<path class="truth" d="M[\d.-]+ ([\d.-]+)h[\d.]+M([\d.-]+) ', svg)[:4]
    circles = re.findall(r'class="ring" cx="([\d.-]+)" cy="([\d.-]+)" r="([\d.]+)"', svg)
    for truth, (y, x), circle in zip(truths, crosses, circles, strict=True):
        east, north = frame.to_local(truth.centre_lon or 0.0, truth.centre_lat or 0.0)
        assert float(x) == pytest.approx(east + width / 2, abs=1.0)
        assert float(y) == pytest.approx(height / 2 - north, abs=1.0)
        assert float(circle[1]) <= float(y) + 0.1  # the fixes lie to the north of the truth
        assert circle[2] == "8.0"


def test_the_map_at_the_fix_is_turned_as_the_photo_is(place: Path, page: str) -> None:
    card = page[page.index('<article class="shot card right" data-id="0"') :]
    uris = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', card)[:2]
    assert [alt for _, alt in uris] == ["photo", "map at the fix, 90° up"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uris[1][0]))), dtype=np.float64)
    truth = next(iter(read_truth(place / "photos" / "truth.csv").values()))
    with GeoMap.open([place / "map.tif"]) as geomap:
        north_up = geomap.read_square(truth.centre_lon or 0.0, truth.centre_lat or 0.0, 60.0, 400).pixels.astype(np.float64)
    east_up = np.rot90(north_up)  # what lies east comes to the top
    assert shown.shape == (300, 400, 3)
    inside = np.corrcoef(shown[50:250, 50:350].ravel(), east_up[100:300, 50:350].ravel())[0, 1]
    mirrored = np.corrcoef(shown[50:250, 50:350].ravel(), east_up[::-1, ::-1][100:300, 50:350].ravel())[0, 1]
    assert inside > 0.9 > mirrored


def test_without_truth_nothing_is_called_right_or_wrong(place: Path, tmp_path: Path) -> None:
    with GeoMap.open([place / "map.tif"]) as geomap:
        page = write_report(tmp_path / "r.html", verdicts(place, truth=False), {}, geomap, title="t").read_text(encoding="utf-8")
    assert "3 of 5 photos have a fix that crossfix stands by" in page
    assert ">right<" not in page
    assert 'class="truth"' not in page
    assert "not shown" in page


def test_a_page_does_not_outgrow_its_size(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PAGE_BYTES", 400_000)
    noise = np.random.default_rng(0).integers(0, 255, (150, 200, 3), np.uint8)  # the heaviest picture there is
    Image.fromarray(noise).save(tmp_path / "noise.jpg")
    one = verdicts(place)[0]
    names = [f"noise_{number}.jpg" for number in range(12)]
    many = [judge({**one.result, "photo": name}, one.truth) for name in names]
    with GeoMap.open([place / "map.tif"]) as geomap:
        path = write_report(tmp_path / "r.html", many, dict.fromkeys(names, tmp_path / "noise.jpg"), geomap, title="t")
    assert 200_000 < path.stat().st_size < 400_000
    assert 0 < path.read_text(encoding="utf-8").count("left out: the page would grow too large") < 24


def test_a_report_that_cannot_be_written_says_so(place: Path, tmp_path: Path) -> None:
    with GeoMap.open([place / "map.tif"]) as geomap, pytest.raises(DiskError, match=r"r\.html: cannot be written"):
        write_report(tmp_path / "nowhere" / "r.html", verdicts(place), {}, geomap, title="t")
    assert not list(tmp_path.iterdir())
