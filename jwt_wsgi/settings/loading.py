"""Reads settings from keywords, requests and the environment, in this order of precedence."""

import os
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final
from typing import Unpack

from jwt_wsgi.errors import ConfigurationError
from jwt_wsgi.errors import printable
from jwt_wsgi.events import logger
from jwt_wsgi.injection import RESULTS
from jwt_wsgi.urls import shown_url

from .contradictions import problems
from .contradictions import problems_of_terms
from .contradictions import sentences
from .issuer import KEY_SLOT
from .issuer import Issuer
from .openings import open_audience
from .openings import open_paths
from .openings import useless_scopes
from .options import OPTIONS
from .options import PREFIX
from .options import Options
from .options import Table
from .reading import Reading
from .reading import did_you_mean
from .reading import read

REQUEST_PREFIX: Final = "jwt_wsgi."
#: Options that may be a path: for these ``JWT_WSGI_<NAME>_FILE`` is a file that is watched.
_FILES: Final = frozenset({"jwks"})
#: Variables that Kubernetes sets for a Service called jwt-wsgi, and JWT_WSGI_APP.
_NOT_OPTIONS: Final = re.compile(r"APP|(\w+_)?(PORT(_.*)?|SERVICE_HOST|SERVICE_PORT(_.*)?)")
_NO_ISSUER: Final = (
    'issuer: missing; give issuer="https://…", the iss of the tokens, or set JWT_WSGI_ISSUER'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Table):
    """What a middleware does: every option read, checked and with its default.

    Made by :meth:`load` or :meth:`of`; both raise :class:`ConfigurationError` with all problems.
    """

    #: Where each option that is set was found: ``keyword``, ``request``, or the variable's name.
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        options: Mapping[str, object],
        *,
        environ: Mapping[str, str] = os.environ,
        request: Mapping[str, str] | None = None,
    ) -> "Settings":
        """Read settings. ``options`` override ``request``, which overrides ``environ``.

        ``request``: what a server set as ``jwt_wsgi.<name>``. Raises
        :class:`ConfigurationError` with every problem there is.
        """
        return Given(options, environ).settings(request)

    @classmethod
    def of(cls, **options: Unpack[Options]) -> "Settings":
        """Make settings of keywords only. The environment is not read."""
        return cls.load(dict(options), environ={})

    @property
    def terms(self) -> tuple["Settings", ...]:
        """The settings for each configured issuer: its own options, and these for all others."""
        return tuple(self._own(issuer) for issuer in self.issuers)

    def for_issuer(self, issuer: Issuer) -> "Settings":
        """The settings for an issuer that a function named.

        Raises :class:`ConfigurationError` with every problem of the issuer's options.
        """
        wrong = self._problems_of(issuer, shown_url(issuer.identifier), frozenset())
        if wrong:
            raise ConfigurationError(wrong)
        return self._own(issuer)

    def _own(self, issuer: Issuer) -> "Settings":
        """Lay the issuer's own options over these."""
        own = issuer.reading.values
        hidden: dict[str, Any] = {}
        if issuer.keys is not None or not KEY_SLOT.isdisjoint(own):
            hidden = dict.fromkeys(KEY_SLOT)  # an issuer's own keys replace those of the middleware
        return replace(self, issuer=(issuer,), **(hidden | own))

    def _problems_of(self, issuer: Issuer, where: str, broken: AbstractSet[str]) -> list[str]:
        """What is wrong with one issuer, each with its place; ``where`` empty: it is the only."""
        read_wrong = issuer.reading.sentences
        broken = broken | issuer.reading.problems.keys()
        between = sentences(problems_of_terms(self._own(issuer)), broken)
        return [
            *(f"{where}.{problem}" if where else problem for problem in read_wrong),
            *(f"{where}: {problem}" if where else problem for problem in between),
        ]

    def _openings(self) -> Iterator[str]:
        """Warnings of settings that accept every request or every audience."""
        for own in self.terms or (self,):
            yield from open_audience(own)
        yield from open_paths(self)

    def _check(self, reading: Reading, *, needs_issuer: bool) -> list[str]:
        """Every problem of settings that were made of ``reading``."""
        found = reading.sentences
        broken = reading.problems.keys()
        if needs_issuer and not self.issuer and "issuer" not in broken:
            found.append(_NO_ISSUER)
        found += sentences(problems(self), broken)
        if not self.issuers:  # otherwise the terms of each issuer are checked
            found += sentences(problems_of_terms(self), broken)
        for position, issuer in enumerate(self.issuers):
            where = f"issuer[{position}]" if len(self.issuers) > 1 else ""
            found += self._problems_of(issuer, where, broken)
        return found


