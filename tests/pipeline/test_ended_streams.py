"""What a token of ours has open ends with all else of its owner's, and the token itself goes on."""

from stack import Stack, until
from traffic import Stream

from gateway.stores.signals import Signals


def test_a_stream_ends_when_the_partner_ends_everything_of_its_owner_s(stack: Stack) -> None:
    account = stack.account()
    signals = Signals(stack.thread.store, stack.keyring)
    with Stream(stack, account, "/evenements?intervalle_ms=100") as stream:
        stack.thread.call(signals.end(account.user, None))
        until(stream.over.is_set, what="the end of the stream")
    assert stack.get("/.gateway/budget", account).status == 200
