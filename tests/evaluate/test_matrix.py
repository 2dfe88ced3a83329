"""The transfer table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.lab_tree import write_lab

from crossfix.data.worldsv1 import WorldsV1
from crossfix.errors import InputError
from crossfix.evaluate.baselines import ColourHistogram, RotatedHog
from crossfix.evaluate.matrix import Column, transfer_matrix
from crossfix.evaluate.task import evaluate_dataset


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> WorldsV1:
    return WorldsV1(write_lab(tmp_path_factory.mktemp("lab"), places=4))


@pytest.fixture(scope="module")
def columns(lab: WorldsV1) -> list[Column]:
    return [Column(part, lab, f"{part}-80m", "d2s") for part in ("seen", "far")]


def test_a_cell_is_what_evaluate_says(lab: WorldsV1, columns: list[Column]):
    models = [ColourHistogram(), RotatedHog()]
    table = transfer_matrix(models, columns)
    for model, line in zip(models, table["cells"], strict=True):
        for column, cell in zip(columns, line, strict=True):
            alone = evaluate_dataset(model, lab, column.split, column.direction)
            assert cell["strict"] == alone["strict"]
            assert cell["intervals95"] == alone["intervals95"]
    assert [row["name"] for row in table["rows"]] == ["colour-histogram", "rotated-hog"]
    assert table["columns"] == ["seen", "far"]


def test_a_square_table_says_each_cell_s_share_of_the_sets_own_model(columns: list[Column]):
    cells = transfer_matrix([ColourHistogram(), RotatedHog()], columns)["cells"]
    for number in range(2):
        own = cells[number][number]["strict"]["R@1"]
        assert own > 0
        for line in cells:
            assert line[number]["share"] == pytest.approx(line[number]["strict"]["R@1"] / own)


def test_other_tables_have_no_shares(columns: list[Column]):
    table = transfer_matrix([ColourHistogram()], columns)
    assert not table["paired"]
    assert "share" not in table["cells"][0][0]


def test_cells_are_kept_and_not_measured_again(columns: list[Column], tmp_path: Path):
    class Counting(ColourHistogram):
        pictures = 0

        def describe(self, images, **told):
            Counting.pictures += len(images)
            return super().describe(images, **told)

    first = transfer_matrix([Counting()], columns, out=tmp_path)
    before = Counting.pictures
    assert transfer_matrix([Counting()], columns, out=tmp_path) == first
    assert Counting.pictures == before
    assert json.loads((tmp_path / "results.json").read_text()) == first


def test_what_is_no_table_is_refused(columns: list[Column]):
    with pytest.raises(InputError, match="needs models"):
        transfer_matrix([], columns)
    with pytest.raises(InputError, match="the same"):
        transfer_matrix([ColourHistogram()], [columns[0], columns[0]])


def test_mistakes_are_told_before_hours_of_measuring(lab: WorldsV1, columns: list[Column]):
    class Counting(ColourHistogram):
        pictures = 0

        def describe(self, images, **told):
            Counting.pictures += len(images)
            return super().describe(images, **told)

    with pytest.raises(InputError, match="no split 'test'"):
        transfer_matrix([Counting()], [*columns, Column("other", lab, "test", "d2s")])
    assert Counting.pictures == 0
    with pytest.raises(InputError, match="no metric 'F1'"):
        transfer_matrix([Counting()], columns, needed="F1")
    assert Counting.pictures == 5 + 4  # gallery with distractors and queries of the first cell alone
