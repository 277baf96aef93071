"""What a document is that should be a JWKS and is none: for messages to operators."""

from jwt_wsgi.strict_json import json_object


def document_kind(body: bytes) -> str:
    """What it looks like, as words with an article; empty if it is a JWKS or not recognised."""
    start = body.lstrip(b" \t\r\n\xef\xbb\xbf")[:64].lower()
    if not start:
        return "empty"
    if start.startswith(b"-----begin "):
        return "a PEM file"
    if start.startswith(b"<"):
        return "an XML document" if start.startswith(b"<?xml") else "an HTML page"
    try:
        members = json_object(body)
    except ValueError:
        return ""
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
    return ""
