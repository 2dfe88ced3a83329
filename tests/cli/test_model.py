import json

import pytest
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
    for command in ("list", "info", "export"):
        assert "Example: crossfix model" in call(command, "--help").stdout
