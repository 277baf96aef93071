"""Recognises documents that are served in the place of a JWKS, for messages to operators."""

from typing import Any

from jwt_wsgi.strict_json import json_object


def why_no_jwks(document: bytes | str, error: Exception) -> str:
    """Why a document is not a usable JWKS: its kind if that is recognised, else the ``error``."""
    body = document.encode("utf-8", "replace") if isinstance(document, str) else document
    if kind := document_kind(body):
        return f"it is not a JWKS but {kind}"
    try:
        json_object(body)
    except ValueError as broken:
        return f"it is not strict JSON with one object: {broken}"
    return str(error)


def document_kind(body: bytes) -> str:
    """The kind of a document, with an article. Empty for a JWKS, and if it is not recognised."""
    start = body.lstrip(b" \t\r\n\xef\xbb\xbf")[:64].lower()
    if not start:
        return "empty"
    for beginning, kind in _BEGINNINGS.items():
        if start.startswith(beginning):
            return kind
    try:
        return _kind_of_object(json_object(body))
    except ValueError:
        return ""


#: The first entry that fits is used.
_BEGINNINGS = {
    b"-----begin ": "a PEM file",
    b"<?xml": "an XML document",
    b"<": "an HTML page",
    b"[": 'a list; a JWKS is {"keys": [KEY, ...]}',
    b"eyj": "a JWT",
    b"\x30\x82": "a key or certificate in DER",
    b"\x1f\x8b": "compressed, without a header Content-Encoding",
}


def _kind_of_object(members: dict[str, Any]) -> str:
    if "keys" in members:
        return ""
    if not members:
        return "an empty object"
    if "jwks_uri" in members or "issuer" in members:
        return "metadata; its jwks_uri says where the keys are"
    if "kty" in members:
        return 'one key; a JWKS is {"keys": [KEY]}'
    if all(isinstance(text, str) and "BEGIN CERT" in text for text in members.values()):
        return "a map of certificates (Google, Firebase), which is published beside a JWKS"
    return "an error message" if not {"error", "errors", "message"}.isdisjoint(members) else ""
