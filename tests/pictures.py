"""The diagrams of the documents. ``python tests/pictures.py`` draws them anew.

The time line of an outage is drawn by ``jwt-wsgi demo --outage --plot FILE.svg``, and the bars of
the page about performance by ``python tests/benchmarks/run.py --plot FILE.svg``.
"""

import textwrap
from pathlib import Path

from test_architecture import FIRST_RING
from test_architecture import TOWER
from test_architecture import own_imports_of

from jwt_wsgi.cli.explain_code import CODES
from jwt_wsgi.cli.explain_steps import STEPS
from jwt_wsgi.cli.svg import box
from jwt_wsgi.cli.svg import picture
from jwt_wsgi.cli.svg import text

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"

#: Step of ``jwt-wsgi explain`` -> the codes of the refusals that leave there.
EXITS = {
    "rule": ("origin_not_allowed",),
    "credentials": ("token_missing", "header_malformed", "tokens_multiple"),
    "form": ("token_malformed",),
    "issuer": ("issuer_not_trusted",),
    "header": ("algorithm_not_allowed", "token_type_not_allowed"),
    "claims": (
        *("token_expired", "token_not_yet_valid", "token_too_old"),
        *("audience_mismatch", "claim_missing", "claim_invalid"),
    ),
    "key": ("key_not_found", "key_not_known_yet", "keys_unavailable"),
    "signature": ("signature_invalid",),
    "binding": ("token_bound",),
    "checks": ("claim_invalid", "temporarily_unavailable"),
    "revocation": ("token_revoked", "revocation_unavailable"),
    "access": ("insufficient_scope", "insufficient_user_authentication"),
}
LINE = 22  # from one line of text to the next


def arrow_down(x: float, y: float, length: float) -> str:
    """An arrow from ``y`` down, with its head."""
    end = y + length
    head = f"{x - 5:.1f},{end - 8:.1f} {x + 5:.1f},{end - 8:.1f} {x:.1f},{end:.1f}"
    return f'{box("rule", x - 1, y, 2, length - 6)}<polygon class="rule" points="{head}"/>'


def arrow_right(x: float, y: float, length: float) -> str:
    """An arrow from ``x`` to the right, with its head."""
    end = x + length
    head = f"{end - 8:.1f},{y - 5:.1f} {end - 8:.1f},{y + 5:.1f} {end:.1f},{y:.1f}"
    return f'{box("rule", x, y - 1, length - 6, 2)}<polygon class="rule" points="{head}"/>'


def way() -> str:
    """The way of a request: the steps in their order, and where it leaves with which code."""
    middle, y, parts = 125.0, 46.0, [text(125, 28, "request", "middle", "strong")]
    for name, question in STEPS.items():
        words = textwrap.wrap(question, 26)
        exits = [f"{CODES[code].status} {code}" for code in EXITS[name]]
        exits += ["no token is needed: to the app"] if name == "rule" else []
        height = max(len(words), len(exits)) * LINE + 14
        parts.append(arrow_down(middle, y - 12, 12))
        parts.append(box("step", 10, y, 2 * middle - 20, height, 6))
        top = y + (height - len(words) * LINE) / 2 + 16
        parts += [text(middle, top + LINE * n, line, "middle") for n, line in enumerate(words)]
        top = y + (height - len(exits) * LINE) / 2 + 16
        parts.append(arrow_right(2 * middle - 10, y + height / 2, 28))
        parts += [text(278, top + LINE * n, line) for n, line in enumerate(exits)]
        y += height + 14
    parts += [arrow_down(middle, y - 12, 12), box("guard", 10, y, 2 * middle - 20, 40, 6)]
    parts.append(text(middle, y + 26, "your app", "middle", "strong"))
    parts.append(text(278, y + 26, 'environ["jwt_wsgi.payload"]'))
    title = "The way of a request through the middleware: " + "; ".join(
        f"{question} {' or '.join(EXITS[name])}".strip() for name, question in STEPS.items()
    )
    return picture(600, round(y + 54), f"{title}; then your app.", parts, size=16)


#: From outside to inside, below the client: name, what it does, and its kind of box.
LAYERS = (
    ("proxy, gateway, load balancer", "TLS; must hand Authorization on", "outside"),
    ("WSGI server", "gunicorn, uWSGI, mod_wsgi, waitress, granian", "outside"),
    ("what sees every request", "ProxyFix, Sentry, WhiteNoise, CORS preflights", "outside"),
    ("jwt_wsgi", "refuses here, or puts the claims into environ", "guard"),
    ("your framework", "routing, Flask-CORS, Flask-SocketIO", "step"),
    ("your views", "read the claims", "step"),
)


def stack() -> str:
    """What stands outside of the middleware, and what inside."""
    parts, inset, band = [], 12, 62
    height = band * len(LAYERS) + inset * len(LAYERS) + 8
    for number, (name, what, kind) in enumerate(LAYERS):
        x, y = 8 + inset * number, 8 + band * number
        wide, high = 584 - 2 * inset * number, height - 8 - y - inset * number
        parts.append(box("rule", x, y, wide, high, 8))  # the frame: a smaller box lies on it
        parts.append(box(kind, x + 1, y + 1, wide - 2, high - 2, 7))
        parts.append(text(x + 14, y + 25, name, kind="strong"))
        parts.append(text(x + 14, y + 48, what))
    named = "; ".join(f"{name} ({what})" for name, what, _ in LAYERS)
    return picture(600, height, f"The layers from outside to inside: {named}.", parts, size=17)


#: Rooms of the package, from the bottom of the import tower to its top.
ROOMS = ("key_sources", "revocation", "settings", "test_kit", "cli")


def imports() -> str:
    """The import tower: a dot for each import, all of them on one side of the diagonal."""
    step, left, top, count = 4.8, 12.0, 68.0, len(TOWER)
    place = {module: number for number, module in enumerate(TOWER)}
    side, dots = step * count, 0
    parts = [
        text(left, 28, "the modules in their order, first ring in green", kind="strong"),
        text(left, 52, "a row: what a module imports; a column: who imports it"),
        box("outside", left, top, side, side),
    ]
    for module, row in place.items():
        kind = "served" if module in FIRST_RING else "rule"
        parts.append(box(kind, left + step * row, top + step * row, step, step))
        for other in sorted(own_imports_of(module) & place.keys(), key=TOWER.index):
            x, y = left + step * place[other], top + step * row
            parts.append(box("spread", x, y, step - 1, step - 1))
            dots += 1
    for room in ROOMS:
        rows = [row for module, row in place.items() if module.startswith(f"{room}.")]
        middle = step * (rows[0] + len(rows) / 2)
        parts.append(text(left + middle + 20, top + middle, room))
    title = (
        f"The import tower: {count} modules with {dots} imports of each other. Each dot is below"
        " the diagonal: a module imports only from modules that stand before it."
    )
    return picture(600, round(top + side + 12), title, parts, size=16)


#: File -> what draws it.
PICTURES = {"way.svg": way, "stack.svg": stack}
#: The same for what changes with most changes of the code: drawn anew for each release.
DRAWN_FOR_RELEASES = {"imports.svg": imports}


if __name__ == "__main__":
    for name, draw in (PICTURES | DRAWN_FOR_RELEASES).items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
