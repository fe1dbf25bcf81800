"""Checks every link between Label Studio and the backend; the exit code is 0 when all is well, 1 when not."""

import argparse
from collections.abc import Sequence

from nextlabel.commands._common import studio_from_settings
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.doctor import examine
from nextlabel.settings import load_settings


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, examine, print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nextlabel doctor", description=__doc__)
    parser.add_argument("--project", type=int, help="id of a project to look at")
    parser.add_argument("--backend-url", help="where the backend answers (default: http://localhost:PORT)")
    options = parser.parse_args(arguments)
    settings = load_settings()
    url = (options.backend_url or f"http://localhost:{settings.port}").rstrip("/")
    credentials = Credentials.of(settings)
    key = settings.label_studio_api_key.get_secret_value()
    well = True
    for finding in examine(studio_from_settings(), key, url, credentials, options.project):
        print(f"{'ok  ' if finding.ok else 'BAD '} {finding.answer}")
        if not finding.ok and finding.remedy:
            print(f"     {finding.remedy}")
        well = well and finding.ok
    return 0 if well else 1
