"""Which machines multiply bfloat16 in hardware; others emulate it, and take ten times as long as with float32."""

from __future__ import annotations

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware: recent GPUs, and processors with AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
    return bool(torch.cpu._is_avx512_bf16_supported())  # torch before get_capabilities


def unemulated(precision: str, device: torch.device) -> str:
    """The precision that a training works in on a device: what it asks for, but float32 where it asks for bfloat16 beyond the hardware.

    Args:
        precision: Fabric's name of what is asked for.
        device: where the training runs.
    """
    return "32-true" if precision == "bf16-mixed" and not has_bfloat16(device) else precision
