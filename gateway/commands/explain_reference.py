"""The story of a refusal, read back from the ledger by its reference: what happened, and what may be done."""

from collections.abc import Mapping
from typing import Any

from gateway.commands.ledger_access import ledger_directory, ledger_keys
from gateway.commands.terminal import at, fail, span
from gateway.config import Settings
from gateway.core.reasons import Reason
from gateway.edge.words import explain_reason
from gateway.ledger.verify import Verification, walk

Record = Mapping[str, Any]

MAY: Mapping[Reason, tuple[str, ...]] = {
    Reason.PROOF_REQUIRED: (
        "The person confirms who they are (the page asks for it; an API client posts the code to"
        " /.gateway/step-up/totp) and asks again.",
    ),
    Reason.BUDGET_EXHAUSTED: (
        "Wait until the oldest persons leave the window.",
        "If the work is real, an officer raises the limit for a time:"
        " gateway budget grant {user} --persons 20 --for 2h --reason '…' --by OFFICER",
        "If it is not: gateway freeze user {user} --by OFFICER",
    ),
    Reason.TOO_MANY_PERSONS: (
        "Ask for fewer persons at once: this answer alone is beyond the limit, and waiting will not open it.",
    ),
    Reason.ANSWER_EXCEEDS_PROOF: ("Ask for fewer persons at once: the answer holds more than one proof opens.",),
    Reason.MANDATE_REQUIRED: (
        "A machine reaches this class by a mandate only: gateway token mandate {credential} --class {class}"
        " --persons N --per day --until DATE --by OFFICER",
    ),
    Reason.MASKED_VALUE_RETURNED: (
        "The application was about to be given a masked value (…xMASKx) as if it were the real one. Reload the form"
        " after confirming, or send only the fields that change.",
    ),
    Reason.REASON_REQUIRED: (
        "The caller says why they need the person: on the page that asks, or in the header Gateway-Reason.",
        "If the person is of the caller's own agency: gateway token list says of which agency a token is, a partner's"
        " claims of which one a session is; gateway explain --body --agency whether an answer names it.",
    ),
    Reason.FROZEN: ("Ask who froze it, and why: gateway report caller {user}. To lift it: gateway unfreeze …",),
    Reason.METHOD_NOT_LISTED: ("If the application means it, list the method at the route in policy.toml.",),
    Reason.DENIED_BY_RULE: ("The policy denies this path on purpose; see the route {rule} in policy.toml.",),
    Reason.TOO_LARGE_TO_READ: ("Ask for a smaller page, or let the officer judge the route: inspect = false.",),
    Reason.TOO_MANY_TRIES: ("Wait a quarter of an hour; codes are tried five times, then no more.",),
    Reason.TOO_MANY_SIGN_INS: (
        "One network may begin sixty sign-ins at once, then one a second in each worker. If that is a proxy's own"
        " address, name it: trusted_proxies in gateway.toml.",
    ),
    Reason.STORE_UNAVAILABLE: ("Bring the store back: gateway check --live says what is missing.",),
    Reason.LEDGER_UNAVAILABLE: ("Make room on the ledger's disk: nothing leaves that cannot be recorded.",),
    Reason.UPSTREAM_UNREACHABLE: ("Bring the application back: gateway check --live.",),
    Reason.UPSTREAM_TIMEOUT: ("The application took too long; a route may be given more time in policy.toml.",),
    Reason.HTTP_VERSION_TOO_OLD: ("In front of the gateway, let nginx speak HTTP/1.1: proxy_http_version 1.1.",),
}


def story(settings: Settings, reference: str) -> dict[str, Any] | None:
    """The records of ``reference`` told in sentences; ``None`` when the ledger knows no refusal of that name."""
    wanted = reference.strip().upper()
    try:
        found = [
            record
            for record in walk(ledger_directory(settings), ledger_keys(settings), Verification())
            if record.get("ref") == wanted
        ]
    except OSError as fault:
        fail(f"the ledger cannot be read: {fault}")
    told = [record for record in found if record.get("reason")]
    if not told:
        return None
    record = told[-1]
    return {
        "reference": wanted,
        "reason": record["reason"],
        "story": [*_sentences(record), *_released(found)],
        "may": _may(record),
        "records": found,
    }


def _sentences(record: Record) -> list[str]:
    caller = record.get("caller") or {}
    who = f"the user {caller['user']} of {caller.get('partner')}" if caller.get("user") else "somebody not signed in"
    how = caller.get("credential_kind")
    by = f", with a {how} ({caller.get('credential')})" if how else ""
    asked = f"{record.get('method')} at {record.get('app')}, route {record.get('route')}"
    lines = [f"At {at(record['now'])} {who}{by}, from {caller.get('client') or 'an unknown address'}, sent a {asked}."]
    title, text = _reason_words(record["reason"])
    lines.append(f"It was answered {record['reason']}: {title}. {text}")
    if record.get("request_class"):
        lines.append(f"The request's class was {record['request_class']}; refused for {record.get('class') or 'it'}.")
    if record.get("limit") is not None:
        window = f" in {span(record['window_s'])}" if record.get("window_s") else ""
        rule = f" ({record['rule']})" if record.get("rule") else ""
        asked_for = f"; this answer asked for {record['asked']} more" if record.get("asked") else ""
        lines.append(f"The limit{rule} is {record['limit']} persons{window}{asked_for}.")
    if record.get("retry_s"):
        lines.append(f"Waiting opens it again after {span(record['retry_s'])}.")
    if record.get("executed"):
        lines.append(f"The request had been executed (status {record.get('status')}): its content was kept back.")
    if record.get("sealed"):
        lines.append("It waited ten minutes, sealed, to be picked up by the same person after a confirmation.")
    if record.get("picked_up"):
        lines.append(f"It was the picking up of what {record['picked_up']} was answered.")
    if record.get("detail"):
        lines.append(f"In detail: {record['detail']}.")
    return lines


def _released(records: list[dict[str, Any]]) -> list[str]:
    persons = {one["h"] for record in records if record.get("kind") == "answer" for one in record.get("persons") or ()}
    if not persons:
        return ["Nothing about anybody left with this answer."]
    return [f"Before it was stopped, data of {len(persons)} persons had left with this answer."]


def _reason_words(reason: str) -> tuple[str, str]:
    try:
        return explain_reason(Reason(reason), "en")
    except ValueError:
        return reason, ""


def _may(record: Record) -> list[str]:
    caller = record.get("caller") or {}
    values = {
        "user": caller.get("user") or "USER",
        "credential": caller.get("credential") or "TOKEN",
        "class": record.get("class") or "CLASS",
        "rule": record.get("rule") or record.get("route") or "of this path",
    }
    try:
        sentences = MAY.get(Reason(record["reason"]), ())
    except ValueError:
        return []
    return [sentence.format_map(values) for sentence in sentences]
