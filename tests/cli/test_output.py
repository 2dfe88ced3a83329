"""Tables on standard output."""

from __future__ import annotations

import re

import pytest
from rich.table import Table

from crossfix.cli.output import show


def wide(columns: int) -> tuple[Table, list[str]]:
    cells = [f"{number}.5 [{number}.1, {number}.9]" for number in range(10, 10 + columns)]
    table = Table("variant", *(f"group {number}" for number in range(columns)), title="R@1")
    table.add_row("base", *cells)
    return table, cells


@pytest.mark.parametrize("columns", [8, 20])
def test_no_figure_is_cut_off_in_a_pipe(columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table, cells = wide(columns)
    show(table)
    text = capsys.readouterr().out
    assert "…" not in text
    for figure in re.findall(r"[\d.]+", " ".join(cells)):
        assert figure in text
    if columns == 8:
        assert all(cell in text for cell in cells)
