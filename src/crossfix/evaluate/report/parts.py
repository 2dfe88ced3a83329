"""The parts that pages are put together from. Every string that comes in is escaped, unless it is called ``html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from crossfix.disk import write_bytes
from crossfix.evaluate.report.charts import key


def write_page(path: Path, title: str, body_html: Sequence[str]) -> Path:
    """Write a page that needs nothing else, atomically.

    Raises:
        DiskError: where it cannot be written.
    """
    template = Template(files("crossfix.evaluate.report").joinpath("page.html").read_text(encoding="utf-8"))
    # names from a disk may hold bytes that are no text
    write_bytes(path, template.substitute(title=escape(title), body="\n".join(body_html)).encode("utf-8", "replace"))
    return path


def table(head: Sequence[str], rows_html: Sequence[Sequence[str]]) -> str:
    """A table.

    Args:
        head: names of the columns.
        rows_html: cells, the first of each row its name.
    """
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows_html)
    return f'<div class="card scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Large numbers, each over its name."""
    return f'<div class="tiles">{"".join(f"<div class=card><b>{escape(v)}</b><span>{escape(n)}</span></div>" for v, n in values)}</div>'


def chart(title: str, svg_html: str, small: str = "") -> str:
    """A drawing in its card."""
    return f'<div class="card"><h3>{escape(title)} <small>{escape(small)}</small></h3>{svg_html}</div>'


def charts(cards_html: Sequence[str]) -> str:
    """Cards side by side."""
    return f'<div class="charts">{"".join(cards_html)}</div>'


def legend(labels: Sequence[str]) -> str:
    """Which line is whose; nothing for one."""
    if len(labels) < 2:
        return ""
    return f'<div class="legend">{"".join(f"<span>{key(number)}{escape(label)}</span>" for number, label in enumerate(labels))}</div>'


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{escape(text)}</h2>"


def note(text: str) -> str:
    """A remark."""
    return f'<p class="note">{escape(text)}</p>'


def folded(summary: str, html: str) -> str:
    """What opens on demand."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def facts(values: Mapping[str, object]) -> str:
    """Names and what they stand for."""
    return f'<div class="card"><dl>{"".join(f"<dt>{escape(n)}</dt><dd>{escape(str(v))}</dd>" for n, v in values.items())}</dl></div>'
