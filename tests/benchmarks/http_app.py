"""The app that gunicorn serves: the middleware that the environment names, or its bare app."""

import json
import os

from middlewares import MIDDLEWARES
from tokens import Published

_name = os.environ["BENCH_APP"]
_pair = MIDDLEWARES[_name.removeprefix("bare ")](Published(json.loads(os.environ["BENCH_JWK"])))
application = _pair.bare if _name.startswith("bare ") else _pair.guarded
