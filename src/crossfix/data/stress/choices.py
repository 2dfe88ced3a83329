"""Choosing by name or level, with an error that says what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from crossfix.errors import InputError

SEVERITIES = (1.0, 2.0, 3.0, 4.0, 5.0)


def choose(what: str, wanted: str | float, choices: Sequence[str] | Sequence[float]) -> int:
    """The place of what is wanted among the choices.

    Raises:
        InputError: where it is not among them; lists them.
    """
    if wanted not in choices:
        shown = [choice if isinstance(choice, str) else f"{choice:g}" for choice in choices]
        raise InputError(f"there is no {what} {wanted!r}", mend=f"choose one of {', '.join(shown)}")
    return list(choices).index(wanted)
