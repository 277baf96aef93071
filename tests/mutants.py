"""The mutants that must die: ``python tests/mutants.py [NAME...]``.

Each is one wrong line in a copy of the package; the tests named beside it have to notice. Prints
a table; the exit code is 1 if one survives or its text is no longer found exactly once. A script,
not collected by pytest.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("jwt_wsgi", "tests", "docs", "pyproject.toml")
TIME_LIMIT = 60.0  # seconds for the tests of one mutant
GREEN, RED = 0, 1  # exit codes of pytest; others mean that it could not do its work


class Mutant(NamedTuple):
    """Its text is replaced, wherever that is, once; ``killers``: files of tests or single ones."""

    name: str
    module: str
    old: str
    new: str
    killers: tuple[str, ...]


def killers(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"tests/{file}.py::{test}" for test in tests) or (f"tests/{file}.py",)


MUTANTS = (
    # cooldown, ages, jitter
    Mutant(
        "a warm-up returns while the thread of its fetch still ends",
        "key_sources/remote.py",
        "            system.wait_until_ended(self._thread)\n",
        "",
        killers("test_jwks_fork", "test_rule_fork_may_follow_a_warm_up_at_once"),
    ),
    Mutant(
        "no jitter",
        "key_sources/freshness.py",
        "    due = fetch.start + policy.refresh_after * (0.8 + 0.2 * jitter)",
        "    due = fetch.start + policy.refresh_after",
        killers("test_jwks", "test_rule_scheduled_refresh_is_due_at_a_time_drawn_by_chance"),
    ),
    Mutant(
        "no jitter after a fork",
        "key_sources/freshness.py",
        "    due = snapshot.start + policy.refresh_after * (0.8 + 0.2 * jitter)",
        "    due = snapshot.due",
        killers("test_jwks", "test_rule_fork_draws_a_refresh_time_for_the_child"),
    ),
    # the metadata of a resource, and the scopes of challenges
    Mutant(
        "offline_access is published",
        "metadata.py",
        " - {OFFLINE_ACCESS})",
        ")",
        killers("test_metadata", "test_offline_access_is_never_published"),
    ),
    Mutant(
        "a challenge asks for offline_access",
        "responses.py",
        "in dict.fromkeys(scopes) if scope != OFFLINE_ACCESS)",
        "in dict.fromkeys(scopes))",
        killers("test_metadata", "test_offline_access_is_never_published"),
    ),
    Mutant(
        "a 403 forgets the scopes of the rule",
        "responses.py",
        '            members["scope"] = _scope_list([*error.scope, ',
        '            members["scope"] = _scope_list([*([] if own else error.scope), ',
        killers("test_metadata", "test_a_403_names_all_scopes_that_the_request_needs"),
    ),
    Mutant(
        "a 403 of a view forgets the scopes of the rule",
        "injection.py",
        "    return tuple(dict.fromkeys([*(rule.scope if rule else ()), *scopes]))",
        "    return tuple(scopes)",
        killers("test_contrib_flask", "test_a_403_of_a_view_names_the_scopes_of_the_rule_as_well"),
    ),
    Mutant(
        "what follows from other settings may be given",
        "settings/resource.py",
        "    if base in WRITTEN:",
        "    if False:",
        killers("test_metadata", "test_wrong_members_are_errors_at_start"),
    ),
    # scopes that include others
    Mutant(
        "a scope includes its direct ones only",
        "scope_hierarchy.py",
        "            waiting += new",
        "            waiting += ()",
        killers("test_scope_hierarchy", "test_what_is_included_is_granted"),
    ),
    Mutant(
        "a scope may include itself",
        "scope_hierarchy.py",
        "        if top in reached:",
        "        if False:",
        killers("test_scope_hierarchy", "test_a_wrong_hierarchy_is_an_error_at_start"),
    ),
    Mutant(
        "a verifier of one's own knows no hierarchy",
        "scope_hierarchy.py",
        "    if not includes or not isinstance(claims, Mapping):",
        "    if not includes or type(claims) is not Claims:",
        killers("test_scope_hierarchy", "test_a_verifier_of_the_app_may_return_any_mapping"),
    ),
    Mutant(
        "an included scope grants the one above it",
        "claims.py",
        '    return frozenset(names).union(*(includes.get(name, ()) for name in names)) - {""}',
        "    above = [top for top, below in includes.items() if set(names) & set(below)]\n"
        '    return frozenset(names).union(above) - {""}',
        killers("test_scope_hierarchy", "test_what_is_included_is_granted"),
    ),
    # rules with headers
    Mutant(
        "two values of a header are read as one",
        "header_rules.py",
        'PLAIN: Final = "[A-Za-z0-9._/:@+~-]{1,256}"',
        'PLAIN: Final = "[A-Za-z0-9._/:@+~,-]{1,256}"',
        killers("test_header_rules", "test_an_odd_value_needs_what_every_rule_asks"),
    ),
    Mutant(
        "a missing header takes a rule away",
        "header_rules.py",
        "    if not _PLAIN.fullmatch(value):\n        return False",
        "    if not _PLAIN.fullmatch(value):\n        return not value",
        killers("test_header_rules", "test_an_odd_value_needs_what_every_rule_asks"),
    ),
    Mutant(
        "only the beginning of a header is plain",
        "header_rules.py",
        "    if not _PLAIN.fullmatch(value):",
        "    if not _PLAIN.match(value):",
        killers("test_header_rules", "test_an_odd_value_needs_what_every_rule_asks"),
    ),
    Mutant(
        "the case of a header's value counts",
        "header_rules.py",
        "    found = value.lower()",
        "    found = value",
        killers("test_header_rules", "test_the_case_of_a_value_takes_nothing_away"),
    ),
    Mutant(
        "a rule with headers decides alone",
        "header_rules.py",
        "        return together([decided, *more]) if more else decided",
        "        return together(more) if more else decided",
        killers("test_header_rules", "test_a_header_adds_to_what_the_rule_of_the_path_asks"),
    ),
    Mutant(
        "a rule with headers is one of the index",
        "rules.py",
        "        rules = [rule for rule in rules if not rule.headers]",
        "        rules = list(rules)",
        killers("test_header_rules", "test_a_header_adds_to_what_the_rule_of_the_path_asks"),
    ),
    # allowed_origins
    Mutant(
        "an empty Origin is none",
        "origin_check.py",
        "    if origin is not None and origin not in allowed.origins:",
        "    if origin and origin not in allowed.origins:",
        killers("test_origin_check", "test_any_other_value_is_refused"),
    ),
    Mutant(
        "an Origin without regard to case",
        "origin_check.py",
        "    if origin is not None and origin not in allowed.origins:",
        "    if origin is not None and origin.lower() not in allowed.origins:",
        killers("test_origin_check", "test_any_other_value_is_refused"),
    ),
    Mutant(
        "a missing Host is served",
        "origin_check.py",
        "    if allowed.hosts and _DEFAULT_PORT",
        "    if allowed.hosts and host and _DEFAULT_PORT",
        killers("test_origin_check", "test_no_host_at_all_is_refused"),
    ),
    Mutant(
        "X-Forwarded-Host is believed",
        "origin_check.py",
        'environ.get("HTTP_HOST"))',
        'environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST")))',
        killers("test_origin_check", "test_headers_that_any_client_can_write_are_ignored"),
    ),
    Mutant(
        "a path is checked as it is spelled only",
        "origin_check.py",
        '        is_elsewhere = allowed.paths and named.find("GET", path) is REQUIRE_TOKEN',
        "        is_elsewhere = allowed.paths and path not in allowed.paths",
        killers("test_origin_check", "test_every_reading_of_a_named_path_is_guarded"),
    ),
    Mutant(
        "Pyramid's virtual root is forgotten",
        "origin_check.py",
        '        if is_elsewhere and "HTTP_X_VHM_ROOT" not in environ:',
        "        if is_elsewhere:",
        killers("test_origin_check", "test_a_path_that_pyramid_puts_together_is_guarded"),
    ),
    Mutant(
        "a preflight may come from any page",
        "middleware.py",
        "        if self._origin_check and (foreign := self._origin_check(environ)):",
        "        if not is_preflight(environ) and (foreign := self._origin_check(environ)):",
        killers(
            "test_origin_check",
            "test_a_preflight_of_a_foreign_page_is_refused_whatever_lets_preflights_through",
        ),
    ),
    Mutant(
        "the origin is checked after our own pages",
        "middleware.py",
        "        if self._origin_check and (foreign := self._origin_check(environ)):",
        '        own = environ.get("PATH_INFO", "") in self._pages\n'
        "        if not own and (foreign := self._origin_check(environ)):",
        killers("test_origin_check", "test_the_metadata_of_a_resource_are_refused_as_well"),
    ),
    Mutant(
        "the refusal of an origin has a challenge",
        "responses.py",
        "        no_token_helps = is_for_now or isinstance(error, OriginNotAllowedError)",
        "        no_token_helps = is_for_now",
        killers("test_errors_table", "test_the_answer_of_an_error"),
    ),
    # origins
    Mutant(
        "an origin that is named gets no credentials",
        "responses.py",
        "    if named:\n",
        "    if False:\n",
        killers("test_middleware", "test_a_script_of_an_allowed_origin_can_read_our_answers"),
    ),
    Mutant(
        "every origin gets credentials",
        "responses.py",
        "    if named:\n",
        "    if origin:\n",
        killers("test_middleware", "test_credentials_are_for_origins_that_are_named"),
    ),
    # the commands routes and settings
    Mutant(
        "the guard of a mount sees the whole path",
        "layers.py",
        "            guards_ = (*guards_, (layer.app, layer.prefix))",
        '            guards_ = (*guards_, (layer.app, ""))',
        killers("test_cli_routes", "test_layers_and_mounts"),
    ),
    Mutant(
        "a part beside the middleware counts as guarded",
        "cli/route_table.py",
        "        return together(found) if found else None",
        "        return together(found or [REQUIRE_TOKEN])",
        killers("test_cli_routes", "test_layers_and_mounts"),
    ),
    Mutant(
        "a rule for one value of a parameter is not seen",
        "cli/route_table.py",
        "            if path and path != usual and guarded.serves(route, path):",
        "            if False:",
        killers("test_cli_routes", "test_a_rule_for_one_value_of_a_parameter"),
    ),
    Mutant(
        "the router is not asked",
        "cli/route_table.py",
        "        return self.router.serves(route, self.method_of(route), path)",
        "        return True",
        killers("test_cli_routes", "test_a_rule_for_one_value_of_a_parameter"),
    ),
    Mutant(
        "another spelling that needs less is no row",
        "cli/route_table.py",
        "        if there and not atoms(here) <= atoms(there) and guarded.serves(route, other):",
        "        if False:",
        killers("test_cli_routes", "test_a_prefix"),
    ),
    Mutant(
        "a difference is no failure",
        "cli/routes.py",
        "    return EXIT_REFUSED if changes else EXIT_FINE",
        "    return EXIT_FINE",
        killers("test_cli_routes", "test_a_view_that_becomes_public_is_seen"),
    ),
    Mutant(
        "secrets are shown",
        "cli/settings.py",
        "    return _HIDDEN if OPTIONS[name].secret and value else _text(value)",
        "    return _text(value)",
        killers("test_cli_settings", "test_an_issuer_with_terms_of_its_own"),
    ),
    Mutant(
        "a flag of the command line is called a keyword",
        "cli/settings.py",
        '    source = by_flag if source == "keyword" else source\n',
        "",
        killers("test_cli_settings", "test_every_option_with_its_source"),
    ),
    Mutant(
        "a warning is shown beside its relaxed check",
        "cli/settings.py",
        " if not warning.endswith(tuple(relaxed))]",
        "]",
        killers("test_cli_settings", "test_a_warning_is_shown_once"),
    ),
    Mutant(
        "--plot is ignored without --outage",
        "cli/demo_command.py",
        "        if options.plot and not options.outage:",
        "        if False:",
        killers("test_outage_plot", "test_plot_without_outage_is_an_error"),
    ),
    Mutant(
        "checks of access tokens are made of logout tokens",
        "revocation/backchannel.py",
        "own_checks=(), ",
        "",
        killers("test_backchannel", "test_own_checks_are_for_access_tokens"),
    ),
    Mutant(
        "a setting in capitals is unknown",
        "settings/reading.py",
        "    written_ = name.casefold()\n",
        "    written_ = name\n",
        killers("test_settings", "test_a_name_that_is_no_setting_is_an_error"),
    ),
    Mutant(
        "a project guarded from the environment is not checked",
        "contrib/django.py",
        "        return bool(guards(get_internal_wsgi_application()))",
        "        return False",
        killers("test_contrib_django", "test_what_would_let_requests_in_is_reported"),
    ),
    Mutant(
        "keywords after two stars are a name",
        "applications.py",
        "        if any(word.arg is None for word in node.keywords):  # **more",
        "        if False:",
        killers("test_wsgi", "test_a_wrong_name_is_reported"),
    ),
    # logouts of issuers
    Mutant(
        "a logout token may carry a nonce",
        "revocation/backchannel.py",
        '    if "nonce" in claims:',
        "    if False:",
        killers("test_backchannel", "test_an_attack_with_a_logout_token_changes_nothing"),
    ),
    Mutant(
        "any event is a logout",
        "revocation/backchannel.py",
        "not isinstance(events.get(EVENT), dict)",
        "not events",
        killers("test_backchannel", "test_an_attack_with_a_logout_token_changes_nothing"),
    ),
    Mutant(
        "a logout token needs neither sub nor sid",
        "revocation/backchannel.py",
        '    if "sub" not in claims and "sid" not in claims:',
        "    if False:",
        killers("test_backchannel", "test_an_attack_with_a_logout_token_changes_nothing"),
    ),
    Mutant(
        "a logout may be of any client",
        "revocation/backchannel.py",
        "        audience=client_ids,",
        '        audience=("*",),',
        killers("test_backchannel", "test_an_attack_with_a_logout_token_changes_nothing"),
    ),
    Mutant(
        "an old logout token is accepted",
        "revocation/backchannel.py",
        "        max_age=MAX_AGE,\n        audience",
        "        audience",
        killers("test_backchannel", "test_an_attack_with_a_logout_token_changes_nothing"),
    ),
    Mutant(
        "a logout token may have any type",
        "revocation/backchannel.py",
        "token_types=TYPES,",
        "token_types=frozenset(),",
        killers("test_backchannel", "test_an_attack_with_a_logout_token_changes_nothing"),
    ),
    Mutant(
        "a logout token is taken twice",
        "revocation/backchannel.py",
        "        if seen is not None:\n",
        "        if False:\n",
        killers("test_backchannel", "test_a_replayed_logout_token_is_refused_and_changes_nothing"),
    ),
    Mutant(
        "a logout token is used up before its entries are written",
        "revocation/backchannel.py",
        "        (seen,) = self._store.read_entries([key])\n",
        "        (seen,) = self._store.read_entries([key])\n"
        '        self._store.add_entry(key, b"1", _REMEMBERED)\n',
        killers("test_backchannel", "test_a_logout_is_503_if_the_store_fails"),
    ),
    Mutant(
        "one issuer uses up the logouts of another",
        "revocation/backchannel.py",
        'json.dumps([issuer, claims["jti"]])',
        'json.dumps([claims["jti"]])',
        killers("test_backchannel", "test_the_jti_of_one_issuer_is_not_that_of_another"),
    ),
    Mutant(
        "a logout token is an access token",
        "assembly.py",
        "            check_no_logout,\n",
        "",
        killers("test_backchannel", "test_a_logout_token_is_refused_as_an_access_token"),
    ),
    Mutant(
        "a long logout is read",
        "revocation/backchannel.py",
        "not 0 < int(length) <= MAX_BODY",
        "int(length) == 0",
        killers("test_backchannel", "test_a_request_that_can_be_read_in_two_ways_changes_nothing"),
    ),
    Mutant(
        "a chunked logout is read",
        "revocation/backchannel.py",
        '"HTTP_TRANSFER_ENCODING" in environ or ',
        "",
        killers("test_backchannel", "test_a_request_that_can_be_read_in_two_ways_changes_nothing"),
    ),
    Mutant(
        "the last of two logout tokens counts",
        "revocation/backchannel.py",
        "    if len(tokens) != 1:",
        "    if not tokens:",
        killers("test_backchannel", "test_a_request_that_can_be_read_in_two_ways_changes_nothing"),
    ),
    Mutant(
        "any content type is a logout",
        "revocation/backchannel.py",
        "    if media.strip() != _FORM or parameters",
        "    if parameters",
        killers("test_backchannel", "test_a_request_that_can_be_read_in_two_ways_changes_nothing"),
    ),
    Mutant(
        "a logout by GET",
        "revocation/backchannel.py",
        '        if method != "POST":',
        '        if method == "HEAD":',
        killers("test_backchannel", "test_only_post_is_served"),
    ),
    Mutant(
        "a logout is kept for less than a token lives",
        "revocation/backchannel.py",
        "    return max(LIFETIME, (issuer.max_age or 0.0) + 2 * MAX_LEEWAY)",
        "    return LIFETIME",
        killers("test_backchannel", "test_an_entry_outlives_the_tokens"),
    ),
    Mutant(
        "a logout ends tokens of the session only",
        "revocation/revocations.py",
        "        if subject is not None:\n            kind",
        "        if subject is not None and sid is None:\n            kind",
        killers("test_backchannel", "test_a_logout_of_a_session_ends_its_tokens_in_every_worker"),
    ),
    Mutant(
        "a logout of a session ends all sessions",
        "revocation/revocations.py",
        'kind = "subject" if sid is None else "sessionless"',
        'kind = "subject"',
        killers("test_backchannel", "test_a_logout_of_a_session_ends_its_tokens_in_every_worker"),
    ),
    Mutant(
        "a logout of a session ends those of other sessions",
        "revocation/revocations.py",
        '        if "session" in named:\n',
        "        if False:\n",
        killers("test_backchannel", "test_a_logout_of_a_session_ends_its_tokens_in_every_worker"),
    ),
    Mutant(
        "a logout that comes again ends later logins",
        "revocation/revocations.py",
        "before = issued + MARGIN",
        "before = self._clock() + MARGIN",
        killers("test_backchannel", "test_a_message_that_comes_again_revokes_nothing_more"),
    ),
    Mutant(
        "a function may take logouts",
        "settings/revocation.py",
        "    if logout is not None and store is None:",
        "    if False:",
        killers("test_backchannel", "test_backchannel_logout_needs_a_store"),
    ),
    Mutant(
        "no warning of logouts in a store of one process",
        "settings/loading.py",
        "            if settings.revocation and settings.revocation.forgets_other_processes:",
        "            if False:",
        killers("test_backchannel", "test_a_store_of_one_process_causes_a_warning"),
    ),
    Mutant(
        "the path of logouts is under a rule",
        "middleware.py",
        '        if page := self._pages.get(environ.get("PATH_INFO", "")):\n',
        '        page = self._pages.get(environ.get("PATH_INFO", ""))\n'
        "        if page and self._rule_of(environ) is REQUIRE_TOKEN:\n",
        killers("test_backchannel", "test_no_rule_is_applied_to_the_logout_path"),
    ),
    # revocation by operators
    Mutant(
        "undo takes nothing away",
        "test_kit/memory_store.py",
        "            self._entries.pop(key, None)\n",
        "",
        killers("test_revoke", "test_what_was_revoked_by_mistake_is_good_again"),
    ),
    Mutant(
        "the exp of a token is not read",
        "cli/revoke.py",
        "        options.expires = expires\n",
        "        pass\n",
        killers("test_revoke", "test_a_token_is_revoked_by_itself"),
    ),
    # a file with keys
    Mutant(
        "a file that stays broken counts once",
        "key_sources/file.py",
        "        self._fails += 1\n",
        "        self._fails = 1\n",
        killers("test_keys", "test_a_file_that_stays_broken_counts_every_failed_look"),
    ),
    # the log
    Mutant(
        "one template for all events",
        "event_log.py",
        'logger.log(level, event.template + "%(more)s", words, extra=',
        'logger.log(level, "%s%s", event, more, extra=',
        killers("test_events", "test_every_event_is_a_record_with_its_own_template_and_fields"),
    ),
    Mutant(
        "every claim is logged",
        "request_log.py",
        'for name in log_fields if name != "path"}',
        'for name in ("sub", "jti")}',
        killers("test_logs", "test_no_claim_is_logged_that_was_not_asked_for"),
    ),
    Mutant(
        "a path is logged as it came",
        "request_log.py",
        'printable(environ.get("PATH_INFO") or "/", _MOST_CHARACTERS)',
        'str(environ.get("PATH_INFO"))',
        killers("test_logs", "test_values_are_escaped_and_cut"),
    ),
    # layers around the middleware
    Mutant(
        "mounts are not looked into",
        "layers.py",
        '"__wrapped__", _MOUNTS)',
        '"__wrapped__")',
        killers("test_layers", "test_the_middleware_is_found"),
    ),
    Mutant(
        "the test kit changes the app's own layer",
        "test_kit/layered.py",
        "new = copy(layer) if new is None else new",
        "new = layer if new is None else new",
        killers("test_layers", "test_a_fake_issuer_takes_the_place_of_the_configured_one"),
    ),
    # the set in hand
    Mutant(
        "swap before validation",
        "key_sources/loading.py",
        'raise self._named(FetchError("document", str(error)), located.jwks_uri) from error',
        'return Loaded(KeySet(()), None, "")',
        killers("test_jwks", "test_a_document_without_keys_replaces_nothing"),
    ),
    Mutant(
        "late failure applied",
        "key_sources/freshness.py",
        "    if not in_time:  # Rule: late result. Its failure was counted when it was given up.\n"
        "        return facts\n",
        "",
        killers("test_jwks", "test_rule_late_result_that_is_a_failure_is_ignored"),
    ),
    Mutant(
        "late older success applied",
        "key_sources/freshness.py",
        "if isinstance(result, Loaded) and fetch.number <= facts.accepted:",
        "if isinstance(result, Loaded) and fetch.number < 0:",
        killers("test_jwks", "test_rule_late_result_never_replaces_a_newer_set"),
    ),
    Mutant(
        "a set that came meanwhile not looked at",
        "key_sources/remote.py",
        "known = kid is None or (held is not None and _may_have(held, kid, tried))\n",
        "known = kid is None\n",
        killers("test_jwks", "test_a_fetch_that_finishes_while_a_request_looks_is_not_repeated"),
    ),
    # who waits, and for how long
    Mutant(
        "lock held across fetch",
        "key_sources/remote.py",
        "            result = self._loader.result(",
        "            with self._lock():\n                result = self._loader.result(",
        killers("test_jwks", "test_rule_cold_start_fetches_and_waits"),
    ),
    Mutant(
        "hooks called with the lock held",
        "key_sources/remote.py",
        "            self._keep(facts)\n            fetch.ok",
        "            self._keep(facts)\n"
        "            for event in reports.changes(self._source, before, facts, now, self.policy):\n"
        "                self._emit(event)\n"
        "            fetch.ok",
        killers("test_jwks", "test_rule_failed_refresh_is_503_for_an_unknown_kid_only"),
    ),
    Mutant(
        "wait counted from arrival",
        "key_sources/remote.py",
        "fetch.finished.wait(max(0.0, until - began))",
        "fetch.finished.wait(self.policy.timeout)",
        killers(
            "test_jwks",
            "test_rule_loading_is_waited_for_five_seconds_at_most",
            "test_rule_unknown_kid_during_a_fetch_may_come_too_late_to_wait",
        ),
    ),
    Mutant(
        "wait without time-out",
        "key_sources/remote.py",
        "fetch.finished.wait(max(0.0, until - began))",
        "fetch.finished.wait(threading.TIMEOUT_MAX)",
        killers("test_jwks", "test_rule_unknown_kid_waits_two_seconds_at_most"),
    ),
    Mutant(
        "idle wait also when fails >= 1",
        "key_sources/freshness.py",
        "now - snapshot.start >= policy.max_age and not facts.fails",
        "now - snapshot.start >= policy.max_age",
        killers("test_jwks", "test_rule_known_kid_in_an_outage_never_waits_for_confirmation"),
    ),
    Mutant(
        "Retry-After slept",
        "key_sources/remote.py",
        "        finally:\n            self._finish(fetch, result)\n",
        "            time.sleep(max(0.0, getattr(result, 'retry_after', 0) or 0.0) % 1000)\n"
        "        finally:\n            self._finish(fetch, result)\n",
        killers("test_jwks", "test_rule_retry_after_lengthens_the_pause_within_reason"),
    ),
    # processes and threads
    Mutant(
        "pid check removed",
        "process_lock.py",
        "pid = os.getpid()\n        if (value",
        "pid = next(iter(self._values), None) or os.getpid()  # the hook empties it\n"
        "        if (value",
        killers("test_jwks_fork", "test_a_fork_inside_the_critical_section"),
    ),
    Mutant(
        "hook removed",
        "key_sources/remote.py",
        "os.register_at_fork(after_in_child=_after_fork)\n",
        "",
        killers(
            "test_jwks_fork",
            "test_a_child_knows_at_once_that_its_parents_fetch_is_not_its_own",
        ),
    ),
    Mutant(
        "lease removed",
        "key_sources/facts.py",
        "return self.timeout + LEASE_SLACK",
        "return math.inf",
        killers("test_jwks", "test_rule_lost_fetch_counts_as_failed_at_its_lease"),
    ),
    # tenants
    Mutant(
        "a replaced tenant is proven",
        "tenants.py",
        "            if held is None or held.trusted is not trusted:\n                return\n",
        "            held = held or _Tenant(None, trusted)\n            held.trusted = trusted\n",
        killers("test_tenants", "test_a_request_in_flight_does_not_bring_replaced_keys_back"),
    ),
    Mutant(
        "a late answer replaces a later one",
        "tenants.py",
        "                late = held is not before\n",
        "                late = False\n",
        killers("test_tenants", "test_an_answer_that_took_long_does_not_replace_a_later_one"),
    ),
    Mutant(
        "a late yes counts after a no",
        "tenants.py",
        "late = self._is_refused(name) or (before",
        "late = (before",
        killers("test_tenants", "test_no_interleaving_brings_back_what_was_replaced"),
    ),
    Mutant(
        "a replaced tenant comes back as one that was pushed out",
        "tenants.py",
        "                before.until = NOT_HELD\n",
        "                pass\n",
        killers(
            "test_tenants",
            "test_a_replaced_tenant_does_not_come_back_when_the_new_one_was_pushed_out",
        ),
    ),
    Mutant(
        "a tenant that was pushed out is not proven",
        "tenants.py",
        "held = keys.tenant if keys.tenant.until != NOT_HELD else None",
        "held = None",
        killers(
            "test_tenants",
            "test_a_tenant_that_strangers_pushed_out_while_it_loaded_is_proven_all_the_same",
        ),
    ),
    Mutant(
        "every request asks again",
        "tenants.py",
        "if now < held.until or self._held(identifier) is not held:",
        "if self._held(identifier) is not held:",
        killers("test_tenants", "test_of_requests_that_come_at_once_one_asks_again"),
    ),
    Mutant(
        "a refusal is not remembered",
        "tenants.py",
        "self._is_refused(identifier) or not _may_be_asked(identifier)",
        "not _may_be_asked(identifier)",
        killers(
            "test_tenants",
            "test_a_name_that_is_refused_is_not_asked_for_again_for_some_seconds",
        ),
    ),
    Mutant(
        "refused names without bound",
        "recent.py",
        "if name not in self.young and len(self.young) >= self._half:",
        "if False:",
        killers("test_tenants", "test_what_is_remembered_of_refused_names_is_bounded"),
    ),
    Mutant(
        "an iss in any form is asked for",
        "tenants.py",
        "    if problem := check_issuer(name):\n",
        '    if problem := "":\n',
        killers(
            "test_attacks", "test_an_iss_that_resolves_to_another_path_never_reaches_the_function"
        ),
    ),
    Mutant(
        "replaced keys load for the new answer",
        "tenants.py",
        "            if not _same_keys(found.tenant.issuer, asking.tenant.issuer):",
        "            if False:",
        killers(
            "test_tenants",
            "test_keys_that_were_replaced_while_they_loaded_are_not_those_of_the_new_answer",
        ),
    ),
    Mutant(
        "first keys refresh after close",
        "tenants.py",
        "            if self._closed:\n                first.close()\n",
        "",
        killers("test_tenants", "test_after_close_nothing_is_refreshed_either"),
    ),
    Mutant(
        "two threads look at a file",
        "key_sources/file.py",
        "if self._looking.setdefault(pid, mine) is mine:",
        "if self._looking.setdefault(pid, mine):",
        killers("test_keys", "test_a_slow_look_at_the_file_does_not_bring_replaced_keys_back"),
    ),
    # URLs
    Mutant(
        "discovery of an issuer in any form",
        "urls.py",
        "check_url(issuer, allow_http=allow_http) or check_issuer(issuer)",
        "check_url(issuer, allow_http=allow_http)",
        killers("test_urls", "test_such_an_issuer_cannot_be_configured_without_its_keys"),
    ),
    Mutant(
        "an IPv6 address has several spellings",
        "urls.py",
        "if address.ipv4_mapped or str(address) != ipv6:",
        "if address.ipv4_mapped:",
        killers("test_urls", "test_issuers_that_are_not_in_normal_form_are_refused"),
    ),
    Mutant(
        "encoded letters and slashes",
        "urls.py",
        '_NEVER_ENCODED.isdisjoint(re.findall("%..", path))',
        "True",
        killers("test_urls", "test_issuers_that_are_not_in_normal_form_are_refused"),
    ),
    Mutant(
        "short IPv4 addresses",
        "urls.py",
        "            ipaddress.IPv4Address(name)  #",
        "            pass  #",
        killers("test_urls", "test_issuers_that_are_not_in_normal_form_are_refused"),
    ),
    Mutant(
        "fullwidth letters",
        "urls.py",
        'and unicodedata.is_normalized("NFKC", decoded)',
        "and True",
        killers("test_urls", "test_issuers_that_are_not_in_normal_form_are_refused"),
    ),
    Mutant(
        "segments of dots",
        "urls.py",
        'all(segment.strip(". ") for segment in segments)',
        "True",
        killers("test_urls", "test_issuers_that_are_not_in_normal_form_are_refused"),
    ),
    Mutant(
        "a query is shown",
        "urls.py",
        "maxsplit=1)[0]",
        "maxsplit=1)[-1]",
        killers("test_urls", "test_how_a_url_is_shown"),
    ),
    Mutant(
        "only the first part of a password is hidden",
        "urls.py",
        r"([/\\]*)(.*@)?(.*)",
        r"([/\\]*)([^/?#]*@)?(.*)",
        killers("test_urls", "test_how_a_url_is_shown"),
    ),
    # rules: every reading of a request must be permitted
    Mutant(
        "a suffix is no second reading",
        "rules.py",
        "if suffix.isalnum() and base",
        "if not suffix and base",
        killers("test_rules", "test_a_second_reading_adds_what_its_rule_asks"),
    ),
    Mutant(
        "the second reading alone decides",
        "rules.py",
        "return together([rule, *others])",
        "return together(others)",
        killers("test_rules", "test_a_second_reading_adds_what_its_rule_asks"),
    ),
    Mutant(
        "an ancestor names a second reading",
        "rules.py",
        "if rule.token is Token.REQUIRED and not _covers(rule, path)]",
        "if rule.token is Token.REQUIRED]",
        killers("test_rules", "test_a_dot_alone_changes_nothing"),
    ),
    Mutant(
        "what is still encoded is plain",
        "rules.py",
        r"[\\\0\n;]|%[0-9A-Fa-f]{2}",
        r"[\\\0\n;]",
        killers("test_rules", "test_a_public_pattern"),
    ),
    Mutant(
        "equal values are alike",
        "rules.py",
        "(name, repr(values)), [])",
        '(name, ""), [])',
        killers("test_rules", "test_expected_values_1_and_true_are_two_conditions"),
    ),
    Mutant(
        "the challenge of all rules names a scope",
        "rules.py",
        '_AllOf("/*", rules=tuple(_conditions(rules)))',
        "together(rules) if rules else REQUIRE_TOKEN",
        killers("test_rules", "test_the_challenge_of_an_odd_path_names_no_scopes"),
    ),
    Mutant(
        "the first method alone decides",
        "middleware.py",
        "    others = overrides(environ) if rules.by_method else ()",
        "    others = ()",
        killers("test_rules", "test_a_request_is_judged_under_both_methods"),
    ),
    Mutant(
        "a preflight may name another method",
        "middleware.py",
        "    return is_options and not overrides(environ)",
        "    return is_options",
        killers("test_routers", "test_no_router_contradicts_a_rule"),
    ),
    Mutant(
        "X-Vhm-Root is not read",
        "middleware.py",
        'if "HTTP_X_VHM_ROOT" in environ:',
        'if "X_VHM_ROOT" in environ:',
        killers("test_rules", "test_a_virtual_root_may_be_in_front_of_any_path"),
    ),
    Mutant(
        "every made-up method is looked up",
        "bearer.py",
        'return sorted({method if method in _METHODS else "" for method in methods})',
        'return sorted([method if method in _METHODS else "" for method in methods])',
        killers("test_rules", "test_thousands_of_made_up_methods_are_looked_up_once"),
    ),
    Mutant(
        "an encoded name of a parameter is another",
        "bearer.py",
        'if "%" in query:',
        'if "%5F" in query:',
        killers("test_rules", "test_the_methods_that_a_request_names"),
    ),
    # The picture of an outage
    Mutant(
        "refused requests are drawn as served",
        "cli/outage_plot.py",
        "served = _HEIGHT * sum(found) / len(found)",
        "served = float(_HEIGHT)",
        killers("test_outage_plot", "test_what_was_served_and_refused_is_drawn"),
    ),
    # 401 and 503
    Mutant(
        "401 for 503 in an outage",
        "key_sources/freshness.py",
        "  # Rules: no look-up left, unknown kid in an outage.\n"
        "        return Start.NOTHING, Then.NOT_NOW\n",
        "\n        return Start.NOTHING, Then.ABSENT\n",
        killers("test_jwks", "test_rule_unknown_kid_in_an_outage_is_503_at_once"),
    ),
    Mutant(
        "503 for 401",
        "key_sources/freshness.py",
        "return Start.NOTHING, Then.ABSENT\n",
        "return Start.NOTHING, Then.NOT_NOW\n",
        killers("test_jwks", "test_rule_absent_kid_that_is_published_is_served_after_the_cooldown"),
    ),
    # settings
    Mutant(
        "a variable that is no setting is ignored",
        "settings/loading.py",
        'hint = did_you_mean(variable, known) or "; unset it"\n        problems',
        "if not (hint := did_you_mean(variable, known)):\n            return\n        problems",
        killers("test_seams", "test_a_variable_that_is_no_setting_does_not_start"),
    ),
    # functions of the application, and what it puts in
    Mutant(
        "a rule's check may return anything but False",
        "rules.py",
        "if permitted is not True:",
        "if permitted is False:",
        killers("test_seams", "test_anything_but_true_refuses"),
    ),
    Mutant(
        "a rule's check is asked for its own path only",
        "rules.py",
        "for rule in asking if rule.check}.values():",
        "for rule in asking[:1] if rule.check}.values():",
        killers("test_seams", "test_each_check_of_rules_that_may_be_meant_is_asked"),
    ),
    Mutant(
        "a rule with a check needs no token",
        "settings/rule_texts.py",
        "or rule.max_age is not None or rule.check is not None",
        "or rule.max_age is not None",
        killers("test_seams", "test_a_check_is_no_excuse_for_ignoring_the_token"),
    ),
    Mutant(
        "current() may end a request",
        "cache.py",
        "return ask(keys.current, blamed=None, outage=KeysUnavailableError)",
        "return keys.current()",
        killers("test_seams", "test_current_that_raises_is_503_and_names_the_source"),
    ),
    Mutant(
        "current() blames the token",
        "cache.py",
        "ask(keys.current, blamed=None, outage",
        "ask(keys.current, outage",
        killers("test_seams", "test_current_that_raises_is_503_and_names_the_source"),
    ),
    Mutant(
        "an answer for one request is for all",
        "tenants.py",
        "        if self.sees_request:\n",
        "        if self.sees_request and self._held(identifier) is None:\n",
        killers("test_seams", "test_a_function_that_sees_the_request_decides_about_each_request"),
    ),
    Mutant(
        "another request's answer judges this one",
        "tenants.py",
        "            self._hold(name, before, after)\n        return",
        "            after = self._hold(name, before, after) or after\n        return",
        killers("test_seams", "test_terms_of_two_requests_at_once_do_not_mix"),
    ),
    Mutant(
        "a request that is over decides",
        "tenants.py",
        "        _request.reset(mark)",
        "        pass",
        killers("test_seams", "test_without_a_request_such_a_function_is_not_asked"),
    ),
    Mutant(
        "an async function names issuers",
        "settings/issuer.py",
        "function: Any = values.read_function(value)",
        "function: Any = value",
        killers("test_seams", "test_a_function_that_cannot_be_asked_does_not_start"),
    ),
    Mutant(
        "a verifier may return nothing",
        "injection.py",
        "if type(claims) is not Claims and not isinstance(claims, Mapping):",
        "if not isinstance(claims, Mapping | None):",
        killers("test_seams", "test_a_replaced_verifier_that_returns_no_claims_is_refused"),
    ),
    Mutant(
        "a replaced verifier is passed by",
        "assembly.py",
        "if type(outer) is not Verifier:",
        "if outer is None:",
        killers("test_seams", "test_a_replaced_verifier_goes_with_no_settings_of_requests"),
    ),
    Mutant(
        "a change in place by the app is not noticed",
        "settings/issuer.py",
        "    if isinstance(value, list | set):\n        return type(value)(map(_copied, value))\n",
        "",
        killers("test_seams", "test_what_the_app_changes_in_place_counts_for_the_next_answer"),
    ),
    Mutant(
        "an issuer of a replaced verifier is logged as it is",
        "middleware.py",
        "escaped(str(name), MAX_DETAIL) for name in named",
        "str(name) for name in named",
        killers(
            "test_seams", "test_an_issuer_that_a_replaced_verifier_returns_is_one_line_in_the_log"
        ),
    ),
    Mutant(
        "an unverified exp ends a revocation early",
        "cli/revoke.py",
        "time.time() + LIFETIME < expires <= MAX_DATE",
        "0 <= expires <= MAX_DATE",
        killers(
            "test_revoke", "test_a_token_without_a_usable_exp_stays_revoked_for_the_usual_time"
        ),
    ),
    # cookies, answers and the functions of an application
    Mutant(
        "a query that names DELETE is safe",
        "bearer.py",
        "if is_safe and not overrides(environ):",
        "if is_safe and not environ.keys() & set(_METHOD_HEADERS):",
        killers("test_places", "test_a_cookie_counts_for_its_own_origin"),
    ),
    Mutant(
        "an Origin that looks like ours beats Sec-Fetch-Site",
        "bearer.py",
        '        return str(site) == "same-origin"\n    own',
        '        if site == "same-origin":\n            return True\n    own',
        killers("test_places", "test_a_cookie_counts_for_its_own_origin"),
    ),
    Mutant(
        "an error that is raised again keeps the traceback of each request",
        "errors.py",
        "own_copy(BaseException.with_traceback(error, None))",
        "own_copy(error)",
        killers(
            "test_answers",
            "test_an_error_that_is_raised_for_many_requests_keeps_no_data_of_them",
        ),
    ),
    Mutant(
        "an error is the cause of itself",
        "verifier.py",
        'raise for_one_request(error.judged(token.claims.get("iat"), issuer.leeway)) from error',
        'raise error.judged(token.claims.get("iat"), issuer.leeway) from error',
        killers("test_answers", "test_a_key_source_may_raise_the_same_429_again"),
    ),
    Mutant(
        "requests share an error of the application",
        "errors.py",
        "own_copy(BaseException.with_traceback(error, None))",
        "BaseException.with_traceback(error, None)",
        killers(
            "test_answers",
            "test_an_error_that_is_raised_for_many_requests_keeps_no_data_of_them",
        ),
    ),
    Mutant(
        "a text that only claims to be a code is a standard answer",
        "responses.py",
        "type(code) is str and code in TOKEN_ERRORS",
        "isinstance(code, str) and code in TOKEN_ERRORS",
        killers("test_answers", "test_a_str_subclass_as_code_gets_no_standard_answer"),
    ),
    Mutant(
        "an answer is remembered by its code",
        "responses.py",
        "if known and error.details is TOKEN_ERRORS[code] else None",
        "if known else None",
        killers("test_answers", "test_own_texts_about_one_user_are_sent_to_no_other_user"),
    ),
    Mutant(
        "answers with words of an application are remembered",
        "responses.py",
        "        return None\n    code, named = error.code",
        "        return error.code, str(error.challenge_members)\n    code, named = error.code",
        killers("test_answers", "test_answers_are_remembered_within_bounds"),
    ),
    Mutant(
        "anything may stand in a challenge",
        "responses.py",
        "    return bool(_MEMBER.fullmatch(name) and grammar.fullmatch(value))",
        "    return bool(_MEMBER.fullmatch(name))",
        killers("test_answers", "test_text_that_does_not_fit_a_challenge_is_left_out"),
    ),
    Mutant(
        "half a list of scopes stands in a challenge",
        "responses.py",
        'grammar = _LIST if name in ("scope", "acr_values") else _TEXT',
        "grammar = _TEXT",
        killers("test_answers", "test_a_scope_in_a_challenge_has_the_grammar_of_a_scope"),
    ),
    Mutant(
        "a 401 with Retry-After has no challenge",
        "responses.py",
        "        if HTTPStatus.UNAUTHORIZED in (standard, status) or not no_token_helps:",
        "        if not no_token_helps:",
        killers("test_answers", "test_every_401_has_a_challenge"),
    ),
    Mutant(
        "a responder replaces the challenge",
        "responses.py",
        '    {"www-authenticate", "retry-after",',
        '    {"retry-after",',
        killers("test_answers", "test_a_responder_cannot_remove_required_headers"),
    ),
    Mutant(
        "a responder may send a header with a line feed",
        "responses.py",
        "_NAME.fullmatch(name) and _VALUE.fullmatch(value) for",
        "_NAME.fullmatch(name) for",
        killers("test_answers", "test_if_a_responder_fails_the_standard_answer_is_sent"),
    ),
    Mutant(
        "a hidden reason is told by its code",
        "responses.py",
        '            body["code"] = error.code if self._details else class_code(type(error))',
        '            body["code"] = error.code',
        killers("test_answers", "test_without_details_no_code_tells_which_tenants_exist"),
    ),
    Mutant(
        "a rule on an error makes a new answer for each request",
        "responses.py",
        '"failure", "scope", "rule"})',
        '"failure", "scope"})',
        killers("test_answers", "test_the_same_refusal_of_two_requests_is_made_once"),
    ),
    Mutant(
        "labels are made of claims",
        "errors.py",
        "        return own if self.code == own or self.code not in _CODES else self.code",
        "        return own if self.code == own else self.code",
        killers("test_answers", "test_labels_of_events_are_bounded"),
    ),
    Mutant(
        "an outage of a check is the token's fault",
        "errors.py",
        "    return isinstance(error, LookupError | TypeError | ValueError) and not isinstance(\n"
        "        error, OSError\n    )",
        "    return isinstance(error, Exception)",
        killers("test_answers", "test_a_check_that_fails_for_another_reason_is_503"),
    ),
    Mutant(
        "a token that revoked cannot read passes open",
        "revocation/revocations.py",
        "            if blames_the_token(error):\n"
        "                raise refusal(revoked, error) from error\n",
        "",
        killers(
            "test_answers",
            "test_a_token_that_the_revocation_function_cannot_read_does_not_pass_open",
        ),
    ),
    Mutant(
        "the HMAC of saved keys is not compared",
        "key_sources/saved_keys.py",
        "if not hmac.compare_digest(mac, self._mac(content)):",
        "if not mac:",
        killers("test_saved_keys", "test_a_changed_byte_makes_it_useless"),
    ),
    Mutant(
        "saved keys are used as long as any keys",
        "key_sources/loading.py",
        "lifetime = self._saved.max_age",
        "lifetime = float('inf')",
        killers("test_jwks", "test_rule_saved_keys_end_at_their_own_age"),
    ),
    Mutant(
        "saved keys are read though the issuer has answered",
        "key_sources/freshness.py",
        "facts.success is None and not (facts.disk_was_asked or facts.closed)",
        "not facts.closed",
        killers("test_jwks", "test_rule_saved_keys_are_read_after_a_failed_first_fetch_only"),
    ),
    Mutant(
        "the log says that there are no keys, though saved ones are used",
        "key_sources/reports.py",
        "held = old or new",
        "held = old",
        killers("test_jwks", "test_rule_saved_keys_are_one_story_in_the_log"),
    ),
    Mutant(
        "saved keys of which none fits are no event",
        "key_sources/remote.py",
        "for event in reports.restored(self._source, saved, self.policy):",
        "for event in ():",
        killers("test_jwks", "test_rule_saved_keys_that_arrive_are_judged_like_fetched_ones"),
    ),
    Mutant(
        "keys of tenants and requests are saved",
        "assembly.py",
        "saved=_saved_keys(own) if saves else None,",
        "saved=_saved_keys(own),",
        killers("test_saved_keys", "test_tenants_of_a_function_are_not_saved"),
    ),
    Mutant(
        "a proxy gets the client certificate",
        "key_sources/fetch.py",
        '"proxy_ssl_context": self._for_proxy}',
        '"proxy_ssl_context": self._context}',
        killers("test_fetch", "test_a_proxy_does_not_get_the_client_certificate"),
    ),
    Mutant(
        "a snapshot from the future is used",
        "key_sources/saved_keys.py",
        "        if age < 0:\n",
        "        if age < -10:\n",
        killers("test_saved_keys", "test_the_age_is_bounded_on_both_sides"),
    ),
    Mutant(
        "certifi is added to the certificates of the system",
        "key_sources/fetch.py",
        '        conn.cert_reqs = "CERT_REQUIRED"\n',
        "        super().cert_verify(conn, *_args, **_kwargs)\n",
        killers("test_fetch", "test_a_root_that_the_system_does_not_have_is_refused"),
    ),
    Mutant(
        "the TLS context is of the class that ssl had at the import",  # before gevent replaced it
        "key_sources/tls.py",
        "        context = ssl.create_default_context(cafile=place)\n",
        "        from urllib3.util.ssl_ import create_urllib3_context\n\n"
        "        context = create_urllib3_context()\n"
        "        context.load_verify_locations(place)\n",
        killers("test_servers", "test_the_four_scenes[gunicorn gevent x 2 --preload]"),
    ),
    Mutant(
        "SSL_CERT_FILE comes before REQUESTS_CA_BUNDLE",
        "key_sources/tls.py",
        "    if given or any(",
        "    if any(map(environment.get, _OF_OPENSSL)):\n        return bundle\n"
        "    if given or any(",
        killers("test_fetch", "test_the_first_place_that_is_given_counts_alone"),
    ),
    Mutant(
        "the log does not name the function that raised",
        "errors.py",
        "    refused.failure = failure\n",
        "",
        killers("test_answers", "test_a_check_that_fails_for_another_reason_is_503"),
    ),
    Mutant(
        "a quote in the log ends its value",
        "errors.py",
        """.replace("'", "\\\\'")""",
        "",
        killers("test_answers", "test_a_value_in_the_log_cannot_look_like_another_field"),
    ),
    Mutant(
        "the detail of an error is many lines",
        "errors.py",
        "escaped(str(self.detail), MAX_DETAIL)",
        "str(self.detail)",
        killers("test_answers", "test_the_detail_of_an_own_error_is_one_line"),
    ),
    Mutant(
        "a copy of an error loses its slots",
        "portable.py",
        "        for name, value in (slots or {}).items():",
        "        for name, value in ():",
        killers(
            "test_answers",
            "test_an_error_of_any_class_keeps_its_answer",
            "test_an_error_of_one_s_own_class_survives_with_its_slots",
        ),
    ),
    Mutant(
        "a copy of an error is made by the application's class",
        "portable.py",
        "    bare = builtin.__new__(cls, *args)",
        "    bare = cls.__new__(cls, *args)",
        killers("test_answers", "test_an_error_of_one_s_own_class_survives_with_its_slots"),
    ),
    Mutant(
        "an error says itself how it is copied",
        "portable.py",
        "        own: _E = _rebuilt(type(error), error.args)\n",
        '        own: _E = __import__("copy").copy(error)\n',
        killers("test_answers", "test_an_error_of_any_class_keeps_its_answer"),
    ),
    Mutant(
        "an error whose attributes cannot be set is a 500",
        "middleware.py",
        "vars(error).update(scope=rule.scope, rule=rule.path)",
        "error.scope, error.rule = rule.scope, rule.path",
        killers("test_answers", "test_an_error_of_any_class_keeps_its_answer"),
    ),
    Mutant(
        "the label of an error is a property",
        "errors.py",
        "    if isinstance(own, str):\n        return own\n",
        "    return own  # type: ignore[return-value]\n",
        killers("test_answers", "test_labels_of_events_are_bounded"),
    ),
    Mutant(
        "errors are copied by calling them again",
        "portable.py",
        "        return _rebuilt, (type(self), self.args), object.__getstate__(self)",
        "        return type(self), self.args, object.__getstate__(self)",
        killers("test_answers", "test_an_error_survives_pickling_and_copying"),
    ),
    # what a token can make us fetch, and how
    Mutant(
        "a token without kid gives up",
        "key_sources/remote.py",
        'if found and "kid" in header:',
        "if found:",
        killers("test_jwks", "test_a_token_without_kid_finds_a_new_key"),
    ),
    Mutant(
        "fetch before claim checks",
        "verifier.py",
        "            issuer.check_claims(claims, self.clock())"
        "  # before keys: costs no fetch, no crypto\n"
        "            key = self._check_signature(unverified, issuer)\n",
        "            key = self._check_signature(unverified, issuer)\n"
        "            issuer.check_claims(claims, self.clock())\n",
        killers("test_middleware", "test_tokens_that_are_refused_without_a_key_cause_no_fetch"),
    ),
    Mutant(
        "conditional after a failure",
        "key_sources/loading.py",
        "conditional = not (run.is_lookup or now.fails)",
        "conditional = not run.is_lookup",
        killers("test_jwks_scenes", "test_an_issuer_that_breaks_on_conditions"),
    ),
    # the cage
    Mutant(
        "redirect allowed",
        "key_sources/fetch.py",
        "    def get_redirect_target(self, resp: requests.Response) -> None:\n",
        "    def get(self, url, **options):\n"
        '        return super().get(url, **options | {"allow_redirects": True})\n\n'
        "    def not_called(self, resp):\n",
        killers("test_fetch", "test_redirects_are_not_followed"),
    ),
    Mutant(
        "size check after read",
        "key_sources/content_encoding.py",
        "        if max(came, len(body)) > most:\n"
        '            raise FetchError("too_big", f"the document has more than {most} bytes")\n',
        "    if max(came, len(body)) > most:\n"
        '        raise FetchError("too_big", f"the document has more than {most} bytes")\n',
        killers("test_fetch", "test_a_fault_is_a_failure_within_the_deadline"),
    ),
    Mutant(
        "decoded size unchecked",
        "key_sources/content_encoding.py",
        "        if max(came, len(body)) > most:\n",
        "        if came > most:  # as it was sent\n",
        killers("test_fetch", "test_a_fault_is_a_failure_within_the_deadline"),
    ),
    Mutant(
        "netrc allowed",
        "key_sources/fetch.py",
        "self.auth = _no_auth",
        "self.auth = None",
        killers("test_fetch", "test_passwords_of_netrc_are_not_sent"),
    ),
    # issuers that sign for all their customers
    Mutant(
        "an issuer of many apps is unknown",
        "settings/shared_issuers.py",
        '        ("https://access.line.me",),',
        '        ("https://access.line.example",),',
        killers(
            "test_shared_issuers", "test_an_audience_that_the_issuer_assigns_must_be_given_exactly"
        ),
    ),
    Mutant(
        "a shared issuer by one spelling only",
        "settings/shared_issuers.py",
        'return issuer.rstrip("/").casefold()',
        "return issuer",
        killers("test_shared_issuers", "test_another_spelling_of_the_issuer_is_an_error_as_well"),
    ),
    Mutant(
        "an audience is enough for Vercel",
        "settings/shared_issuers.py",
        'claims=("owner_id", "project_id", "owner", "sub"),',
        'audience="https://vercel.com/YOUR-TEAM",',
        killers(
            "test_shared_issuers",
            "test_another_project_of_vercel_with_our_audience_is_refused",
        ),
    ),
    Mutant(
        "Keycloak's account is an API's name",
        "settings/provider_hints.py",
        'if _KEYCLOAK.fullmatch(issuer) and "account" in audience:',
        "if False:",
        killers("test_provider_hints", "test_an_audience_that_means_something_else_there"),
    ),
    Mutant(
        "the hint for Cognito is for every issuer",
        "settings/provider_hints.py",
        "_COGNITO.fullmatch(issuer) and audience and",
        "audience and",
        killers("test_provider_hints", "test_nothing_is_said_where_nothing_is_wrong"),
    ),
    Mutant(
        "another tenant of a provider is ours",
        "testing.py",
        "{**self.values, **self.provider.others[kind]}",
        "{**self.values}",
        killers("test_providers", "test_every_other_token_stays_outside"),
    ),
    # documents
    Mutant(
        "gzip is decompressed without a limit",
        "key_sources/content_encoding.py",
        "        return inflate.decompress(chunk, most)",
        "        return inflate.decompress(chunk)",
        killers("test_fetch", "test_only_so_much_of_a_bomb_is_inflated"),
    ),
    Mutant(
        "the compressed body has no limit",
        "key_sources/content_encoding.py",
        "        if max(came, len(body)) > most:",
        "        if len(body) > most:",
        killers("test_fetch", "test_a_fault_is_a_failure_within_the_deadline"),
    ),
    Mutant(
        "gzip may be cut off",
        "key_sources/content_encoding.py",
        "    if inflate is not None and (not inflate.eof or inflate.unused_data):",
        "    if inflate is not None and inflate.unused_data:",
        killers("test_fetch", "test_a_fault_is_a_failure_within_the_deadline"),
    ),
    Mutant(
        "headers of the settings win by case",
        "key_sources/fetch.py",
        "    lower = {name.lower() for name in own}",
        "    lower = set(own)",
        killers("test_fetch", "test_headers_of_the_settings_win"),
    ),
    Mutant(
        "a refusal forgets where the keys were found",
        "key_sources/discovery.py",
        "            first = remembered is None and found_by != CONVENTION",
        "            first = found_by != CONVENTION",
        killers("test_discovery", "test_a_refusal_moves_nothing_that_is_remembered"),
    ),
    Mutant(
        "a convention after a refusal",
        "key_sources/discovery.py",
        "        if found_by == CONVENTION and refused is not None:",
        "        if False:",
        killers("test_discovery", "test_no_convention_after_a_refusal"),
    ),
    Mutant(
        "a broken key is reported when a token uses it",
        "key_sources/arrival.py",
        "    unusable = sorted(keyset.unusable(), key",
        "    unusable = sorted(keyset.dropped, key",
        killers(
            "test_key_arrival",
            "test_a_key_that_fails_only_when_it_is_built_is_reported_when_the_set_arrives",
        ),
    ),
    Mutant(
        "a set that fits nothing is ready",
        "key_sources/reports.py",
        '        "ready": snapshot is not None and fits_any(snapshot.keyset, policy.algorithms),',
        '        "ready": snapshot is not None,',
        killers(
            "test_key_arrival", "test_a_set_that_fits_no_algorithm_is_an_error_when_it_arrives"
        ),
    ),
    Mutant(
        "remote keys do not know the algorithms",
        "assembly.py",
        "    return replace(own.policy, algorithms=accepted_algorithms(own))",
        "    return own.policy",
        killers("test_key_arrival", "test_every_place_says_that_no_key_fits"),
    ),
    Mutant(
        "a refusal names no rule",
        "middleware.py",
        "vars(error).update(scope=rule.scope, rule=rule.path)",
        "vars(error).update(scope=rule.scope)",
        killers("test_middleware", "test_a_refusal_names_the_method_and_the_rule_that_decided"),
    ),
    Mutant(
        "doctor's remedy for a failed fetch is that of its kind alone",
        "cli/remedies.py",
        "found = (row.remedy for row in FETCH_CAUSES if re.search(row.pattern, problem))",
        "found = iter(())",
        killers("test_cli_causes", "test_what_is_served_in_the_place_of_keys"),
    ),
    Mutant(
        "a store that fails is named by its class",
        "revocation/store.py",
        'return _MEANINGS.get(kind.__name__, f"the store raised {name_of(kind)}")',
        "return name_of(kind)",
        killers("test_revocation", "test_a_store_that_fails_is_503_and_not_asked_for_a_while"),
    ),
    Mutant(
        "causes of failed fetches are for a test's source alone",
        "cli/explain_recognition.py",
        '_SOURCE.sub("", case.error.detail)',
        "case.error.detail",
        killers("test_cli_causes", "test_why_a_real_fetch_fails"),
    ),
    Mutant(
        "null is a private key",
        "jwk_form.py",
        "        if value is not None\n",
        "        if (value is not None or name in ('d', 'k'))\n",
        killers("test_key_forms", "test_null_members_of_a_jwk_are_ignored"),
    ),
    Mutant(
        "an empty text is null",
        "jwk_form.py",
        "        if value is not None\n",
        "        if value not in (None, '')\n",
        killers("test_key_forms", "test_an_empty_text_is_not_null"),
    ),
    Mutant(
        "both alphabets in one number",
        "jwk_form.py",
        "    return bare if _URL.search(bare) else bare.translate(_TO_URL)",
        "    return bare.translate(_TO_URL)",
        killers("test_key_forms", "test_a_wrong_member_is_named"),
    ),
    Mutant(
        "any padding of a key's numbers",
        "jwk_form.py",
        "    if len(bare) % 4 == 0:  # only then are signs at the end padding",
        "    if bare:",
        killers("test_key_forms", "test_a_wrong_member_is_named"),
    ),
    Mutant(
        "Ed448 without opt-in",
        "jose.py",
        '    return key.crv != "Ed448" or "Ed448" in algorithms',
        "    return True",
        killers("test_key_forms", "test_eddsa_with_a_key_on_ed448_by_opt_in"),
    ),
    Mutant(
        "any space around a token's JSON",
        "strict_json.py",
        '    text = data.strip(b" \\t\\n\\r").decode("utf-8")',
        '    text = data.strip().decode("utf-8")',
        killers("test_key_forms", "test_anything_else_around_the_json_of_a_token_is_refused"),
    ),
    Mutant(
        "several byte order marks",
        "strict_json.py",
        "    return compact_object(data.removeprefix(_BOM))",
        "    return compact_object(data.lstrip(_BOM))",
        killers("test_key_forms", "test_one_byte_order_mark_at_the_very_beginning"),
    ),
    Mutant(
        "one bad key fails all",
        "keys.py",
        "        keyset = cls(members, [",
        "        if len(members) < len(read):\n            raise DocumentError\n"
        "        keyset = cls(members, [",
        killers("test_keys", "test_a_bad_member_is_dropped_and_the_others_are_used"),
    ),
    Mutant(
        "oct accepted",
        "keys.py",
        "        if not _PRIVATE.isdisjoint(jwk):\n",
        '        if kty == "oct":\n'
        '            secret = jose.Key("oct", "", str(jwk.get("k")).encode())\n'
        '            return cls(kid, "oct", "", alg, None, secret)\n'
        "        if not _PRIVATE.isdisjoint(jwk):\n",
        killers("test_keys", "test_a_bad_member_is_dropped_and_the_others_are_used"),
    ),
    Mutant(
        "a leaked prime is not noticed",
        "keys.py",
        '{"d", "p", "q", "dp",',
        '{"d", "q", "dp",',
        killers("test_keys", "test_each_member_of_a_private_key_is_noticed_alone"),
    ),
    Mutant(
        "a key is imported at every look-up",
        "keys.py",
        "if self._key is None and self._jwk is not None and not self.why:",
        "if (self._key is None or self._jwk is not None) and not self.why:",
        killers("test_keys", "test_a_key_is_imported_once"),
    ),
    Mutant(
        "a broken key is imported at every look-up",
        "keys.py",
        "if self._key is None and self._jwk is not None and not self.why:",
        "if self._key is None and self._jwk is not None:",
        killers("test_keys", "test_a_key_is_imported_once"),
    ),
    Mutant(
        "a certificate does not complete a key",
        "jwk_form.py",
        'if "x5c" in jwk and not jwk.keys() >= MEMBERS[jwk["kty"]]:',
        'if "x5c" in jwk and jwk.keys().isdisjoint(MEMBERS[jwk["kty"]]):',
        killers("test_keys", "test_a_certificate_completes_a_key_that_has_some_of_its_members"),
    ),
    Mutant(
        "a point of Ed448 of small order is a key",
        "jose.py",
        "frozenset({0, 1, _P448 - 1, _P448, _P448 + 1})",
        "frozenset({0, 1, _P448 - 1, _P448})",
        killers("test_keys", "test_a_point_of_ed448_of_small_order_is_no_key"),
    ),
    # where a token stands, and what a request is
    Mutant(
        "any white space is none of a cookie's name",
        "bearer.py",
        "yield name.strip(_SPACE), value.strip(_SPACE)",
        "yield name.strip(), value.strip(_SPACE)",
        killers("test_places", "test_hostile_cookies"),
    ),
    Mutant(
        "cookies are mended on their way to the app",
        "bearer.py",
        "pairs = [pair.strip(_SPACE) for pair",
        "pairs = [pair.strip() for pair",
        killers("test_places", "test_a_neighbour_s_cookie_is_not_mended_for_the_app"),
    ),
    Mutant(
        "an override header that counts as nothing",
        "bearer.py",
        '"HTTP_METHOD", "METHOD")',
        '"HTTP_METHOD")',
        killers("test_places", "test_a_get_that_asks_for_something_else_needs_a_page_of_our_own"),
    ),
    Mutant(
        "TRACE is unsafe",
        "bearer.py",
        '"OPTIONS", "TRACE"}',
        '"OPTIONS"}',
        killers("test_places", "test_a_cookie_counts_for_every_safe_method"),
    ),
    Mutant(
        "a bare token is forwarded",
        "bearer.py",
        'if bare or environ.get(key, "")',
        'if environ.get(key, "")',
        killers("test_places", "test_a_bare_token_is_not_forwarded"),
    ),
    Mutant(
        "a header of the full size is cut",
        "bearer.py",
        "value[: max_size + _SCHEME_ROOM]",
        "value[: max_size + _SCHEME_ROOM - 1]",
        killers("test_bearer", "test_a_header_may_have_64_characters_beside_the_token"),
    ),
    Mutant(
        "a header of the full size is too long",
        "bearer.py",
        "if len(value) > max_size + _SCHEME_ROOM:",
        "if len(value) >= max_size + _SCHEME_ROOM:",
        killers("test_bearer", "test_a_header_may_have_64_characters_beside_the_token"),
    ),
    Mutant(
        "a preflight without an Origin",
        "middleware.py",
        '    signs = ("HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_METHOD")',
        '    signs = ("HTTP_ACCESS_CONTROL_REQUEST_METHOD",)',
        killers("test_middleware", "test_what_lacks_one_sign_of_a_preflight_needs_a_token"),
    ),
    Mutant(
        "the responder is not handed on",
        "middleware.py",
        "            responder=self.settings.responder,\n",
        "",
        killers("test_middleware", "test_a_responder_writes_the_body_of_a_refusal"),
    ),
    Mutant(
        "traceparent ignored",
        "request_log.py",
        ' or environ.get("HTTP_TRACEPARENT")',
        "",
        killers("test_middleware", "test_a_refusal_without_a_request_id_is_found_by_its_trace"),
    ),
    Mutant(
        "the settings of requests are not closed",
        "middleware.py",
        "            self._variants.close()\n",
        "            pass\n",
        killers("test_middleware", "test_close_ends_the_fetches_for_the_settings_of_requests_too"),
    ),
    Mutant(
        "settings that verified a token are not closed",
        "variants.py",
        "[*self.used.values(), *self.unused.values()]",
        "[*self.unused.values()]",
        killers("test_variants", "test_close_ends_key_sources_of_the_application_too"),
    ),
    Mutant(
        "settings that verified no token are not closed",
        "variants.py",
        "[*self.used.values(), *self.unused.values()]",
        "[*self.used.values()]",
        killers("test_variants", "test_close_ends_key_sources_of_the_application_too"),
    ),
    Mutant(
        "a name of Kubernetes's is a setting of a Flask app",
        "settings/loading.py",
        "return named and not _NOT_OPTIONS.fullmatch(variable.removeprefix(PREFIX))",
        "return named",
        killers("test_contrib_flask", "test_what_is_no_setting_of_ours_does_not_count"),
    ),
    Mutant(
        "a Flask app without settings is served",
        "contrib/flask.py",
        "if PAYLOAD in environ:  # a client cannot set that name",
        "if PAYLOAD not in environ:",
        killers("test_contrib_flask", "test_without_any_setting_nothing_is_served"),
    ),
    Mutant(
        "a view that asks serves what no middleware has seen",
        "contrib/flask.py",
        "if PAYLOAD not in request.environ:  # a client cannot set that name",
        "if False:",
        killers("test_contrib_flask", "test_a_view_that_asks_needs_the_middleware"),
    ),
    Mutant(
        "a fake issuer reads the shell",
        "testing.py",
        "ProtectedApp(app, Settings.of(**(wired | options)), app)",
        "ProtectedApp(app, Settings.load(wired | options), app)",
        killers("test_testing", "test_the_shell_s_settings_do_not_count"),
    ),
    Mutant(
        "Flask's test client goes round the guard",
        "test_kit/protected.py",
        "app.wsgi_app = self",
        "pass",
        killers("test_testing", "test_flask_s_own_test_client_passes_the_guard"),
    ),
    Mutant(
        "the test client of Django calls the views without the guard",
        "test_kit/django_client.py",
        "client.handler = _Handler(guard, handler, client.handler.enforce_csrf_checks)",
        "pass",
        killers("test_contrib_django", "test_a_project_s_tests_run"),
    ),
    Mutant(
        "a document names the scheme and no operation needs it",
        "contrib/openapi.py",
        'spec.options.setdefault("security", []).append({NAME: []})',
        'spec.options.setdefault("security", [])',
        killers("test_contrib_openapi", "test_the_helper_needs_no_apispec"),
    ),
    Mutant(
        "Django without JWT_WSGI is checked",
        "contrib/django.py",
        'options = getattr(settings, "JWT_WSGI", None)',
        'options = getattr(settings, "JWT_WSGI", True)',
        killers("test_contrib_django", "test_without_the_setting_the_options_are_not_checked"),
    ),
    # what a token must be, each time it is used
    Mutant(
        "a kind of JWT is forgotten",
        "trusted_issuer.py",
        " oauth-id-jag+jwt rat+jwt",
        " oauth-id-jag+jwt",
        killers("test_middleware", "test_other_kinds_of_jwts_are_refused"),
    ),
    Mutant(
        "a token may be one character too long",
        "verifier.py",
        "if len(token) > self.max_token_size:",
        "if len(token) > self.max_token_size + 1:",
        killers("test_fail_closed", "test_the_verifier_itself_has_the_limit_of_a_token_exactly"),
    ),
    Mutant(
        "a token of the full size is too long",
        "verifier.py",
        "if len(token) > self.max_token_size:",
        "if len(token) >= self.max_token_size:",
        killers("test_fail_closed", "test_the_verifier_itself_has_the_limit_of_a_token_exactly"),
    ),
    Mutant(
        "the log does not say whose token was revoked",
        "verifier.py",
        "        except AuthError as error:\n"
        '            vars(error)["claimed"] = claimed(claims.header, claims)\n',
        "        except KeyError as error:\n"
        '            vars(error)["claimed"] = claimed(claims.header, claims)\n',
        killers(
            "test_revocation_wsgi", "test_the_log_says_whose_token_was_refused_after_its_signature"
        ),
    ),
    Mutant(
        "only the last header is remembered",
        "verifier.py",
        "if len(self.heads) >= MAX_HEADS:",
        "if self.heads:",
        killers("test_fail_closed", "test_several_headers_are_remembered_and_none_that_is_long"),
    ),
    Mutant(
        "long headers are remembered",
        "verifier.py",
        "len(token.header) > MAX_HEAD_MEMBERS or len(token.head) > MAX_HEAD:",
        "len(token.header) > MAX_HEAD_MEMBERS:",
        killers("test_fail_closed", "test_several_headers_are_remembered_and_none_that_is_long"),
    ),
    Mutant(
        "without a cache nothing is revoked",
        "verifier.py",
        "        claims = Claims.of(verified.claims, verified.header)\n"
        "        self.admit(issuer, claims)\n",
        "        claims = Claims.of(verified.claims, verified.header)\n",
        killers("test_revocation_wsgi", "test_a_revoked_token_is_401_on_its_next_request"),
    ),
    Mutant(
        "a nested claim is shared",
        "cache.py",
        "return value.values() if isinstance(value, dict) else value",
        "return value",
        killers("test_cache", "test_a_nested_claim_is_the_apps_own_whatever_its_shape"),
    ),
    Mutant(
        "a source that may refuse is remembered",
        "cache.py",
        "is_kept = promised is not None and promised is source.candidates",
        "is_kept = promised is not None",
        killers(
            "test_fail_closed",
            "test_what_a_key_source_refuses_is_refused_at_every_use",
        ),
    ),
    Mutant(
        "a claim of a shared issuer is misspelt",
        "settings/shared_issuers.py",
        '"terraform_organization_id",',
        '"terraform_organisation_id",',
        killers("test_shared_issuers", "test_each_claim_of_a_row_makes_it_safe"),
    ),
    Mutant(
        "headers to any port of the host",
        "key_sources/fetch.py",
        "_origin(url) != _origin(self.home)",
        "_origin(url)[1] != _origin(self.home)[1]",
        killers("test_origins", "test_headers_stay_home_where_discovery_names_another_origin"),
    ),
    Mutant(
        "the environment before keywords",
        "settings/loading.py",
        "self._keywords.over(read(OPTIONS, found).over(self._environment))",
        "self._environment.over(read(OPTIONS, found).over(self._keywords))",
        killers("test_settings", "test_the_first_hit_wins"),
    ),
    Mutant(
        "an issuer's own options do not count",
        "settings/loading.py",
        "**(hidden | own))",
        "**(own and hidden))",
        killers("test_issuers", "test_terms_are_paired_with_the_issuer"),
    ),
    Mutant(
        "a file of keys is read once",
        "settings/values.py",
        "    KeySet.parse(path.read_bytes())\n    return path",
        "    return KeySet.parse(path.read_bytes())",
        killers("test_settings", "test_a_jwks_is_given_inline_or_as_a_file"),
    ),
    Mutant(
        "a key given for a path is shown",
        "settings/values.py",
        "it cannot be read ({error.strerror});",
        "it cannot be read ({error});",
        killers("test_settings", "test_a_key_that_is_given_for_a_path_is_not_shown"),
    ),
    Mutant(
        "keys of one's own are looked for at the issuer",
        "cli/key_report.py",
        'if option == "keys":',
        'if option == "none":',
        killers("test_cli_keys", "test_a_key_source_of_the_app_s_own_is_asked_itself"),
    ),
    Mutant(
        "one path is enough to be told open",
        "settings/openings.py",
        'if rule.path == "/*":',
        'if rule.path.endswith("/*"):',
        killers("test_settings", "test_what_is_not_open_to_everybody_is_no_warning"),
    ),
    Mutant(
        "who opens every method by its name is not warned",
        "settings/openings.py",
        "if not rule.takes(method))",
        "if rule.methods)",
        killers("test_settings", "test_what_is_open_to_everybody_is_a_warning_at_start"),
    ),
    Mutant(
        "a secret of one character and another one",
        "settings/values.py",
        "    if len(set(secret)) <= min(_FEW, size // 6):",
        "    if len(set(secret)) < 2:",
        killers("test_fail_closed", "test_a_secret_that_everybody_can_guess_does_not_start"),
    ),
    Mutant(
        "revocation fails open unasked",
        "settings/revocation.py",
        'members.get("fail_open", False)',
        'members.get("fail_open", True)',
        killers("test_revocation_wsgi", "test_a_store_in_a_mapping_fails_closed"),
    ),
    Mutant(
        "a file of credentials is sent as it is",
        "key_sources/headers.py",
        " or len(text) > MAX_SIZE:",
        " and False:",
        killers("test_credentials", "test_a_file_that_no_header_can_hold_is_a_failed_fetch"),
    ),
    Mutant(
        "a public key without its frame is a secret",
        "settings/values.py",
        " or bare_key(text):",
        ":",
        killers("test_pem_forms", "test_a_public_key_in_any_form_is_no_secret"),
    ),
    Mutant(
        "what is in quotes starts",
        "settings/mistakes.py",
        "text[0] + text[-1] in _QUOTES",
        "text[0] + text[-1] in ()",
        killers("test_mistakes", "test_what_can_never_match_does_not_start"),
    ),
    Mutant(
        "the URL of metadata is an issuer",
        "settings/mistakes.py",
        "if _METADATA.search(issuer):",
        "if False:",
        killers("test_mistakes", "test_what_can_never_match_does_not_start"),
    ),
    Mutant(
        "a wrong duration hides another one",
        "settings/contradictions.py",
        '{why}", ("jwks_timeout",)',
        '{why}", ("jwks_timeout", "jwks_max_stale")',
        killers("test_mistakes", "test_all_problems_of_durations_at_once"),
    ),
    Mutant(
        "several issuers give users one name",
        "settings/contradictions.py",
        "if not tells_issuers_apart(source):",
        "if False:",
        killers(
            "test_injection", "test_a_user_name_that_two_issuers_may_share_is_a_configuration_error"
        ),
    ),
    Mutant(
        "the id of a user is the sub alone",
        "injection.py",
        """return f"{_issuer(claims)}{claims['sub']}\"""",
        """return f"{claims['sub']}\"""",
        killers("test_injection", "test_the_id_of_a_user_is_what_the_header_says"),
    ),
    Mutant(
        "throttles of Django count users of two issuers together",
        "contrib/django.py",
        "return user_id(self.payload)",
        'return self.payload.get("sub")',
        killers("test_contrib_django", "test_users_of_two_issuers_are_two"),
    ),
    Mutant(
        "an ACL of Pyramid names users of every issuer",
        "contrib/pyramid.py",
        """f"user:{name}"} if (name := user_id(payload))""",
        """f"user:{name}"} if (name := payload.get("sub"))""",
        killers("test_contrib_pyramid", "test_users_of_two_issuers_are_two_principals"),
    ),
    Mutant(
        "a rule permits the sub of any issuer",
        "settings/contradictions.py",
        """if by_user and "iss" not in claims:""",
        "if False:",
        killers("test_injection", "test_a_permission_by_sub_names_the_issuer"),
    ),
    Mutant(
        "an issuer with the separator in it names users of another",
        "injection.py",
        """if "|" in issuer:""",
        "if False:",
        killers("test_injection", "test_an_issuer_with_the_separator_in_it"),
    ),
    Mutant(
        "no claim, no user",
        "injection.py",
        "if key == REMOTE_USER and not text:",
        "if key == REMOTE_USER and not text and False:",
        killers("test_injection", "test_remote_user"),
    ),
    Mutant(
        "a good token keeps no place",
        "variants.py",
        "_put(self.used, key, middleware)",
        "_put(self.unused, key, middleware)",
        killers("test_variants", "test_settings_that_verified_a_token_keep_their_place"),
    ),
    Mutant(
        "made-up issuers push out keys that are here",
        "key_sources/shared.py",
        "if not source.ready",
        "if source",
        killers("test_variants", "test_a_source_without_keys_gives_up_its_place_after_a_while"),
    ),
    Mutant(
        "a long certificate is decoded",
        "jwk_form.py",
        "too_long = len(x5c[0]) > MAX_CERTIFICATE_SIZE",
        "too_long = False",
        killers("test_keys", "test_a_long_member_is_refused_before_it_is_decoded"),
    ),
    Mutant(
        "RSA keys as large as OpenSSL has them",
        "jose.py",
        "range(2048, 8193)",
        "range(2048, 16385)",
        killers("test_keys", "test_an_rsa_key_has_a_size_at_which_verifying_is_cheap"),
    ),
    Mutant(
        "the parser runs before the depth is known",
        "strict_json.py",
        "    check_depth(data)\n    text",
        "    text",
        killers("test_strict_json", "test_the_parser_never_sees_what_is_deep"),
    ),
    Mutant(
        "brackets inside of strings count",
        "strict_json.py",
        """.split(b'"')[::2]""",
        """.split(b'"')""",
        killers("test_strict_json", "test_the_depth_is_that_of_the_parsed_value"),
    ),
    Mutant(
        "integers of any length",
        "strict_json.py",
        "if len(digits) > MAX_DIGITS:",
        "if False:",
        killers("test_strict_json", "test_long_numbers_are_refused_before_they_are_computed"),
    ),
    Mutant(
        "an audience is below a base that Java servers leave",
        "claims.py",
        're.split("[/;]", path)',
        'path.split("/")',
        killers("test_claims"),
    ),
    Mutant(
        "an audience is below a base that two decodings leave",
        "claims.py",
        ' and "%" not in path',
        "",
        killers("test_claims"),
    ),
    Mutant(
        "an audience is below a base that wide dots leave",
        "claims.py",
        'normalize("NFKC", unquote(re.split("[?#]", url)[0]))',
        'unquote(re.split("[?#]", url)[0])',
        killers("test_claims"),
    ),
    Mutant(
        "iat of any type",
        "claims.py",
        '        numeric_date(claims, "iat")\n',
        "",
        killers("test_claims", "test_a_numeric_date_is_a_number_of_seconds"),
    ),
    Mutant(
        "milliseconds are a date",
        "claims.py",
        "MAX_DATE: Final = 253_402_300_799",
        "MAX_DATE: Final = 2**53",
        killers("test_claims", "test_a_numeric_date_is_a_number_of_seconds"),
    ),
    Mutant(
        "the first reading of a dotted name counts",
        "claims.py",
        "if len(found) > 1:",
        "if False:",
        killers("test_claims", "test_a_name_with_two_readings_is_refused"),
    ),
    Mutant(
        "a list of names is read with dots",
        "settings/values.py",
        'plain = len(value) == 1 and "." not in value[0]',
        "plain = len(value) == 1",
        killers("test_settings", "test_a_claim_is_named_by_a_list"),
    ),
    Mutant(
        "rfc9068 asks for a typ and no claims",
        "assembly.py",
        "*(_RFC9068 if own.is_rfc9068 else ())",
        "*(_RFC9068 if False else ())",
        killers("test_claims", "test_the_profile_of_access_tokens"),
    ),
    Mutant(
        "claims that are built take no more memory",
        "cache.py",
        "self.size += _size(self.claims) + getsizeof(nested) - len(payload)",
        "pass",
        killers("test_cache", "test_memory_is_bounded_by_what_is_really_kept[numbers]"),
    ),
    Mutant(
        "headers with many members are remembered",
        "verifier.py",
        "if nested or len(token.header) > MAX_HEAD_MEMBERS or",
        "if nested or",
        killers("test_cache", "test_memory_of_headers_is_bounded"),
    ),
    Mutant(
        "a token is hashed, however long",
        "cache.py",
        "if len(token) > self._verifier.max_token_size:",
        "if False:",
        killers("test_cache", "test_a_token_that_is_too_long_is_not_even_hashed"),
    ),
    Mutant(
        "an example is a secret",
        "settings/values.py",
        "if _EXAMPLE.search(secret):",
        "if False:",
        killers("test_fail_closed", "test_a_secret_that_everybody_can_guess_does_not_start"),
    ),
    Mutant(
        "a repeated text is a secret",
        "settings/values.py",
        "range(1, min(16, size // 2) + 1)",
        "range(0)",
        killers("test_fail_closed", "test_a_secret_that_everybody_can_guess_does_not_start"),
    ),
    Mutant(
        "> on the refresh time",
        "key_sources/freshness.py",
        "(now >= snapshot.due or facts.fails)",
        "(now > snapshot.due or facts.fails)",
        killers(
            "test_jwks",
            "test_rule_failed_refresh_is_503_for_an_unknown_kid_only",
            "test_rule_known_kid_in_an_outage_is_served_without_lock",
        ),
    ),
    Mutant(
        "> on the age of idle",
        "key_sources/freshness.py",
        "now - snapshot.start >= policy.max_age and",
        "now - snapshot.start > policy.max_age and",
        killers("test_jwks", "test_b11_a_removed_key_dies"),
    ),
    Mutant(
        "> on expiry",
        "key_sources/freshness.py",
        "if snapshot and now - snapshot.start < lifetime(snapshot, policy)",
        "if snapshot and now - snapshot.start <= lifetime(snapshot, policy)",
        killers("test_jwks", "test_rule_expired_keys_are_not_used"),
    ),
    Mutant(
        "stale keys never expire",
        "key_sources/facts.py",
        "return max(self.max_stale, self.max_age)",
        "return math.inf",
        killers("test_jwks", "test_rule_expired_keys_are_not_used"),
    ),
    Mutant(
        "no jitter in the pauses",
        "key_sources/freshness.py",
        "pauses[min(fails, len(pauses)) - 1] * (0.8 + 0.2 * jitter)",
        "pauses[min(fails, len(pauses)) - 1]",
        killers("test_jwks_scenes", "test_without_keys_the_attempts_are_at_most_ten_seconds_apart"),
    ),
    Mutant(
        "a failed fetch drops the keys",
        "key_sources/freshness.py",
        "        fetch=None,\n        fails=fails,",
        "        snapshot=None,\n        fetch=None,\n        fails=fails,",
        killers("test_jwks", "test_rule_failed_refresh_is_503_for_an_unknown_kid_only"),
    ),
    Mutant(
        "waiting right after a failure",
        "key_sources/freshness.py",
        "return Then.WAIT if may_wait else Then.NOT_NOW",
        "return Then.WAIT",
        killers("test_jwks", "test_rule_who_waits_nobody_after_a_slow_failure"),
    ),
    Mutant(
        "after a failure no request waits ever again",
        "key_sources/freshness.py",
        "return not facts.fails or now - earliest(facts) >= WAIT_AGAIN_AFTER",
        "return not facts.fails",
        killers("test_jwks", "test_rule_who_waits_all_again_after_a_silence"),
    ),
    Mutant(
        "event shared between fetches",
        "key_sources/remote.py",
        "self._start_thread, self._make_event = start_thread, make_event",
        "one = make_event()\n"
        "        self._start_thread, self._make_event = start_thread, lambda: one",
        killers("test_jwks", "test_rule_unknown_kid_starts_a_fetch_past_every_cache"),
    ),
    Mutant(
        "401 for 503 after a failed fetch for an unknown kid",
        "key_sources/remote.py",
        "                    raise self._not_now()\n                # A fetch",
        "                    return tried\n                # A fetch",
        killers("test_jwks", "test_rule_failed_refresh_is_503_for_an_unknown_kid_only"),
    ),
    Mutant(
        "conditional fetch for an unknown kid",
        "key_sources/loading.py",
        "conditional = not (run.is_lookup or now.fails)",
        "conditional = not now.fails",
        killers("test_jwks", "test_rule_unknown_kid_starts_a_fetch_past_every_cache"),
    ),
    Mutant(
        "hooks before the fetch",
        "key_sources/remote.py",
        "        if fetch is not None and not facts.inline:\n            self._launch(fetch)\n"
        "        for event in reports.changes(self._source, before, facts, now, self.policy):\n"
        "            self._emit(event)\n"
        "        if fetch is not None and fetch.is_lookup and not facts.fails:\n"
        "            self._emit(events.KeyMissed(self._source, printable(fetch.kid)))\n",
        "        for event in reports.changes(self._source, before, facts, now, self.policy):\n"
        "            self._emit(event)\n"
        "        if fetch is not None and fetch.is_lookup and not facts.fails:\n"
        "            self._emit(events.KeyMissed(self._source, printable(fetch.kid)))\n"
        "        if fetch is not None and not facts.inline:\n            self._launch(fetch)\n",
        killers("test_jwks_scenes", "test_a_hook_that_blocks_delays_no_fetch"),
    ),
    Mutant(
        "fetch for an unknown kid out of a cache",
        "key_sources/loading.py",
        "etag, no_cache=run.is_lookup, timeout",
        "etag, no_cache=False, timeout",
        killers("test_jwks", "test_rule_unknown_kid_starts_a_fetch_past_every_cache"),
    ),
    Mutant(
        "look-ups of a failing issuer are free",
        "key_sources/freshness.py",
        "lookups_full_at=min(full_at, now + LOOKUPS * policy.cooldown)",
        "lookups_full_at=facts.lookups_full_at if facts.fails else full_at",
        killers("test_jwks", "test_rule_no_look_up_left_for_an_issuer_that_fails_now_and_then"),
    ),
    Mutant(
        "look-ups without limit",
        "key_sources/freshness.py",
        "return max(earliest(facts), facts.lookups_full_at - (LOOKUPS - 1) * policy.cooldown)",
        "return earliest(facts)",
        killers(
            "test_jwks", "test_rule_no_look_up_left_is_429", "test_b4_ten_thousand_random_kids"
        ),
    ),
    Mutant(
        "a waiting kid needs a request of its own",
        "key_sources/freshness.py",
        "if facts.kid_waits and now >= next_lookup(facts, policy):",
        "if False:",
        killers("test_jwks", "test_rule_waiting_kid_is_looked_up_by_the_next_request_of_any_kind"),
    ),
    Mutant(
        "the fast path does not see a waiting kid",
        "key_sources/freshness.py",
        "due = min(due, next_lookup(facts, policy))",
        "pass",
        killers("test_jwks", "test_rule_waiting_kid_is_looked_up_by_the_next_request_of_any_kind"),
    ),
    Mutant(
        "absent from the end of the look-up",
        "key_sources/unknown_kids.py",
        "until = fetch.start + cooldown",
        "until = now + cooldown",
        killers("test_jwks", "test_rule_absent_kid_counts_from_the_start_of_its_look_up"),
    ),
    Mutant(
        "unknown kids without bound",
        "key_sources/unknown_kids.py",
        "while len(self._asked) > MAX_KIDS:",
        "while len(self._asked) > 100 * MAX_KIDS:",
        killers("test_jwks", "test_b15_memory_is_bounded"),
    ),
    Mutant(
        "a fetch settles kids that were named while it ran",
        "key_sources/remote.py",
        "settled = kid in fetch.kids",
        "settled = True",
        killers(
            "test_jwks",
            "test_rule_absent_kid_needs_a_look_up_that_started_after_it_was_asked_for",
        ),
    ),
    Mutant(
        "a new key waits for the long pauses",
        "key_sources/freshness.py",
        "pause_ends = facts.lookup_not_before if facts.kid_waits else facts.not_before",
        "pause_ends = facts.not_before",
        killers("test_jwks", "test_rule_unknown_kid_in_an_outage_shortens_the_pause"),
    ),
    Mutant(
        "no request waits after a quick failure",
        "key_sources/freshness.py",
        "return was_quick or may_wait(facts, now)",
        "return may_wait(facts, now)",
        killers("test_jwks", "test_rule_quick_failure_lets_the_request_that_starts_a_fetch_wait"),
    ),
    Mutant(
        "waiting after a slow failure",
        "key_sources/freshness.py",
        "facts.failure.seconds <= QUICK_FAILURE",
        "True",
        killers("test_jwks", "test_rule_who_waits_nobody_after_a_slow_failure"),
    ),
    Mutant(
        "keys that expired are reported though no request is refused",
        "key_sources/remote.py",
        "            self._keep(facts)\n        facts = self._or_saved(before, facts)\n",
        "            self._keep(facts)\n"
        "        if facts.expired and not before.expired:\n"
        "            self._emit(events.KeysExpired(self._source))\n"
        "        facts = self._or_saved(before, facts)\n",
        killers("test_jwks", "test_rule_expired_keys_are_reported_when_a_request_is_refused"),
    ),
    Mutant(
        "503 that a stranger can cause",
        "key_sources/remote.py",
        "if snapshot is None or facts.fails or facts.closed:",
        "if True:",
        killers("test_jwks", "test_rule_no_look_up_left_is_429"),
    ),
    Mutant(
        "a kid that a fetch brings still waits",
        "key_sources/remote.py",
        "                facts = facts._replace(kid_waits=waits)\n",
        "                _ = waits\n",
        killers("test_jwks", "test_rule_waiting_kid_needs_no_look_up_when_a_refresh_brings_it"),
    ),
    Mutant(
        "no warning at start for Cognito",
        "assembly.py",
        'logger.warning("settings of an issuer: %s", warning)',
        'logger.debug("settings of an issuer: %s", warning)',
        killers("test_provider_hints", "test_the_operator_is_warned_at_start"),
    ),
    Mutant(
        "a token is written beside another one",
        "bearer.py",
        "        remove(environ)\n        others = environ.get(key)",
        "        others = environ.get(key)",
        killers("test_bearer", "test_a_token_is_written_as_a_client_sends_it"),
    ),
    Mutant(
        "a wrapped token is not joined",
        "cli/explain_request.py",
        'return "".join(pieces)',
        'return " ".join(pieces)',
        killers("test_cli_explain", "test_a_good_token_however_it_was_pasted"),
    ),
    Mutant(
        "an unknown key is a question of claims",
        "cli/explain_recorder.py",
        '    "key_not_known_yet": "key",\n',
        "",
        killers("test_cli_explain", "test_a_key_that_is_not_known_yet_is_429"),
    ),
    Mutant(
        "an issuer that cannot be asked for is found all the same",
        "cli/explain_recorder.py",
        'step == "key" and self.issuer is None',
        "False",
        killers("test_cli_explain", "test_an_issuer_that_cannot_be_asked_for_is_where_it_ends"),
    ),
    Mutant(
        "the claims are shown all the same",
        "cli/explain_decoded.py",
        "    if claims:",
        "    if True:",
        killers("test_cli_explain", "test_header_and_claims_are_shown"),
    ),
    Mutant(
        "the general row of a code comes first",
        "cli/explain_causes.py",
        "return next((row for row in rows if",
        "return next((row for row in reversed(rows) if",
        killers("test_cli_causes", "test_every_cause_is_recognised"),
    ),
    Mutant(
        "an opaque token in two parts was cut",
        "cli/explain_recognition.py",
        "has_parts(2)(case) and not case.request.token.startswith(JWT_START)",
        "False",
        killers("test_cli_causes", "test_every_cause_is_recognised"),
    ),
    Mutant(
        "doctor asks for an audience beside the client's claim",
        "cli/doctor_checks.py",
        'frozenset({"azp", "client_id"})',
        "frozenset[str]()",
        killers("test_cli_doctor", "test_the_claim_of_the_client_stands_for_an_audience"),
    ),
    Mutant(
        "a key for encryption is warned of",
        "key_sources/arrival.py",
        "elif reason != NOT_FOR_SIGNATURES:",
        "else:",
        killers("test_key_arrival", "test_a_key_for_encryption_is_no_event"),
    ),
    Mutant(
        "doctor is happy without a key that fits",
        "cli/doctor_checks.py",
        "elif not report.used:",
        "elif False:",
        killers("test_cli_doctor", "test_no_key_fits_the_accepted_algorithms"),
    ),
    Mutant(
        "warm_up is happy without a key that fits",
        "upkeep.py",
        "name not in missing and not _why_unfit(known[name])",
        "name not in missing",
        killers("test_upkeep", "test_keys_that_fit_no_accepted_algorithm_are_not_ready"),
    ),
    Mutant(
        "a source that has failed is tried until the time is over",
        "upkeep.py",
        "elif time.monotonic() - began > turn / 2:",
        "else:",
        killers("test_upkeep", "test_a_source_that_has_failed_is_not_tried_again"),
    ),
    Mutant(
        "warm_up names issuers that are not required",
        "upkeep.py",
        "if not found[name] and _counts(name, required)]",
        "if not found[name]]",
        killers("test_upkeep", "test_a_source_that_has_failed_is_not_tried_again"),
    ),
    Mutant(
        "one issuer that never answers is waited for",
        "upkeep.py",
        "turn, began = left if len(waiting) == 1 else min(left, _TURN), time.monotonic()",
        "turn, began = left, time.monotonic()",
        killers("test_upkeep", "test_an_issuer_that_never_answers_costs_no_probe_a_second"),
    ),
    Mutant(
        "every issuer must be there",
        "upkeep.py",
        'any(ready.values()) if required == "any" else all(ready.values())',
        "all(ready.values())",
        killers("test_upkeep", "test_one_issuer_that_is_down_keeps_no_process_from_being_ready"),
    ),
    Mutant(
        "a terminal cuts long lines",
        "cli/hidden_input.py",
        "~(termios.ICANON | termios.ECHO)",
        "~termios.ECHO",
        killers("test_cli_terminal", "test_a_paste_of_many_lines_and_of_any_length"),
    ),
    Mutant(
        "the demo's issuer answers for any host",
        "cli/demo.py",
        'environ.get("HTTP_HOST") != urlsplit(self.issuer).netloc',
        "False",
        killers("test_demo", "test_the_issuer_answers_for_its_own_host_only"),
    ),
    Mutant(
        "the limit of tenants is not the one that was set",
        "assembly.py",
        "            most=settings.issuer.max_tenants,\n",
        "",
        killers("test_tenants", "test_how_many_tenants_are_kept_can_be_set"),
    ),
    Mutant(
        "one lost reply opens the breaker",
        "revocation/store.py",
        "BREAKER_FAILURES: Final = 3",
        "BREAKER_FAILURES: Final = 1",
        killers("test_store", "test_the_third_failure_in_a_row_opens_the_breaker"),
    ),
    Mutant(
        "one fault counts once for each thread",
        "revocation/store.py",
        "            if began < before.last:\n                return False\n",
        "",
        killers("test_store", "test_attempts_that_one_fault_breaks_together_are_one_failure"),
    ),
    Mutant(
        "every request asks when the pause is over",
        "revocation/store.py",
        "            self._trouble = trouble._replace(until=now + BREAKER_MAX_PAUSE)\n",
        "",
        killers("test_store", "test_the_pause_doubles_up_to_two_seconds"),
    ),
    Mutant(
        "the second attempt takes another idle connection",
        "revocation/redis.py",
        "self._pool.disconnect(inuse_connections=False)",
        "pass",
        killers("test_contrib_redis", "test_before_the_second_attempt_idle_connections_are_closed"),
    ),
    Mutant(
        "the clock of the host says what is revoked",
        "revocation/revocations.py",
        "        if not self.uses_clock_of_store:\n            return self._clock()\n",
        "        return self._clock()\n",
        killers("test_contrib_redis", "test_a_host_whose_clock_is_wrong_revokes_what_there_is_now"),
    ),
)


