import json

import pytest
import torch
import torch.nn.functional as F

from crossfix.errors import InputError
from crossfix.losses.contrastive import NotFiniteError
from crossfix.losses.geolink import GeoLinkTerms, TermsConfig

NONE = {"cross": 0.0, "points": 0.0, "intra": 0.0, "mi": 0.0, "relation": 0.0}
ALL = {"cross": 1.0, "points": 0.5, "intra": 4.0, "mi": 0.1, "relation": 2.0, "predict": 0.3, "heights": 0.7}


def rows(seed, count=6, dims=12):
    return F.normalize(torch.randn(count, dims, generator=torch.Generator().manual_seed(seed)), dim=1).requires_grad_()


def heights(seed):
    return 30 * torch.rand(6, 9, generator=torch.Generator().manual_seed(seed)), torch.ones(6, 9, dtype=torch.bool)


def given(seed=0):
    tok = [torch.randn(6, 9, 5, generator=torch.Generator().manual_seed(seed + i)) for i in (7, 8)]
    return {
        "drone_BD": rows(seed),
        "satellite_BD": rows(seed + 1),
        "point_PQ": rows(seed + 2),
        "drone_BNC": tok[0],
        "satellite_BNC": tok[1],
        "drone_heights": heights(seed),
        "satellite_heights": heights(seed + 1),
    }


def make(**weights):
    torch.manual_seed(0)
    terms = TermsConfig(**weights).build(12, 12, 5)
    if terms.club is not None:
        torch.nn.init.normal_(terms.club.mean[2].weight)
    return terms


def test_the_total_is_the_weighed_sum_and_every_term_is_logged():
    losses = make(**ALL)(**given())
    assert set(losses.parts) == {*ALL, "fit", "clouds", "spread"}
    assert float(losses.total.detach()) == pytest.approx(sum(w * float(losses.parts[name]) for name, w in ALL.items()), rel=1e-5)
    assert float(losses.objective.detach()) == pytest.approx(float(losses.total.detach() + losses.fit.detach()))
    assert not any(value.requires_grad for value in losses.parts.values())


@pytest.mark.parametrize("name", list(ALL))
def test_a_weight_of_zero_leaves_a_term_out(name):
    losses = make(**{**ALL, name: 0.0})(**given())
    assert name not in losses.parts
    alone = make(**{**NONE, name: 2.0})(**given())
    assert {part for part in alone.parts if part in ALL} == {name}
    assert float(alone.total.detach()) == pytest.approx(2 * float(alone.parts[name]))


def test_each_term_by_its_definition():
    inputs = given()
    drone, satellite, point = (inputs[name].detach() for name in ("drone_BD", "satellite_BD", "point_PQ"))

    def nce(a, b):
        logits, own = a @ b.T / 0.07, torch.arange(6)
        return (F.cross_entropy(logits, own, label_smoothing=0.1) + F.cross_entropy(logits.T, own, label_smoothing=0.1)) / 2

    terms = make(**ALL)
    parts = terms(**inputs).parts
    assert float(parts["cross"]) == pytest.approx(float(nce(drone, satellite)), rel=1e-5)
    assert float(parts["points"]) == pytest.approx(float(nce(point, drone) + nce(point, satellite)), rel=1e-5)
    assert float(parts["intra"]) == pytest.approx(float(sum(nce(x, x) for x in (drone, satellite, point))), rel=1e-5)
    assert float(parts["mi"]) == pytest.approx(float((terms.club(drone, point) + terms.club(satellite, point)).detach()), rel=1e-4)


def test_gradients_go_where_they_should():
    terms, inputs = make(**ALL), given()
    losses = terms(**inputs)
    q = set(terms.q_parameters())
    assert q
    losses.total.backward(retain_graph=True)
    assert all((p.grad is None) == (p in q) for p in terms.parameters())
    assert all(inputs[name].grad.abs().sum() > 0 for name in ("drone_BD", "satellite_BD", "point_PQ"))
    before = [inputs[name].grad.clone() for name in ("drone_BD", "satellite_BD", "point_PQ")]
    losses.fit.backward()
    assert all(p.grad is not None for p in q)
    assert all(torch.equal(old, inputs[n].grad) for old, n in zip(before, ("drone_BD", "satellite_BD", "point_PQ"), strict=True))


@pytest.mark.parametrize("moves", [False, True])
def test_the_cloud_is_the_standard_unless_asked(moves):
    inputs = given()
    make(**{**NONE, "mi": 1.0, "relation": 1.0, "teacher_gradient": moves})(**inputs).total.backward()
    assert (inputs["point_PQ"].grad is not None) is moves


def test_some_pairs_have_no_cloud():
    terms, inputs = make(**ALL), given()
    kept = torch.tensor([0, 2, 5])
    inputs["point_PQ"] = inputs["point_PQ"][kept]
    parts = terms(**inputs, row_P=kept).parts
    few = given()
    few = {name: few[name][kept] for name in ("drone_BD", "satellite_BD", "point_PQ")}
    wanted = terms(**few).parts
    for name in ("points", "mi", "relation", "predict"):
        torch.testing.assert_close(parts[name], wanted[name])
    assert float(parts["clouds"]) == 3
    assert float(parts["cross"]) == pytest.approx(float(terms(**given()).parts["cross"]))


