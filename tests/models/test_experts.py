import pytest
import torch

from crossfix.models.experts import MultiExperts


@pytest.mark.parametrize("kind", ["linear", "conv"])
@pytest.mark.parametrize("dim", [16, 19])
def test_parts_make_up_the_descriptor(kind, dim):
    block = MultiExperts(12, dim, 3, kind=kind).eval()
    out = block(torch.randn(5, 12))
    assert out.shape == (5, dim)
    assert block.out_dim == dim


def test_the_published_block_by_its_definition():
    torch.manual_seed(0)
    block = MultiExperts(12, 16, 3, kind="conv", dilations=(1, 1, 2)).eval()
    vector = torch.randn(2, 12)
    share = torch.softmax(block.gate[2](block.gate[0](vector).clamp(min=0)), 1)
    parts = []
    for i, (expert, step) in enumerate(zip([*block.weighed, block.shared], (1, 1, 2, 0), strict=True)):
        kernel, bias = expert.conv.weight[:, 0], expert.conv.bias
        padded = torch.nn.functional.pad(vector, (step, step))
        signal = torch.stack([padded[:, n * step : n * step + 12] for n in range(3)], 1) if step else vector[:, None]
        value = torch.einsum("dn,bnv->bdv", kernel, signal) + bias[:, None]
        value = (value / (1 + expert.norm.eps) ** 0.5).clamp(min=0).mean(2)
        parts.append(value * share[:, i : i + 1] if i < 3 else value)
    torch.testing.assert_close(block(vector), torch.cat(parts, 1))


def test_the_published_shared_expert_forgets_which_entry_is_which():
    torch.manual_seed(0)
    vector, order = torch.randn(4, 12), torch.randperm(12)
    for kind, blind in (("conv", True), ("linear", False)):
        shared = MultiExperts(12, 16, kind=kind).eval().shared
        assert torch.allclose(shared(vector), shared(vector[:, order]), atol=1e-6) is blind
