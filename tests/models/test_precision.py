"""bfloat16 is used where hardware multiplies it, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from crossfix.models.describe import Describer
from crossfix.models.precision import has_bfloat16, unemulated
from crossfix.models.registry import open_model

CPU = torch.device("cpu")


@pytest.mark.skipif(not hasattr(torch.cpu, "get_capabilities"), reason="this torch does not tell what a processor can do")
@pytest.mark.parametrize(
    ("known", "has"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False), ({}, False)]
)
def test_a_processor_is_asked(known: dict[str, bool], has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert has_bfloat16(CPU) is has
    assert unemulated("bf16-mixed", CPU) == ("bf16-mixed" if has else "32-true")
    assert unemulated("32-true", CPU) == "32-true"
    model, card = open_model("gengeo-tiny")
    dtypes = {parameter.dtype for parameter in Describer(model, card)._net.encoder.parameters()}
    assert (torch.bfloat16 in dtypes) is has


def test_devices_nothing_is_known_of_have_none() -> None:
    assert not has_bfloat16(torch.device("meta"))