class Given:
    """The options of keywords and environment, read once for all requests.

    Nothing is raised here: :meth:`settings` reports every problem there is.
    """

    def __init__(self, options: Mapping[str, object], environ: Mapping[str, str]) -> None:
        given = {name: (name, raw) for name, raw in options.items() if raw is not None}
        self._keywords = read(OPTIONS, {k: v for k, v in given.items() if k in OPTIONS})
        for name in [name for name in options if name not in OPTIONS]:
            hint = did_you_mean(name, OPTIONS)
            self._keywords.problems[name] = [f"{name}: no such option{hint}"]
        problems: dict[str, list[str]] = {}
        found = _from_environment(environ, problems)
        variables = {name: (place, text) for name, place, text in found}
        self._environment = read(OPTIONS, variables)
        self._sources = {name: place for name, (place, _) in variables.items()}
        self._sources |= dict.fromkeys(self._keywords.values, "keyword")
        for name, sentences_ in problems.items():
            self._environment.problems.setdefault(name, []).extend(sentences_)

    def settings(self, request: Mapping[str, str] | None = None) -> Settings:
        """Make the settings. ``request``: options that override those of the environment.

        Raises :class:`ConfigurationError` with every problem there is.
        """
        found = {name: (REQUEST_PREFIX + name, text) for name, text in (request or {}).items()}
        reading = self._keywords.over(read(OPTIONS, found).over(self._environment))
        sources = self._sources | dict.fromkeys(found.keys() - self._keywords.values, "request")
        settings = Settings(**reading.values, sources=sources)
        later = settings.settings_from_request and request is None  # each request brings its own
        wrong = settings._check(reading, needs_issuer=not later)  # noqa: SLF001
        if wrong:
            raise ConfigurationError(wrong)
        if request is None:
            for sentence in settings._openings():  # noqa: SLF001
                logger.warning("open to everybody: %s", sentence)
            for sentence in useless_scopes(settings):
                logger.warning("%s", sentence)
            if settings.revocation and settings.revocation.forgets_other_processes:
                why = "a logout reaches this process only; give a store that all of them share"
                logger.warning("revocation: backchannel_logout: %s", why)
        return settings

    def value(self, name: str) -> Any:
        """Return one option, or None if it is not set. Problems of other options are ignored.

        Raises :class:`ConfigurationError` if this one is wrong.
        """
        reading = self._keywords.over(self._environment)
        if name in reading.problems:
            raise ConfigurationError(reading.problems[name])
        return reading.values.get(name)


def _from_environment(
    environ: Mapping[str, str], problems: dict[str, list[str]]
) -> Iterator[tuple[str, str, str | Path]]:
    """Every option that is set: its name, the variable, and its text, or the file that holds it."""
    texts = {name for name, option in OPTIONS.items() if option.text}
    variables = {PREFIX + name.upper(): name for name in texts}
    files = {f"{PREFIX}{name.upper()}_FILE": name for name in texts}
    for variable in sorted(variable for variable in environ if variable.startswith(PREFIX)):
        if variable in variables:
            yield variables[variable], variable, environ[variable]
        elif variable in files:
            plain = variable.removesuffix("_FILE")
            if plain in environ:
                sentence = f"{variable}: {plain} is set as well; unset one of the two"
                problems.setdefault(files[variable], []).append(sentence)
            if files[variable] in _FILES:
                yield files[variable], variable, Path(environ[variable])
                continue
            try:
                text = Path(environ[variable]).read_text(encoding="utf-8-sig")
            except (OSError, ValueError) as error:
                why = f"it cannot be read ({getattr(error, 'strerror', '') or 'it is no UTF-8'})"
                sentence = f"{variable}: {printable(environ[variable], 80)}: {why}"
                problems.setdefault(files[variable], []).append(sentence)
            else:
                yield files[variable], variable, text.removesuffix("\n")
        elif is_setting(variable):
            _unknown_variable(variable, [*variables, *files], problems)


def is_setting(variable: str) -> bool:
    """Whether a variable is, or was meant to be, a setting: it begins with ``JWT_WSGI_``.

    ``JWT_WSGI_APP`` is none, nor are those that Kubernetes sets for a service called jwt-wsgi.
    """
    named = variable.startswith(PREFIX)
    return named and not _NOT_OPTIONS.fullmatch(variable.removeprefix(PREFIX))


def _unknown_variable(variable: str, known: list[str], problems: dict[str, list[str]]) -> None:
    """Report a misspelled variable, which would otherwise leave the app less protected."""
    if variable.removeprefix(PREFIX).lower() in OPTIONS:
        problems[variable] = [f"{variable}: give it as a keyword; it is a Python object"]
    else:
        hint = did_you_mean(variable, known) or "; unset it"
        problems[variable] = [f"{ascii(variable)[1:-1]}: no such setting{hint}"]


def request_settings(environ: Mapping[str, Any]) -> dict[str, str]:
    """The options that the server set in a WSGI environ; clients cannot set such names.

    Raises :class:`ConfigurationError` for a name that is not one of an option.
    """
    # An outer middleware has written RESULTS, which are no options.
    keys = [key for key in environ if key.startswith(REQUEST_PREFIX) and key not in RESULTS]
    named = [key.removeprefix(REQUEST_PREFIX) for key in keys]
    unknown = [name for name in named if name not in OPTIONS]
    if unknown:
        raise ConfigurationError(
            f"{REQUEST_PREFIX}{name}: no such option{did_you_mean(name, OPTIONS)}"
            for name in unknown
        )
    return {
        name: str(environ[key])
        for name, option in OPTIONS.items()
        if option.text and (key := REQUEST_PREFIX + name) in environ
    }
