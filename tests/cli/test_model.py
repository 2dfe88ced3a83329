import json

import pytest
import timm
import torch
from typer.testing import CliRunner

from crossfix.cli.model import app
from crossfix.errors import CrossfixError, InputError, ModelError
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    model = build(ArchConfig("resnet10t", 64, GemConfig(dim=16), stride=8))
    save_model(tmp_path / "run", model, ModelCard("tiny", model.config, Preprocessing(64), metrics={"unseen": {"R@1": 0.5}}))
    return tmp_path / "run"


def call(*args):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def test_list():
    names = [model["name"] for model in json.loads(call("list", "--json").stdout)]
    assert names == ["gengeo-tiny", "gengeo-small", "gengeo-base"]
    assert "gengeo-small" in call("list").stdout


def test_info(run):
    card = json.loads(call("info", run, "--json").stdout)
    assert card["architecture"]["encoder"] == "resnet10t"
    assert card["metrics"] == {"unseen": {"R@1": 0.5}}
    text = call("info", run).stdout
    assert "metrics.unseen.R@1" in text
    assert json.loads(call("info", "gengeo-base", "--json").stdout)["head_trained"] is False


def test_export(run, tmp_path):
    told = json.loads(call("export", run, "-o", tmp_path / "out", "--name", "mine", "--json").stdout)
    model, card = load_model(tmp_path / "out")
    assert (card.name, card.dtype, card.sha256) == ("mine", "float16", told["sha256"])
    original, _ = load_model(run)
    img = torch.randn(1, 3, 64, 64)
    assert (model(img) * original(img)).sum() > 0.9999
    assert (tmp_path / "out/model.safetensors").stat().st_size < 0.6 * (run / "model.safetensors").stat().st_size
    assert "use it with --model" in call("export", run, "-o", tmp_path / "out", "--dtype", "float32").stdout
    assert load_model(tmp_path / "out")[1].dtype == "float32"


def test_average(run, tmp_path):
    call("export", run, "-o", tmp_path / "other", "--dtype", "float32")
    told = json.loads(call("average", run, tmp_path / "other", "-o", tmp_path / "both", "--share", "0.3", "--json").stdout)
    model, card = load_model(tmp_path / "both")
    assert (told["share"], told["sha256"]) == (0.3, card.sha256)
    assert all(torch.allclose(value, load_model(run)[0].state_dict()[name]) for name, value in model.state_dict().items())
    assert "0.5 of" in call("average", run, tmp_path / "other", "-o", tmp_path / "both").stdout
    with pytest.raises(InputError, match="would replace one of the two"):
        call("average", run, tmp_path / "other", "-o", run)


def mixvpr_checkpoint():
    """MixVPR's release in its names and shapes, with a ResNet-18."""
    original = timm.create_model("resnet18", features_only=True, out_indices=(3,))
    tensors = {f"backbone.model.{name}": tensor for name, tensor in original.state_dict().items()}
    for layer, wide, narrow in (("mix.0.mix.1", 16, 16), ("mix.0.mix.3", 16, 16), ("channel_proj", 256, 8), ("row_proj", 16, 4)):
        tensors |= {f"aggregator.{layer}.weight": torch.randn(narrow, wide), f"aggregator.{layer}.bias": torch.randn(narrow)}
    return tensors | {"aggregator.mix.0.mix.0.weight": torch.randn(16), "aggregator.mix.0.mix.0.bias": torch.randn(16)}


def test_import(tmp_path):
    torch.save(mixvpr_checkpoint(), tmp_path / "resnet18_mixvpr.ckpt")
    told = json.loads(call("import", tmp_path / "resnet18_mixvpr.ckpt", "--as", "mixvpr", "-o", tmp_path / "out", "--json").stdout)
    _, card = load_model(tmp_path / "out")
    assert (told["name"], told["encoder"], told["px"], told["sha256"]) == ("resnet18_mixvpr", "resnet18", 64, card.sha256)
    assert (told["licence"], told["head_trained"]) == ("LicenseRef-unknown", True)
    text = call(
        "import", tmp_path / "resnet18_mixvpr.ckpt", "--as", "mixvpr", "-o", tmp_path / "b", "--name", "x", "--ground", "64x64"
    ).stdout
    assert "64 px, from the ground 64 x 64 px" in text
    assert "use it with --model" in text
    told = call("info", tmp_path / "b").stdout
    assert "preprocessing.ground_hw" in told
    assert (load_model(tmp_path / "b")[1].name, load_model(tmp_path / "b")[1].preprocessing.ground_hw) == ("x", (64, 64))


def test_what_cannot_be_imported(tmp_path):
    file = tmp_path / "theirs.pth"
    torch.save({**mixvpr_checkpoint(), "extra": torch.ones(1)}, file)
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:5000])
    for args, says in [
        ((file, "--as", "mixvpr"), r"theirs.pth: the tensors are not as published: 1 unexpected \(extra\)"),
        ((file, "--as", "salad"), "it looks like --as mixvpr"),
        ((file, "--as", "salat"), "no importer of this name; choose from"),
        ((file, "--as", "mixvpr", "--ground", "wide"), "wide is no size"),
        ((tmp_path / "cut.pth", "--as", "mixvpr"), "cut short or damaged"),
        ((tmp_path / "none.pth", "--as", "mixvpr"), "no such file"),
    ]:
        with pytest.raises(CrossfixError, match=says) as caught:
            call("import", *args, "-o", tmp_path / "out")
        assert caught.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_what_cannot_be(run, tmp_path):
    for args, error, says in [
        (("info", "gengeo-tny"), ModelError, "did you mean gengeo-tiny"),
        (("export", tmp_path, "-o", tmp_path / "out"), ModelError, "card.json is missing"),
        (("export", run, "-o", run), InputError, "replace the run's own weights"),
        (("export", run, "-o", tmp_path / "out", "--dtype", "int4"), InputError, "cannot be stored as int4"),
    ]:
        with pytest.raises(CrossfixError, match=says) as caught:
            call(*args)
        assert type(caught.value) is error
    assert not (tmp_path / "out").exists()


def test_help_has_examples():
    for command in ("list", "info", "export", "import"):
        assert "Example: crossfix model" in call(command, "--help").stdout
