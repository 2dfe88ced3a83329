"""GeoLink trains with clouds; what is deployed is the 2D network and nothing else."""

import dataclasses
import json

import pytest
import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from crossfix.errors import ModelError
from crossfix.losses.geolink import TermsConfig
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, SaladConfig, build
from crossfix.models.geolink import GeoLinkBatch, GeoLinkConfig, build_geolink
from crossfix.models.point_branch import PointConfig
from point_clouds import towns

ARCH = ArchConfig("resnet10t", 64, SaladConfig(clusters=8, cluster_dim=4, token_dim=16, hidden=16, dropout=0.0), stride=16)
POINTS = PointConfig(points=64, centres=(32, 16, 8), neighbours=6)
EVERY = {"predict": 0.1, "heights": 0.1, "across": True}


def make(seed=0, teacher="joint", arch=ARCH, branch=POINTS, **terms):
    torch.manual_seed(seed)
    return build_geolink(GeoLinkConfig(arch, branch, teacher), TermsConfig(**terms).build)


def batch(pairs=4, seed=0, **change):
    generator = torch.Generator().manual_seed(seed)
    drone, satellite = torch.randn(2, pairs, 3, 64, 64, generator=generator)
    known = torch.rand(pairs, 16, generator=generator), torch.ones(pairs, 16, dtype=torch.bool)
    made = GeoLinkBatch(drone, satellite, torch.arange(pairs), towns(pairs, 64, seed), drone_heights=known, satellite_heights=known)
    return made._replace(**change)


