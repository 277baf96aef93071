"""The runbook: its queries name metrics and labels that there are, and its commands run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from test_events import SAMPLES

from jwt_wsgi import errors
from jwt_wsgi import events
from jwt_wsgi.__main__ import main
from jwt_wsgi.contrib.prometheus import metrics

PAGE = (Path(__file__).parent.parent / "docs" / "how-to" / "runbook.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
RULES = [
    rule
    for language, block in BLOCKS
    if language == "yaml"
    for group in yaml.safe_load(block)["groups"]
    for rule in group["rules"]
]
QUERIES = [block.strip() for language, block in BLOCKS if language == "promql"]
QUERIES += [rule["expr"] for rule in RULES]


def exported() -> dict[str, dict[str, set[str]]]:
    """The samples that there are after one event of each kind: name -> label -> values."""
    registry = CollectorRegistry()
    hook = metrics(registry)
    for event in SAMPLES:
        hook(event)
    found: dict[str, dict[str, set[str]]] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_names_what_is_exported(query: str) -> None:
    """Metrics, labels, and the names of events: or the alert never fires."""
    there = exported()
    used = re.findall(r"\b(jwt_wsgi_\w+)(?:\{(.*?)\})?", query)
    assert used
    for name, selectors in used:
        assert name in there
        for label, value in re.findall(r'(\w+)="(.*?)"', selectors):
            assert value in there[name][label]
    labels = {label for name, _ in used for label in there[name]}
    for grouped in re.findall(r"(?:by|on) \((.*?)\)", query):
        assert set(grouped.split(", ")) <= labels


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_is_whole(rule: dict[str, Any]) -> None:
    """It says how urgent it is, and its summary uses labels that its query keeps."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    kept = {name for names in re.findall(r"by \((.*?)\)", rule["expr"]) for name in names.split()}
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= kept


def test_every_loud_event_has_its_place_in_the_runbook() -> None:
    """What is logged as ERROR or worse is found by its name, its metric or its code."""
    found = {
        "FunctionFailed": "jwt_wsgi_function_failures_total",
        "KeysUnavailable": "KeysUnavailable",
        "KeysStale": "KeysGoStale",
        "NoKeyFits": "NoKeyFits",
        "KeysExpired": "keys_unavailable",
        "PrivateKeyPublished": "PrivateKeyPublished",
        "RevocationFailed": "jwt_wsgi_revocation_failures_total",
    }
    loud = {type(event).__name__ for event in SAMPLES if type(event).level >= 40}

    assert loud == found.keys()
    assert [word for word in found.values() if word not in PAGE] == []


def test_the_codes_and_outcomes_are_those_that_there_are() -> None:
    """As clients and logs have them."""
    codes = set(errors.TOKEN_ERRORS) | {"token_missing"}
    (table,) = re.findall(r"\| `code` \|.*?\n\|---.*?\n(.*?)\n\n", PAGE, re.DOTALL)
    named = {
        code for row in table.split("\n") for code in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named <= codes

    sources = (Path(events.__file__).parent / "key_sources").glob("*.py")
    written = "".join(source.read_text() for source in sources)
    (outcomes,) = re.findall(r"`outcome` says how.*?: (.*?), or", PAGE)
    kinds = re.findall(r"`(\w+)`", outcomes)
    assert [kind for kind in kinds if f'"{kind}"' not in written] == []


@pytest.mark.parametrize(
    "line",
    [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()],
)
def test_a_command_is_one_that_there_is(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the flags that are shown."""
    program, *arguments = line.split()
    assert program == "jwt-wsgi"
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert [flag for flag in arguments if flag.startswith("--") and flag not in told] == []
