import pytest
import timm
import torch

from crossfix.errors import ModelError
from crossfix.models.pooling import ClassToken, GeM, Mean


def test_gem_is_the_generalised_mean():
    tok = torch.rand(2, 7, 5)
    p = 3.0
    expected = torch.stack([(tok[:, :, d] ** p).mean(1) ** (1 / p) for d in range(5)], 1)
    torch.testing.assert_close(GeM(5)(tok), expected / expected.norm(dim=1, keepdim=True))


def test_gem_between_mean_and_maximum():
    tok = torch.rand(2, 7, 5)
    torch.testing.assert_close(GeM(5, p=1.0)(tok), Mean(5)(tok))
    largest = tok.amax(1)
    torch.testing.assert_close(GeM(5, p=60.0)(tok), largest / largest.norm(dim=1, keepdim=True), atol=0.03, rtol=0)


def test_gem_of_unit_tokens():
    tok = torch.randn(2, 7, 5)
    torch.testing.assert_close(GeM(5, unit=True)(tok), GeM(5)(tok / tok.norm(dim=2, keepdim=True)))
    torch.testing.assert_close(GeM(5, unit=True)(tok), GeM(5, unit=True)(tok * torch.rand(2, 7, 1)))


def test_projection_and_gradients():
    head = GeM(4, 3).double()
    assert head.out_dim == 3
    assert head(torch.rand(2, 6, 4, dtype=torch.float64)).shape == (2, 3)
    tok = torch.rand(1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, (tok,))
    names, params = zip(*head.named_parameters(), strict=True)
    assert "p" in names

    def of_parameters(*values):
        return torch.func.functional_call(head, dict(zip(names, values, strict=True)), (tok.detach(),))

    assert torch.autograd.gradcheck(of_parameters, params)


@pytest.mark.parametrize("head", [GeM(4), GeM(4, 3), Mean(4), Mean(4, norm=True)])
def test_unit_norm_and_float32_under_autocast(head):
    tok = torch.randn(3, 9, 4)
    with torch.autocast("cpu", torch.bfloat16):
        desc = head(tok.bfloat16())
    assert desc.dtype == torch.float32
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(3))


def test_dead_tokens_stay_finite():
    gem = GeM(4)
    tok = torch.zeros(1, 9, 4, requires_grad=True)
    gem(tok).sum().backward()
    assert torch.isfinite(tok.grad).all()
    assert torch.isfinite(gem.p.grad)


def test_mean_with_norm_is_the_pooled_output_of_timms_convnext():
    """Which is what Sample4Geo takes: the same weights under the same name, once the map is given as tokens."""
    torch.manual_seed(0)
    net = timm.create_model("convnext_atto", num_classes=0).eval()
    torch.nn.init.normal_(net.head.norm.weight)
    torch.nn.init.normal_(net.head.norm.bias)
    head = Mean(net.num_features, norm=True)
    head.norm.load_state_dict(net.head.norm.state_dict())
    with torch.no_grad():
        map_BDHW = net.forward_features(torch.randn(2, 3, 64, 96))
        wanted = torch.nn.functional.normalize(net.forward_head(map_BDHW), dim=1)
        torch.testing.assert_close(head(map_BDHW.flatten(2).transpose(1, 2)), wanted)


def test_class_token():
    cls = torch.randn(2, 4)
    desc = ClassToken(4)(torch.randn(2, 9, 4), cls.bfloat16())
    assert desc.dtype == torch.float32
    torch.testing.assert_close(desc, torch.nn.functional.normalize(cls), atol=0.01, rtol=0)
    with pytest.raises(ModelError, match="no class token"):
        ClassToken(4)(torch.randn(2, 9, 4), None)
