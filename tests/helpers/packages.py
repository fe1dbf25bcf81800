"""Packages that not every machine has."""

# What a simulation does without.
SERVER_PACKAGES = (
    *("flask", "label_studio_sdk", "huey", "gunicorn", "prometheus_client", "pydantic_settings"),
    *("lxml", "defusedxml", "jwt", "datasets"),
)
