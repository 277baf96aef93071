"""JWT authentication for any WSGI app, in one line."""

from .claims import Claims as Claims
from .current import current_payload as current_payload
from .errors import AuthError as AuthError
from .errors import ConfigurationError as ConfigurationError
from .errors import InsufficientAuthError as InsufficientAuthError
from .errors import InsufficientScopeError as InsufficientScopeError
from .errors import InvalidTokenError as InvalidTokenError
from .errors import KeysUnavailableError as KeysUnavailableError
from .errors import MalformedHeaderError as MalformedHeaderError
from .errors import MissingTokenError as MissingTokenError
from .errors import MultipleTokensError as MultipleTokensError
from .errors import UnavailableError as UnavailableError
from .events import Event as Event
from .injection import user_id as user_id
from .jose import Key as Key
from .keys import KeySet as KeySet
from .keys import KeySource as KeySource
from .layers import warm_up as warm_up
from .middleware import JWTMiddleware as JWTMiddleware
from .revocation.store import Store as Store
from .rules import Rule as Rule
from .rules import Token as Token
from .settings.issuer import Issuer as Issuer
from .settings.loading import Settings as Settings
