"""Why a server cannot be reached, and what to do about it: by the error, and by the settings of the network that the
HTTP client heeds. No I/O but a look at files that these name."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from nextlabel.errors import without_password

CERTIFICATES = "SSL_CERT_FILE"
IN_FRONT = {
    413: "What stands in front of Label Studio refuses requests of that size: raise its limit (in nginx "
    "client_max_body_size).",
    502: "What stands in front of Label Studio does not reach it: look whether Label Studio runs.",
    503: "What stands in front of Label Studio does not reach it: look whether Label Studio runs.",
    504: "What stands in front of Label Studio did not wait for its answer: raise its limit (in nginx "
    "proxy_read_timeout), or look why Label Studio is slow.",
}
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")


def remedy_of(url: str, error: Exception, otherwise: str) -> str:
    """What to do when a request to `url` fails with this error; `otherwise`, when the network is not to blame."""
    words = str(error).upper()
    if "NO_CERTIFICATE" in words or not _readable():
        return (
            f"{CERTIFICATES}={os.environ.get(CERTIFICATES)} (or REQUESTS_CA_BUNDLE, where only that was set) holds no "
            "certificates that can be read: name a file with some, in PEM."
        )
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return _of_certificate(words)
    if any(sign in words for sign in NO_TLS):
        return f"It speaks no TLS at this address: write http:// in the place of https:// in {without_password(url)}."
    return proxy_between(url) or otherwise


def proxy_between(url: str) -> str:
    """What to do when a proxy answers in the place of the server; empty when none is asked."""
    parts, proxies = urlsplit(url), getproxies_environment()
    host = parts.hostname or ""
    kind = next((kind for kind in (parts.scheme, "all") if proxies.get(kind)), "")
    if not kind or proxy_bypass(host):
        return ""
    direct = ",".join(filter(None, (proxies.get("no"), host)))
    return (
        f"The request goes through a proxy, {kind.upper()}_PROXY={without_password(proxies[kind])}. Should {host} be "
        f"reached directly, set NO_PROXY={direct}"
    )


def in_front(status: int, challenge: str) -> str:
    """What to do about an answer with this status that is no JSON: what stands in front of Label Studio has given it.
    `challenge` is its WWW-Authenticate. Empty where the status says nothing about that."""
    if status == 401 and challenge:
        return (
            f"What stands in front of Label Studio asks for a login of its own ({challenge}), beside which our token "
            "has no place: let it pass requests to /api/, or set LABEL_STUDIO_URL to an address behind it."
        )
    return IN_FRONT.get(status, "")


def _of_certificate(words: str) -> str:
    if "MISMATCH" in words or "NOT VALID FOR" in words:
        return "Its certificate is for another name: use the address that the certificate names."
    if "EXPIRED" in words:
        return "Its certificate has expired: renew it."
    return (
        "Nobody who is trusted here has signed its certificate: set SSL_CERT_FILE, or REQUESTS_CA_BUNDLE while that is "
        f"not set (it is {os.environ.get(CERTIFICATES) or 'not'} now), to a file with the certificate of whoever has "
        "signed it, in PEM; a self-signed one is its own."
    )


def _readable() -> bool:
    path = os.environ.get(CERTIFICATES)
    return not path or os.access(path, os.R_OK)
