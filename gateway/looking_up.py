"""Who asks, as of now, also while a request is on its way."""

from gateway.core.assurance import Caller
from gateway.passage import Passage
from gateway.ports import Callers, NoCaller


async def look_up(passage: Passage, callers: Callers, *, anew: bool = False) -> Caller | NoCaller:
    """The caller by the credential of ``passage``; raises ``StoreUnavailable``. ``anew``: what is kept will not do.

    Once let in, a request goes by its session, whose cookie changes with each confirmation in another tab.
    """
    credential, known = passage.credential, passage.caller
    if not passage.outlives_cookie:
        kept = None if anew else callers.lately(credential.kind, credential.value)
        look = callers.by_token if credential.kind == "token" else callers.by_session
        found = kept or await look(credential.value, anew=anew)
        if found != NoCaller("unknown") or credential.kind != "session":
            return found
    if known is None or known.credential != "session":
        return NoCaller("unknown")
    passage.outlives_cookie = True
    return await callers.by_family(known, anew=anew)
