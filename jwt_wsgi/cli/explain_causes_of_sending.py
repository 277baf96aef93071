"""Causes in how a token was sent: it is missing, or does not have the form of a JWT.

The other rows are in ``explain_causes``, which puts all of them together.
"""

import re
from typing import Final

from .explain_facts import JWT_START
from .explain_facts import elsewhere
from .explain_recognition import Cause
from .explain_recognition import detail_is
from .explain_recognition import detail_starts
from .explain_recognition import has_parts
from .explain_recognition import is_odd_path
from .explain_recognition import is_opaque
from .explain_recognition import is_padded
from .explain_recognition import sent_like

#: Cause and remedy for a path with unusual spelling.
ODD_PATH: Final = (
    "Routers read such a path differently (//, dot segments, ;, \\); all rules' conditions count.",
    "Request the path in its plain form, for instance /api/me instead of //api/me.",
)
_PLACEHOLDER: Final = r"^(bearer )?(undefined|null|none|nil|nan|false|\[object \w+\])$"
_VARIABLE: Final = (
    r"^(bearer )?['\"]?(\$\(?\{?\w+\}?\)?|\{\{?[\w. ]+\}?\}|<[\w -]+>|%\w+%|"
    r"(your[-_.]?)?(access[-_.]?)?(token|jwt)([-_.]?here)?)['\"]?$"
)
_EMPTY_VALUE: Final = (
    "Instead of a token, the client sent an empty value of its programming language.",
    "Find out why the client has no token; without one it should not send the header.",
)
_NOT_EXPANDED: Final = (
    "Instead of a token, the client sent a placeholder or the name of a variable.",
    "Replace it by the token: a shell expands $TOKEN in double quotes only.",
)
_PADDED: Final = (
    "Its parts end with =, as AWS load balancers (ALB) write them; a JWT has no padding.",
    "Send the user's access token; the header x-amzn-oidc-data is not a bearer token.",
)

