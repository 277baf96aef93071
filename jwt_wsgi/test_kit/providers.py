"""All providers by name."""

from collections.abc import Mapping
from typing import Final

from .logins import LOGINS
from .microsoft import MICROSOFT
from .services import SERVICES
from .shape import Provider

PROVIDERS: Final[Mapping[str, Provider]] = {**MICROSOFT, **LOGINS, **SERVICES}
