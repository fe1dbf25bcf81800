"""Whether the Hugging Face hub can be had. Its own client would try for half a minute before it says so."""


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
