"""Which way an answer is released: by its route, its status and what its header fields say that it is."""

from gateway.core.reasons import Reason, Refusal
from gateway.reading.body import Family, Media, open_headers
from gateway.reading.media import is_inert
from gateway.reading.ports import Unreadable
from gateway.release import Empty, Release
from gateway.release_stream import StreamRelease

INERT_HEAD_BYTES = 1024
_BODYLESS = frozenset({204, 304})
_UNREAD = frozenset({Family.OTHER, Family.INERT, Family.UNTYPED})


async def release_answer(release: Release) -> Refusal | None:
    """Release an application's answer, or say why not. A refusal after the first byte: break the transfer off.

    Raises what its doors raise: ``StoreUnavailable``, ``LedgerUnavailable``, ``UpstreamFault``, ``ClientGone``,
    ``ClientStalled``.
    """
    answer, charger = release.answer, release.means.charger
    release.passage.status = answer.status
    route = charger.classified.route
    if route is not None and not route.inspect:
        return await release.unread(answer.headers)
    if answer.status == 206 and not charger.observing:
        return Refusal(Reason.UPSTREAM_MALFORMED, detail="a partial answer to a request without a range")
    media = open_headers(answer.headers, answer.status)
    if not answer.has_body or answer.status in _BODYLESS:
        return await release.document(Empty(), media, b"")
    if isinstance(media, Unreadable):
        return await release.unreadable(media.reason, b"")
    return await _by_family(release, media)


async def _by_family(release: Release, media: Media) -> Refusal | None:
    if media.family is Family.INERT and release.passage.method == b"GET":
        head = await release.head(INERT_HEAD_BYTES)
        if is_inert(media.media_type, head) and not release.somebodys:
            return await release.inert(media, head)
        return await release.unreadable("no media that proves itself inert", head)
    if media.family in _UNREAD:
        return await release.unreadable(f"{media.media_type or 'untyped'} is not read", b"")
    if media.family.is_stream:
        return await StreamRelease(release, media).run(b"")
    if media.family is Family.TEXT:
        return await StreamRelease(release, media).run_if_records()
    return await release.whole(media, b"")
