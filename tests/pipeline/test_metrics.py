"""What is counted, as Prometheus reads it: doors, proofs and budgets, and nobody's name."""

import urllib.request

from stack import Stack, until

NIR, SOMEBODY_ELSE = "/api/demandeurs/7", "/api/demandeurs/207"


def metrics(stack: Stack) -> dict[str, float]:
    """Every sample that the admin listener shows."""
    with urllib.request.urlopen(f"{stack.admin}/metrics", timeout=5) as answer:  # noqa: S310  (loopback)
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def grown(stack: Stack, name: str, before: float) -> float:
    return metrics(stack).get(name, 0.0) - before


def test_each_door_is_timed_and_the_age_of_a_proof_is_noted(stack: Stack) -> None:
    account = stack.account()
    assert stack.step_up(account).status == 200
    doors = [f'gateway_door_seconds_count{{door="{door}"}}' for door in ("application", "store", "ledger")]
    proofs = 'gateway_proof_age_seconds_count{kind="totp"}'
    before = metrics(stack)
    assert stack.get(NIR, account).status == 200
    for name in (*doors, proofs):
        until(lambda name=name: grown(stack, name, before.get(name, 0.0)) > 0, what=name)


def test_what_everybody_has_taken_is_shown_of_each_budget_that_counts_everybody(stack: Stack) -> None:
    used, limit = (f'gateway_budget_{what}{{budget="everyone-sensitive-hour"}}' for what in ("used", "limit"))
    until(lambda: used in metrics(stack), what="the use of a budget")
    before = metrics(stack)[used]
    account = stack.account()
    assert stack.step_up(account).status == 200
    assert stack.get(SOMEBODY_ELSE, account).status == 200
    until(lambda: metrics(stack)[used] > before, what="one person more")
    assert metrics(stack)[limit] == 2_000


def test_no_user_and_no_person_is_in_a_label(stack: Stack) -> None:
    account = stack.account()
    stack.get(NIR, account)
    shown = " ".join(metrics(stack))
    assert all(word not in shown for word in (account.user, account.sub, account.token_id, "demandeurs"))
