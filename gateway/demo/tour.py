"""What the terminal shows while the demo runs: what to open and what to type, in order."""

from __future__ import annotations

import io
from urllib.parse import quote

import pyotp
import segno
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from gateway.demo.ready import SAMPLES, Ready


def otpauth(ready: Ready) -> str:
    """The first user's secret as an address that authenticator apps read."""
    user = ready.users[0]
    return pyotp.TOTP(user.totp_secret).provisioning_uri(name=user.login, issuer_name="Gateway demo")


def qr(text: str) -> str:
    """A QR code in half blocks, for the terminal."""
    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, compact=True, border=2)
    return drawn.getvalue()


def steps(ready: Ready, command: str = "gateway") -> list[tuple[str, list[str]]]:
    """The tour: a sentence, and what to open or type, for each step. ``command``: how to call this program."""
    user, token = ready.users[0], ready.tokens[0]
    person = SAMPLES["person"].replace("{id}", str(ready.ids[0]))
    bearer = f"-H 'Authorization: Bearer {token.token}'"
    curl = f"curl -i {bearer}"
    config = f"--config {quote(ready.config)}"
    return [
        (
            "Open the application through the gateway and sign in at the partner.",
            [f"{ready.gateway}/recherche", f"login {user.login}    password {user.password}"],
        ),
        (
            "Search for MARTIN, open a file: names pass, the social security number is masked.",
            [f"{ready.gateway}/recherche?q=MARTIN"],
        ),
        (
            "Press Modifier: a form cannot be masked, so the page asks you to confirm. Scan the code below, or:",
            [f"secret {user.totp_secret}    code now {pyotp.TOTP(user.totp_secret).now()}"],
        ),
        (
            "The same from a program, with a token: without a confirmation, 401 and no number in it.",
            [f"{curl} {ready.gateway}{person}"],
        ),
        (
            "Confirm with a code that you have not used yet (each works once), and ask again: 200, with the number.",
            [
                f"curl {bearer} -H 'Content-Type: application/json' -d '{{\"code\": \"CODE\"}}'"
                f" {ready.gateway}/.gateway/step-up/totp",
                f"{curl} {ready.gateway}{person}",
            ],
        ),
        (
            "A list of 350 names is ordinary work: it passes, with telephone and e-mail masked.",
            [f"{curl} '{ready.gateway}{SAMPLES['list']}'"],
        ),
        (
            "Now take everything: the export stops at the limit, and says so in its last row.",
            [f"curl {bearer} {ready.gateway}{SAMPLES['export']} | tail -2"],
        ),
        (
            "Ask what is left, why it stopped, and who saw whom.",
            [
                f"{command} budget show {config}",
                f"{command} explain GET {ready.gateway}{person} {config}",
                f"{command} report caller {user.login} {config}",
                f"{command} ledger verify {config}",
            ],
        ),
        (
            "Last, a thief with a stolen token and a fresh code, at full speed. It is stopped, and you see at what:",
            [f"{command} demo --theft"],
        ),
    ]


def show_steps(console: Console, told: list[tuple[str, list[str]]], code: str = "") -> None:
    """Print steps one after the other, and ``code`` after the third."""
    for number, (sentence, lines) in enumerate(told, 1):
        console.print(Text(f"\n{number}. {sentence}", "bold"), soft_wrap=True)
        for line in lines:
            console.print(Text(f"     {line}", "cyan"), soft_wrap=True)
        if number == 3 and code:
            console.print(Text(code), soft_wrap=True)


def show(console: Console, ready: Ready, command: str = "gateway") -> None:
    """Print the tour."""
    console.print(Rule("The gateway is up", align="left"))
    show_steps(console, steps(ready, command), qr(otpauth(ready)) if console.is_terminal else "")
    console.print(
        Text(
            f"\nThe application itself, unprotected: {ready.upstream}    health and metrics: {ready.admin}/metrics"
            "\nCtrl-C ends everything and leaves nothing behind.",
            "dim",
        ),
        soft_wrap=True,
    )