def test_a_batch_without_clouds_trains_in_2d():
    terms = make(**ALL)
    losses = terms(**{**given(), "point_PQ": None, "drone_heights": None, "satellite_heights": None})
    assert set(losses.parts) == {"cross", "intra", "clouds"}
    assert float(losses.parts["clouds"]) == 0
    assert float(losses.fit) == 0


def test_q_is_fitted_by_stepping_on_the_objective():
    terms, inputs = make(**{**NONE, "mi": 1.0}), given()
    inputs = {name: value.detach() if value.__class__ is torch.Tensor else value for name, value in inputs.items()}
    optimizer = torch.optim.Adam(terms.q_parameters(), lr=0.01)
    first = None
    for _ in range(40):
        losses = terms(**inputs)
        first = first or float(losses.fit.detach())
        optimizer.zero_grad()
        losses.objective.backward()
        optimizer.step()
    assert float(losses.parts["fit"]) < first - 0.3


def test_clouds_of_another_length_may_still_relate():
    inputs = {**given(), "point_PQ": rows(5, dims=7)}
    terms = TermsConfig(**{**NONE, "relation": 1.0, "mi": 1.0}).build(12, 7, 5)
    assert set(terms(**inputs).parts) == {"relation", "mi", "fit", "clouds", "spread"}
    with pytest.raises(InputError, match="of 7 entries cannot be contrasted with pictures' of 12; give the 3D branch experts"):
        TermsConfig().build(12, 7, 5)


def test_the_released_contrast_is_a_switch():
    ours, theirs = (make(**{**NONE, "cross": 1.0, "contrast": kind})(**given()).parts["cross"] for kind in ("symmetric", "released"))
    assert not torch.isclose(ours, theirs)


def test_config_to_json_and_back():
    config = TermsConfig(relation=2.0, metric="cosine", scale="none", across=True, contrast="released")
    assert TermsConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mi": -1.0}, "the weight mi is -1.0; give 0 or more; to keep information instead of removing it, raise predict"),
        ({"relation": float("nan")}, "the weight relation is nan"),
        ({"metric": "manhattan"}, "metric is 'manhattan'; choose one of euclidean, cosine"),
        ({"entropy": 1.0}, "unknown entries: entropy; check the spelling"),
        ({"temperature": 0.0}, "temperature is 0.0; give a number above 0"),
        ({"height_unit": float("nan")}, "height_unit is nan; give a number above 0"),
        ({"mi_hidden": 0}, "mi_hidden is 0; give a number above 0"),
        ({"mi_hidden": 8.0}, "mi_hidden is 8.0; give a whole number"),
        ({"cross": "much"}, "cross is 'much'; give a number"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; give 0 to below 1"),
    ],
)
def test_configs_that_cannot_be(change, says):
    with pytest.raises(InputError, match=says):
        TermsConfig.from_dict(change)


def test_temperature_is_that_between_the_views():
    assert make(**ALL).temperature == pytest.approx(0.07)
    assert isinstance(make(**NONE), GeoLinkTerms)
    assert make(**NONE).temperature == 0


def test_a_cloud_whose_descriptor_is_not_finite_is_told_by_its_pair():
    point = rows(2, count=3).detach()
    point[1] = torch.nan
    with pytest.raises(NotFiniteError, match=r"of pairs \[4\]") as error:
        make()(**{**given(), "point_PQ": point, "row_P": torch.tensor([0, 4, 5])})
    assert error.value.rows == [4]


def test_points_of_drones_and_of_panoramas_are_matched_with_the_satellite_pictures_of_their_own_pairs():
    terms = make(**NONE | {"cross": 1.0, "tokens": 2.0, "ground_tokens": 3.0})
    draws = torch.Generator().manual_seed(3)
    first, second = (
        (torch.rand(2, 4, 2, generator=draws), torch.rand(2, 4, 2, generator=draws), torch.ones(2, 4).bool()) for _ in range(2)
    )
    ground_GNC, row_G = torch.randn(2, 9, 5, generator=draws), torch.tensor([4, 1])
    known = given() | {"sightings": first, "row_P": torch.tensor([0, 5]), "point_PQ": None}
    panoramas = {"ground_GD": rows(9, 2), "ground_row_G": row_G, "ground_GNC": ground_GNC, "ground_sightings": second}
    losses = terms(**known, **panoramas)
    drone_BNC, satellite_BNC = known["drone_BNC"], known["satellite_BNC"]
    with torch.no_grad():
        of_drones = terms.correspondence(drone_BNC[[0, 5]], satellite_BNC[[0, 5]], *first)
        of_panoramas = terms.correspondence(ground_GNC, satellite_BNC[row_G], *second)
    assert float(losses.parts["tokens"]) == pytest.approx(float(of_drones))
    assert float(losses.parts["ground_tokens"]) == pytest.approx(float(of_panoramas))
    expected = losses.parts["cross"] + 2 * losses.parts["tokens"] + 3 * losses.parts["ground_tokens"]
    assert float(losses.total.detach()) == pytest.approx(float(expected))
    assert "ground_tokens" not in terms(**known).parts
