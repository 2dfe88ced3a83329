import hashlib

import pytest
import random_checkpoints as published
import torch

from crossfix.errors import ModelError
from crossfix.models.describe import Describer
from crossfix.models.folder import load_card, load_model
from crossfix.models.importers.registry import FORMATS, import_model

PUBLISHED = {
    "dinov2": published.hub(),
    "salad": published.salad(),
    "sample4geo": published.sample4geo(),
    "cvcities": published.cvcities(),
    "mixvpr": published.resnet_mixvpr(),
    "cosplace": published.cosplace(),
}


@pytest.fixture
def file(tmp_path):
    def write(shapes):
        torch.save(published.draw(shapes), tmp_path / "theirs.pth")
        return tmp_path / "theirs.pth"

    return write


def test_every_format_is_recognised_as_itself_alone():
    assert PUBLISHED.keys() == FORMATS.keys()
    for kind, shapes in PUBLISHED.items():
        assert [other for other, form in FORMATS.items() if form.recognises(shapes)] == [kind]
    assert [kind for kind, form in FORMATS.items() if form.recognises(published.transformers())] == ["dinov2"]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_card_says_where_it_comes_from(tmp_path, file, kind):
    path = file(PUBLISHED[kind])
    written = import_model(path, kind, tmp_path / "ours", name="mine")
    card = load_card(tmp_path / "ours")
    assert card == written
    assert card.name == "mine"
    told = card.recipe["imported"]
    assert (told["file"], told["kind"], told["sha256"]) == ("theirs.pth", kind, hashlib.sha256(path.read_bytes()).hexdigest())
    assert card.licence in ("Apache-2.0", "GPL-3.0-only", "LicenseRef-unknown")
    assert card.preprocessing.mean == (0.485, 0.456, 0.406)
    assert "theirs.pth" in card.description
    assert card.training_data


def test_an_imported_model_describes(tmp_path, file):
    import_model(file(PUBLISHED["salad"]), "salad", tmp_path / "ours", px=140)
    describer = Describer(*load_model(tmp_path / "ours"))
    assert describer.describe(torch.randint(0, 255, (2, 50, 70, 3), dtype=torch.uint8).numpy()).shape == (2, 8448)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_another_kind_is_named(tmp_path, file, kind):
    other = "salad" if kind != "salad" else "mixvpr"
    with pytest.raises(ModelError, match=f"no checkpoint of .*its tensors begin with .*; it looks like --as {kind}$"):
        import_model(file(PUBLISHED[kind]), other, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_a_file_of_no_kind(tmp_path, file):
    with pytest.raises(ModelError, match=r"its tensors begin with fc\.weight, fc\.bias.*there are importers of dinov2, salad"):
        import_model(file(published.linear("fc", 2, 3)), "salad", tmp_path / "ours")
    with pytest.raises(ModelError, match="no importer of this name; choose from dinov2, salad"):
        import_model(tmp_path / "theirs.pth", "salat", tmp_path / "ours")


def test_numbers_that_are_not_finite(tmp_path):
    tensors = published.draw(PUBLISHED["dinov2"])
    tensors["blocks.0.ls1.gamma"][3] = float("nan")
    torch.save(tensors, tmp_path / "theirs.pth")
    with pytest.raises(ModelError, match="not finite"):
        import_model(tmp_path / "theirs.pth", "dinov2", tmp_path / "ours")


def test_the_checkpoint_is_not_overwritten(tmp_path):
    folder = tmp_path / "ours"
    folder.mkdir()
    torch.save(published.draw(PUBLISHED["dinov2"]), folder / "model.safetensors")
    with pytest.raises(ModelError, match="would replace the checkpoint itself"):
        import_model(folder / "model.safetensors", "dinov2", folder)


def test_panoramas_have_to_fit_the_patches(tmp_path, file):
    path = file(PUBLISHED["dinov2"])
    with pytest.raises(ModelError, match="140 x 768 pixels do not divide into patches of 14; resize to 140 x 770"):
        import_model(path, "dinov2", tmp_path / "ours", ground_hw=(140, 768))
    for kind, says in (("cvcities", "made for 36 tokens, got 72"), ("salad", "more tokens than clusters, got 60 tokens for 64")):
        torch.save(published.draw(PUBLISHED[kind]), tmp_path / "other.pth")
        with pytest.raises(ModelError, match=says):
            import_model(tmp_path / "other.pth", kind, tmp_path / "ours", ground_hw=(84, 168) if kind == "cvcities" else (84, 140))
    torch.save(published.draw(PUBLISHED["sample4geo"]), tmp_path / "other.pth")
    with pytest.raises(ModelError, match="--ground: pictures of 20 x 20 pixels are smaller than a token of"):
        import_model(tmp_path / "other.pth", "sample4geo", tmp_path / "ours", ground_hw=(20, 20))
    assert not (tmp_path / "ours").exists()
    assert import_model(path, "dinov2", tmp_path / "ours", ground_hw=(140, 770)).preprocessing.ground_hw == (140, 770)


def test_the_untrained_head_is_the_same_every_time(tmp_path, file):
    path = file(PUBLISHED["dinov2"])
    torch.manual_seed(5)
    first = import_model(path, "dinov2", tmp_path / "a", head="salad")
    drawn = torch.rand(1)
    second = import_model(path, "dinov2", tmp_path / "b", head="salad")
    torch.manual_seed(5)
    assert first.sha256 == second.sha256
    assert torch.equal(torch.rand(1), drawn)
