"""Published encoder weights from the Hugging Face hub, as safetensors only."""

from __future__ import annotations

from pathlib import Path

import timm
from huggingface_hub import hf_hub_download, hf_hub_url
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError, get_session  # type: ignore[attr-defined]  # in every release

from crossfix.errors import ModelError

_FILE = "model.safetensors"
_REACH_SECONDS = 10.0


def hub_weights(timm_name: str) -> Path:
    """The file of an architecture's published weights: from the hub's cache, or fetched into it.

    Args:
        timm_name: timm name, with or without its weights' tag.

    Raises:
        ModelError: if there are none as safetensors, or they are not cached and the hub cannot be reached.
    """
    config = timm.get_pretrained_cfg(timm_name, allow_unregistered=True)
    repo = getattr(config, "hf_hub_id", None)
    if not repo:
        raise ModelError(
            "timm names no weights on the hub for this architecture", where=timm_name, mend="give a name with its weights' tag"
        )
    try:
        return Path(hf_hub_download(repo, _FILE, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        # One quick try first: without a network, the hub's own client retries for most of a minute.
        get_session().head(hf_hub_url(repo, _FILE), timeout=_REACH_SECONDS)
        return Path(hf_hub_download(repo, _FILE))
    except Exception as error:  # the client's classes of failure changed with its HTTP library, and all mean the same here
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            raise ModelError(f"the hub has no {_FILE} for it", where=repo, mend="choose weights published as safetensors") from error
        raise ModelError(
            f"its weights are not on this machine and the Hugging Face hub cannot be reached ({type(error).__name__})",
            where=repo,
            mend=f"run `hf download {repo} {_FILE}` where there is a network and copy the cache folder (HF_HOME) here, "
            "or use the bundled gengeo-tiny or a trained model folder",
        ) from error
