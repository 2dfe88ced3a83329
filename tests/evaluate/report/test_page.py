from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from crossfix.data.folder import Folder
from crossfix.data.table import TABLE
from crossfix.errors import DiskError
from crossfix.evaluate.baselines import ColourHistogram
from crossfix.evaluate.compare import compare
from crossfix.evaluate.report import gallery as gallery_module
from crossfix.evaluate.report import page
from crossfix.evaluate.report.compare_page import write_comparison
from crossfix.evaluate.report.page import write_report
from crossfix.evaluate.task import Measured, measure_dataset

NASTY = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Collects what a browser would load, and checks that elements close."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.images = 0
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.images += tag == "img"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "xlink:href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class Nasty(ColourHistogram):
    model_id = NASTY


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Eight places with positions, seen as drone images are, one with a name that HTML would take for its own."""
    root = tmp_path_factory.mktemp("set")
    lines = ["file,role,place,kind,lat,lon"]
    rng = np.random.default_rng(0)
    for place in range(8):
        name = "a&<b>" if place == 3 else f"p{place}"
        coarse = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
        for half, kind, noise in (("query", "drone", 60), ("gallery", "satellite", 0)):
            picture = coarse.repeat(32, 0).repeat(32, 1) * 0.7 + rng.integers(0, noise + 1, (64, 64, 3))
            Image.fromarray(picture.astype(np.uint8)).save(root / f"{half}{place}.png")
            lines.append(f"{half}{place}.png,{half},{name},{kind},46.0,{7 + place / 100}")
    (root / TABLE).write_text("\n".join(lines))
    return Folder(root)


@pytest.fixture(scope="module")
def measured(dataset: Folder, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    out = tmp_path_factory.mktemp("out")
    return measure_dataset(Nasty(), dataset, "all", "any", stress=["weather", "shift"], out=out, examples=3)


def test_the_page_needs_nothing_else_and_believes_no_name(measured: Measured, tmp_path: Path):
    text = write_report(tmp_path, measured).read_text()
    parsed = Page(text)
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    assert all(address.startswith("data:image/jpeg;base64,") for address in parsed.addresses)
    assert not re.search(r"url\(|@import|https?://", text)
    assert NASTY not in text
    assert "a&<b>" not in text
    assert "a&amp;&lt;b&gt;" in text
    assert len(text) < 3_000_000
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_it_shows_scores_curves_conditions_distances_and_queries(measured: Measured, tmp_path: Path):
    text = write_report(tmp_path, measured).read_text()
    for words in ("Under stress", "Off-centre", "Fog and rain", "Distances", "Best queries", "Worst queries", "Worst under Dark", "sha256"):
        assert words in text
    strict = measured.results.values["strict"]
    assert f"{100 * strict['R@1']:.2f} %" in text
    examples = 2 * 3 + 11 * 2  # three at each end; two under each of ten conditions and of one dial
    shown = [*measured.best, *measured.worst["clean"]]
    assert Page(text).images >= examples * 6
    assert text.count("✓ right") >= sum(1 for example in shown for found in example.found if found.right)


def test_no_more_pictures_than_the_page_can_bear(measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    full = len(write_report(tmp_path, measured).read_bytes())
    monkeypatch.setattr(page, "PICTURE_BYTES", full // 4)
    small = write_report(tmp_path, measured).read_text()
    assert len(small) < 0.6 * full
    assert "more are left out: the page would grow too large" in small


def test_an_interrupted_report_leaves_the_old_one(measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = write_report(tmp_path, measured).read_bytes()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gallery_module, "jpeg_uri", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, measured)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_bytes() == before
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot be written"):
        write_report(tmp_path / "file", measured)


def test_a_stressed_query_is_shown_as_the_model_saw_it(measured: Measured):
    example = measured.worst["weather-dark=3@query"][0]
    pictures = gallery_module.Gallery(measured, 10**7)
    setting = SimpleNamespace(dial="weather-dark", level=3.0, side="query")
    dark, plain = pictures.rows([example], setting), pictures.rows([example])  # type: ignore[arg-type]
    one, other = (re.findall(r'src="([^"]+)"', html) for html in (dark, plain))
    assert one[0] != other[0]
    assert one[1:] == other[1:]


def test_several_on_one_page(dataset: Folder, measured: Measured, tmp_path: Path):
    other = measure_dataset(ColourHistogram(), dataset, "all", "any", stress=["shift"])
    both = [measured.results, other.results]
    text = write_comparison(tmp_path, compare(both, draws=200), both).read_text()
    parsed = Page(text)
    assert "script" not in parsed.tags
    assert NASTY not in text
    assert text.count('class="chart"') >= 3 + 1  # differences, shift, weather, distances
    assert "does not tell from zero" in text  # they are the same
    assert "Differences, query by query" in text