class Operations(TorchDispatchMode):
    """The names of all tensor operations, in order."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def work(model, img):
    with FlopCounterMode(display=False) as flops, Operations() as operations:
        out = model(img)
    return flops.get_total_flops(), operations.names, out


def trained(link, steps=2):
    optimizer = torch.optim.SGD([p for p in link.parameters() if p.requires_grad], lr=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        link.train()(batch(seed=step)).objective.backward()
        optimizer.step()
    return link


def test_deployed_equals_the_2d_network_in_parameters_operations_and_output(tmp_path):
    link = trained(make(**EVERY))
    save_model(tmp_path, link.deployed(), ModelCard("geolink", ARCH, Preprocessing(64)))
    loaded, card = load_model(tmp_path)
    plain = build(ARCH)
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert {name: tensor.shape for name, tensor in stored.items()} == {name: tensor.shape for name, tensor in plain.state_dict().items()}
    assert card.architecture == ARCH
    assert [(n, p.shape) for n, p in loaded.named_parameters()] == [(n, p.shape) for n, p in plain.named_parameters()]

    plain.load_state_dict(link.model.state_dict())
    img = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(9))
    flops, operations, out = work(plain.eval(), img)
    for model in (loaded, link.eval().deployed()):
        own_flops, own_operations, own_out = work(model, img)
        assert own_flops == flops > 0
        assert own_operations == operations
        assert torch.equal(own_out, out)


def test_the_2d_network_starts_as_it_would_alone():
    torch.manual_seed(0)
    alone = build(ARCH).state_dict()
    assert all(torch.equal(tensor, alone[name]) for name, tensor in make(seed=0).model.state_dict().items())


@pytest.mark.parametrize("arch", [ARCH, ArchConfig("resnet10t", 64, GemConfig(), stride=16)])
@pytest.mark.parametrize(
    "points", [POINTS, PointConfig(kind="nn", points=64, centres=(16, 8), neighbours=6), PointConfig(kind="grid", points=64, centres=(8,))]
)
def test_any_head_and_any_encoder_of_points_train(arch, points):
    link = make(arch=arch, branch=points, **EVERY).train()
    losses = link(batch())
    assert set(losses.parts) == {"cross", "points", "intra", "mi", "relation", "predict", "heights", "fit", "clouds", "spread"}
    losses.objective.backward()
    missing = [name for name, p in link.named_parameters() if p.grad is None]
    assert not missing


def test_without_the_3d_terms_a_step_is_the_2d_one():
    only = {"points": 0.0, "intra": 0.0, "mi": 0.0, "relation": 0.0}
    grads = []
    for clouds in (towns(4, 64), None):
        link = make(**only).train()
        link(batch(pts_PNC=clouds)).total.backward()
        grads.append([p.grad for p in link.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_clouds_change_what_the_2d_network_learns():
    right, wrong = (make().eval() for _ in range(2))
    order = torch.tensor([1, 2, 3, 0])
    given = batch()
    right(given).total.backward()
    wrong(given._replace(pts_PNC=given.pts_PNC[order])).total.backward()
    pairs = zip(right.model.parameters(), wrong.model.parameters(), strict=True)
    assert any(not torch.allclose(a.grad, b.grad) for a, b in pairs)


def test_a_frozen_teacher_does_not_move():
    link = make(teacher="frozen")
    before = {name: tensor.clone() for name, tensor in link.points.state_dict().items()}
    trained(link)
    assert link.training
    assert link.model.training
    assert not link.points.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in link.points.state_dict().items())


def test_a_frozen_teachers_descriptors_may_be_computed_once():
    link = make(teacher="frozen")
    given = batch()
    with torch.no_grad():
        once = link.points(given.pts_PNC)
    assert float(link.eval()(given).total.detach()) == float(link(given._replace(pts_PNC=None, point_PD=once)).total.detach())


def test_places_without_a_cloud_train_in_2d():
    link, given = make().eval(), batch()
    kept = torch.tensor([1, 3])
    parts = link(given._replace(pts_PNC=given.pts_PNC[kept], row_P=kept)).parts
    assert float(parts["clouds"]) == 2
    assert float(parts["cross"]) == pytest.approx(float(link(given).parts["cross"]), rel=1e-5)
    assert set(link(given._replace(pts_PNC=None)).parts) == {"cross", "intra", "clouds"}
    assert float(link(given._replace(pts_PNC=given.pts_PNC[:1], row_P=kept[:1])).parts["cross"]) > 0  # one cloud has no partner


def test_separate_heads_describe_what_the_deployed_model_describes_with_them():
    arch = dataclasses.replace(ARCH, separate_heads=True)
    link, given = make(arch=arch, points=0.0, mi=0.0, relation=0.0, intra=0.0).eval(), batch()
    drone, satellite = link.model(given.drone_BCHW, "query"), link.model(given.satellite_BCHW, "satellite")
    want = link.terms.contrast["cross"](drone, satellite, given.place_B)
    assert float(link(given).parts["cross"]) == pytest.approx(float(want.detach()), rel=1e-4)
    link(given).total.backward()
    assert all(p.grad is not None for head in (link.model.head, link.model.satellite_head) for p in head.parameters() if p.ndim)


def test_turned_clouds_and_tables_reach_the_branch():
    link, given = make().eval(), batch()
    plain = float(link(given).parts["points"])
    assert float(link(given._replace(table_PT=link.points.table(given.pts_PNC))).parts["points"]) == pytest.approx(plain, rel=1e-4)
    assert float(link(given._replace(turn_P=torch.tensor([0.5, 1.0, 1.5, 2.0]))).parts["points"]) != pytest.approx(plain, rel=1e-4)


def test_steps_under_fabric_in_bf16():
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    link = make(**EVERY)
    wrapped, optimizer = fabric.setup(link, torch.optim.AdamW(link.parameters(), lr=1e-3))
    given = batch()._replace(table_PT=link.points.table(batch().pts_PNC))
    seen = []
    for _ in range(6):
        losses = wrapped(given)
        fabric.backward(losses.objective)
        optimizer.step()
        optimizer.zero_grad()
        seen.append({name: float(value) for name, value in losses.parts.items()})
    assert seen[-1]["cross"] < seen[0]["cross"]
    assert seen[-1]["fit"] < seen[0]["fit"]


def test_config_to_json_and_back():
    config = GeoLinkConfig(ARCH, POINTS, "frozen")
    assert GeoLinkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ModelError, match="unknown entries: colour"):
        GeoLinkConfig.from_dict({**config.to_dict(), "colour": 1})
    with pytest.raises(ModelError, match="the 2D network is missing"):
        GeoLinkConfig.from_dict({})
    with pytest.raises(ModelError, match="the teacher is 'melted'"):
        GeoLinkConfig(ARCH, teacher="melted")
