"""``gateway explain``: what the policy makes of a request, or the story of a refusal that happened."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.commands.setup import settings_of
from gateway.commands.terminal import (
    DEFAULT_CONFIG,
    NO,
    ConfigOption,
    JsonOption,
    as_text,
    emit,
    facts,
    fail,
    say,
    span,
    table,
)
from gateway.core.extraction import Class


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""
    app.command("explain")(explain)


def explain(
    method: Annotated[str | None, typer.Argument(help="GET, POST …")] = None,
    url: Annotated[str | None, typer.Argument(help="A URL, or a path at the first application.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="A request header: 'Name: value'.")] = None,
    send: Annotated[Path | None, typer.Option("--send", help="A file: the request's body.")] = None,
    body: Annotated[Path | None, typer.Option("--body", help="A file: a sample of the answer's body.")] = None,
    content_type: Annotated[str, typer.Option(help="The sample's Content-Type.")] = "application/json",
    proved: Annotated[bool, typer.Option("--proved", help="As a caller with a fresh proof.")] = False,
    machine: Annotated[bool, typer.Option("--machine", help="As a machine's token.")] = False,
    agency: Annotated[str, typer.Option(help="As a caller of this agency.")] = "",
    klass: Annotated[str | None, typer.Option("--class", help="As if the request were of this class.")] = None,
    user: Annotated[str | None, typer.Option(help="Also what is used of this user's limits: login or id.")] = None,
    ref: Annotated[str | None, typer.Option("--ref", help="The reference of a refusal that happened.")] = None,
    json: JsonOption = False,
) -> None:
    """Say what the policy makes of a request, before anybody sends it; or tell the story of a refusal.

    Nothing is sent anywhere: which rule speaks, the class, whom the request is about, the proof it takes, the budgets
    that count it, and the verdict before forwarding. With a sample of the answer also: persons and fields found, what
    would be masked, what the rest would ask for.

    [bold]Examples[/bold]

      gateway explain GET http://localhost:8080/api/demandeurs/7
      gateway explain GET /dossiers/7 --body page.html --content-type text/html
      gateway explain POST /rechercher-usager/v2/usagers/par-datenaissance-et-nir --send search.json
      gateway explain --ref K7Q-4M2
    """
    settings = settings_of(config)
    if ref is not None:
        from gateway.commands.explain_reference import story

        emit_story(story(settings, ref), json)
        return
    if method is None or url is None:
        fail("say which request: gateway explain METHOD URL, or --ref REFERENCE")
    from gateway.commands.explain_request import Asked, Sample, split_url
    from gateway.commands.explain_request import explain as follow

    host, path, query = split_url(url)
    headers = [_header(line) for line in header or ()]
    sent = _read(send) if send else b""
    if sent and not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/json"))
    as_class = _class(klass) if klass else None
    asked = Asked(method.upper(), host, path, query, headers, sent, proved, machine, None, as_class, agency)
    found = follow(settings, asked, Sample(content_type, _read(body)) if body else None).facts
    if user is not None:
        from gateway.commands.budget import used

        found["used"] = used(settings, user)
    if json:
        emit(found)
    else:
        _show(found)


def _header(line: str) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(":")
    if not colon:
        fail(f"{line!r} is no header: write 'Name: value'")
    return name.strip().encode(), value.strip().encode("latin-1", "replace")


def _class(word: str) -> Class:
    try:
        return Class.of(word)
    except KeyError:
        fail(f"{word!r} is no class; there are: {', '.join(one.word for one in Class)}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        fail(f"{path} cannot be read: {fault.strerror}")


def _show(found: dict[str, Any]) -> None:
    application = found["application"]
    if application is None:
        say(f"[red]{found['verdict']}[/red]: {found['why']}")
        return
    rows: list[tuple[str, object]] = [("application", application), ("mode", found["mode"])]
    readings = found.get("readings", [])
    rows.append(("path read as", as_text(readings)))
    rule = found.get("rule")
    rows.append(("rule", f"{rule}  ({found['path']})" if found.get("path") else rule))
    rows.append(("class", found.get("class")))
    if "person" in found:
        rows.append(("asks about", _whom(found["person"])))
    rows.append(("always masked", as_text(found.get("masked_always", []))))
    if found.get("inspect") is False:
        rows.append(("answer", "passed through unread"))
    if "proof" in found:
        rows.append(("proof", _proof(found["proof"])))
    facts(rows)
    if found.get("budgets"):
        say("")
        table(
            "Budgets that count it",
            ("name", "scope", "class", "persons", "in", "then"),
            [(b["name"], b["scope"], b["class"], b["limit"], span(b["window_s"]), b["then"]) for b in found["budgets"]],
        )
    if found.get("used"):
        say("")
        rows_of = [(one["name"], one["used"], one["limit"], span(one["next_free_s"])) for one in found["used"]]
        table("Used by this user", ("limit", "used", "of", "next free"), rows_of)
    say("")
    say(_verdict(found))
    if "answer" in found:
        say("")
        _show_answer(found["answer"])


def _whom(person: dict[str, Any]) -> str:
    declared = as_text([f"{one['at']} ({one['kind']})" for one in person["declared"]])
    match person["found"]:
        case "unclear":
            return f"unclear: {declared} is not there exactly once; the answer is charged by its size"
        case "one":
            return f"the person named by {declared}"
        case _:
            return "nobody by itself: whoever the answer names"


def _proof(proof: dict[str, Any]) -> str:
    if not proof["kinds"]:
        return "none"
    words = " or ".join(proof["kinds"])
    if proof["max_age_s"]:
        words += f", at most {span(proof['max_age_s'])} old"
    if proof["once"]:
        words += ", made for this one answer" if proof["bind"] else ", for one answer"
    if proof["max_persons"]:
        words += f", for at most {proof['max_persons']} persons"
    return words


def _verdict(found: dict[str, Any]) -> str:
    verdict = found["verdict"]
    if verdict != "forward":
        why = found.get("why") or _why(verdict, found)
        return f"Before forwarding: [red]{verdict}[/red]{f' ({why})' if why else ''}"
    if found["mode"] == "observe":
        return f"Before forwarding: forwarded, for it only observes (enforcing: {found['would_be']})"
    return "Before forwarding: [green]forwarded[/green]; what comes back is decided again"


def _why(verdict: str, found: dict[str, Any]) -> str:
    match verdict:
        case "proof_required":
            return "401: a fresh proof is asked for first; try --proved"
        case "mandate_required":
            return "a machine's token reaches this class by a mandate only"
        case "method_not_listed":
            return f"405; listed: {as_text(found.get('methods', []))}"
        case _:
            return ""


def _show_answer(answer: dict[str, Any]) -> None:
    rows: list[tuple[str, object]] = [("answer read as", answer["read"]), ("persons", answer["persons"])]
    for word, number in answer.get("persons_by_class", {}).items():
        rows.append((f"  of class {word}", number))
    rows.extend((f"  {word}", answer[word]) for word in ("outside", "dormant") if word in answer)
    rows.append(("fields", as_text([f"{name} ({word})" for name, word in answer.get("fields", {}).items()])))
    rows.append(("masked", as_text(answer.get("masked", []))))
    rows.append(("needs", answer.get("needs")))
    rows.append(("verdict", answer.get("verdict")))
    facts(rows)


def emit_story(told: dict[str, Any] | None, json: bool) -> None:
    """Print the story of a reference; exit status 1 where the ledger knows none."""
    if told is None:
        if json:
            emit(None)
        else:
            say("The ledger has no refusal with this reference.")
        raise typer.Exit(NO)
    if json:
        emit(told)
        return
    for sentence in told["story"]:
        say(str(sentence).replace("[", r"\["))
    if told["may"]:
        say("\n[bold]What may be done[/bold]")
        for sentence in told["may"]:
            say(f"  · {sentence}")
