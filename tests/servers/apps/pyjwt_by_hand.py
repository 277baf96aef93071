"""An app behind PyJWT with PyJWKClient, for ``tests/faults/gateways.py``.

``GATEWAY_FACTS`` is a JSON object: the issuer, its JWKS and CA, and the audience.
"""

import json
import os
import ssl

import jwt

FACTS = json.loads(os.environ["GATEWAY_FACTS"])
TERMS = {"algorithms": ["RS256"], "audience": FACTS["audience"], "issuer": FACTS["issuer"]}
client = jwt.PyJWKClient(
    FACTS["jwks_uri"], ssl_context=ssl.create_default_context(cafile=FACTS["ca"])
)


def application(environ, start_response):
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise jwt.PyJWTError("no token")
        jwt.decode(token, client.get_signing_key_from_jwt(token), **TERMS)
    except jwt.PyJWTError:
        headers = [("WWW-Authenticate", "Bearer"), ("Content-Length", "0")]
        start_response("401 Unauthorized", headers)
        return []
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