CAUSES_OF_SENDING: Final = (
    Cause(
        "token_missing",
        "elsewhere",
        lambda case: any(elsewhere(case)),
        "A token is in a header or cookie where the middleware does not look for one.",
        "Send it in {place}, or name the place in JWT_WSGI_TOKEN_FROM (header, header:NAME,"
        " cookie:NAME).",
    ),
    Cause(
        "token_missing",
        "another site",
        lambda case: any(where.startswith("cookie:") for where in case.request.places),
        "A cookie holds a token, but the page of another site may have sent it (Sec-Fetch-Site,"
        " Origin).",
        "Send the request from a page of the same origin, or the token in the header"
        " Authorization.",
    ),
    Cause(
        "token_missing",
        "another scheme",
        lambda case: bool(case.request.places),
        "There are credentials of another scheme than Bearer.",
        "Send the token in {place}.",
    ),
    Cause("token_missing", "path", is_odd_path, *ODD_PATH),
    Cause(
        "tokens_multiple",
        "one cookie twice",
        lambda case: len(set(case.request.places)) == 1,
        "Two cookies have the same name; another host of the domain can set one (RFC 6265 8.6).",
        "Delete one of them; a name with the prefix __Host- cannot be set from elsewhere.",
    ),
    Cause(
        "header_malformed",
        "bearer twice",
        sent_like(r"^bearer[ :]+bearer\b"),
        "The header has the word Bearer twice.",
        "Add it once: either the client library does it, or your code.",
    ),
    Cause(
        "header_malformed",
        "JSON",
        sent_like(r"^(bearer )?\s*\{\s*\"(?!\w+\}\})"),
        "It is JSON: the answer of a token endpoint, or a JWS that is not compact.",
        "Send only the value of access_token, without the JSON around it.",
    ),
    Cause(
        "header_malformed",
        "joined",
        sent_like(r"^bearer [^,]*,"),
        "Several Authorization headers were joined with a comma, as servers and proxies do.",
        "Send the header once; look for a client or a proxy that adds a second one.",
    ),
    Cause("header_malformed", "nothing", sent_like(_PLACEHOLDER), *_EMPTY_VALUE),
    Cause("header_malformed", "placeholder", sent_like(_VARIABLE), *_NOT_EXPANDED),
    Cause(
        "header_malformed",
        "another scheme",
        sent_like(r"^(basic|digest|dpop|negotiate|ntlm|jwt|token|apikey|api-key|hmac|aws4\S*) "),
        "The scheme is another one than Bearer.",
    ),
    Cause(
        "header_malformed",
        "no scheme",
        sent_like(rf"^{JWT_START}\S+$"),
        "The header has the token without the scheme Bearer.",
        "Put Bearer and a space before the token.",
    ),
    Cause(
        "header_malformed",
        "quotes",
        sent_like(r"[\"'<>{}\[\]]"),
        "Quotes or brackets stand around the token.",
        "Send the token without them.",
    ),
    Cause(
        "header_malformed",
        "percent-encoded",
        sent_like(r"%2[EBFbef]|%3[Dd]|%0[AaDd]"),
        "The token is percent-encoded, as in URLs and forms.",
        "Decode it before it is sent.",
    ),
    Cause(
        "header_malformed",
        "escaped line end",
        sent_like(r"\\[rn]"),
        "A backslash and a letter stand there instead of the end of a line.",
        "Remove what follows the token; look where a line end was escaped.",
    ),
    Cause(
        "header_malformed",
        "empty",
        sent_like(r"^bearer\s*$"),
        "Nothing follows the word Bearer.",
        _EMPTY_VALUE[1],
    ),
    Cause("header_malformed", "padding", is_padded, *_PADDED),
    Cause(
        "header_malformed",
        "pieces",
        sent_like(r"^bearer +\S+\s+\S"),
        "The token is in several pieces; it was wrapped when it was copied.",
        "Join the pieces, without spaces.",
    ),
    Cause(
        "token_malformed",
        "too long",
        lambda case: "longer than" in case.error.detail or "too long" in case.error.detail,
        "The token is longer than max_token_size.",
        "Have the issuer put less into it (groups, roles), or raise JWT_WSGI_MAX_TOKEN_SIZE and"
        " the server's limit of headers.",
    ),
    Cause("token_malformed", "nothing", sent_like(_PLACEHOLDER), *_EMPTY_VALUE),
    Cause("token_malformed", "placeholder", sent_like(_VARIABLE), *_NOT_EXPANDED),
    Cause(
        "token_malformed",
        "kid",
        detail_starts("kid is not a string"),
        "The kid of the token's header is not a string of 1 to 256 characters, but for instance a"
        " number.",
        "Have the issuer write kid as a string (RFC 7515 section 4.1.4).",
    ),
    Cause(
        "token_malformed",
        "extension",
        lambda case: case.error.detail in ("the header has crit", "the header has b64"),
        "The token asks for an extension that is not understood here (RFC 7515 section 4.1.11).",
        "Have the issuer sign plain JWTs, without crit and b64.",
    ),
    Cause(
        "token_malformed",
        "no alg",
        detail_starts("alg is missing"),
        "The token's header does not say as a text how it is signed.",
        "Have the issuer write alg as a string (RFC 7515 section 4.1.1).",
    ),
    Cause(
        "token_malformed",
        "typ",
        detail_starts("typ is not a string"),
        "The typ of the token's header is not a string.",
        "Have the issuer write typ as a string, or leave it out (RFC 7515 section 4.1.9).",
    ),
    Cause(
        "token_malformed",
        "twice",
        detail_starts("duplicate members"),
        "A name is twice in the token's JSON, and programs differ in which value they use.",
        "Have the issuer write each member once (RFC 7519 section 4).",
    ),
    Cause(
        "token_malformed",
        "no JSON",
        detail_is("not JSON in UTF-8", "not one JSON value", "not one JSON object"),
        "Its header or its payload is not a JSON object in UTF-8.",
        "Copy the whole token; if it is whole, have the issuer sign a JSON object (RFC 7519"
        " section 7.1).",
    ),
    Cause("token_malformed", "padding", is_padded, *_PADDED),
    Cause(
        "token_malformed",
        "base64",
        lambda case: has_parts(3)(case) and re.search("[+/]", case.request.token) is not None,
        "It holds + or /: it is base64, not base64url (RFC 7515 section 2).",
        "Have the token encoded with - and _ instead, and without padding.",
    ),
    Cause("token_malformed", "opaque", is_opaque, "It is an opaque token, no JWT."),
    Cause(
        "token_malformed",
        "cut",
        has_parts(2),
        "One of its three parts is missing: it was cut when it was copied or sent.",
        "Copy the whole token.",
    ),
    Cause(
        "token_malformed",
        "encrypted",
        has_parts(5),
        "It is an encrypted JWT (JWE), which only its recipient can read.",
        "Ask the issuer for signed access tokens for this API.",
    ),
)