class Result(NamedTuple):
    """``code`` is pytest's, or None if its time was over; ``what``: the first test that failed."""

    code: int | None
    what: str
    seconds: float


@contextmanager
def copied() -> Iterator[Path]:
    """The project in a directory of its own, without compiled files."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(
                    ROOT / part, Path(name, part), ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(ROOT / part, name)
        yield Path(name)


def python(copy: Path, *args: str, seconds: float) -> tuple[int | None, str]:
    """Exit code (None if the time was over) and output; whatever it started ends with it."""
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return None, said
    return process.returncode, said


def run_tests(copy: Path, tests: Iterable[str], seconds: float) -> Result:
    began = time.monotonic()
    options = ("-x", "-q", "-p", "no:cacheprovider", "--tb=no")
    code, said = python(copy, "-m", "pytest", *options, *tests, seconds=seconds)
    seconds = time.monotonic() - began
    if code is None:
        return Result(code, "time-out", seconds)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", said, re.MULTILINE)
    return Result(code, failed[1] if failed else said[-500:], seconds)


def kill(mutant: Mutant) -> tuple[bool, str, float]:
    """Whether it died, by what (or why not), and after how many seconds."""
    with copied() as copy:
        module = copy / "jwt_wsgi" / mutant.module
        text = module.read_text()
        if (times := text.count(mutant.old)) != 1:
            return False, f"**STALE**: its text occurs {times} times", 0.0
        changed = text.replace(mutant.old, mutant.new)
        compile(changed, mutant.name, "exec")
        module.write_text(changed)
        result = run_tests(copy, mutant.killers, TIME_LIMIT)
    if result.code in (RED, None):
        return True, result.what, result.seconds
    why = "**SURVIVED**" if result.code == GREEN else f"**NO RUN** (pytest: {result.code})"
    return False, why, result.seconds


def check_unmutated(mutants: Iterable[Mutant]) -> None:
    """Refuse to go on unless the copy is what is tested, and its tests are green."""
    with copied() as copy:
        _, where = python(copy, "-c", "import jwt_wsgi; print(jwt_wsgi.__file__)", seconds=60.0)
        if not Path(where.strip()).resolve().is_relative_to(copy.resolve()):
            sys.exit(f"not the copy is imported: {where}")
        tests = dict.fromkeys(test for mutant in mutants for test in mutant.killers)
        files = {test for test in tests if "::" not in test}
        chosen = [test for test in tests if test in files or test.split("::")[0] not in files]
        result = run_tests(copy, chosen, 10 * TIME_LIMIT)
    if result.code != GREEN:
        sys.exit(f"the tests are not green without a mutant: {result.what}")


def main() -> int:
    names = {mutant.name: mutant for mutant in MUTANTS}
    parser = argparse.ArgumentParser(description="Run the mutants that must die.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    asked = parser.parse_args().names
    if unknown := set(asked) - set(names):
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    mutants = [names[name] for name in asked or names]
    check_unmutated(mutants)
    print("| mutant | module | killed by | seconds |\n|---|---|---|---|", flush=True)
    alive = 0
    for mutant in mutants:
        dead, what, seconds = kill(mutant)
        alive += not dead
        what = what.replace("|", "\\|")
        print(f"| {mutant.name} | {mutant.module} | {what} | {seconds:.1f} |", flush=True)
    print(f"\n{len(mutants) - alive} of {len(mutants)} killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
