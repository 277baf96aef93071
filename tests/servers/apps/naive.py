"""What must not be done: a lock from before the fork, held across a fetch."""

import threading
import urllib.request

from cold import application as good

lock = threading.Lock()
keys = []


def application(environ, start_response):
    with lock:
        if "HTTP_AUTHORIZATION" in environ and not keys:
            with urllib.request.urlopen(good.settings.jwks_uri) as answer:
                keys.append(answer.read())
    return good(environ, start_response)
