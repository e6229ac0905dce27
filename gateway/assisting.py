"""Which of an application's answers get our script: pages that a browser goes to, where its table says so."""

from gateway.application import Application
from gateway.core.canonical import Headers
from gateway.core.values import frozen
from gateway.edge.assist import Assist, assisted
from gateway.passage import Passage
from gateway.reading.body import Family, Media
from gateway.reading.ports import Unreadable


@frozen
class Page:
    """An answer as it is about to leave. ``shows``: a confirmation would show something of what is hidden in it."""

    passage: Passage
    application: Application
    status: int
    media: Media | Unreadable
    shows: bool = False

    def with_assist(self, body: bytes, headers: Headers) -> tuple[bytes, Headers]:
        """Body and header fields, with the script where this is such a page."""
        passage, application, media = self.passage, self.application, self.media
        is_page = isinstance(media, Media) and media.family is Family.HTML and self.status == 200 and body
        if not (application.table.assist and is_page) or application.observing:
            return body, headers
        if passage.credential.kind != "session" or not passage.asked.navigating:
            return body, headers
        pages_url = application.site.pages_url
        origin = f"{pages_url.partition('://')[0]}://{passage.host}"
        assist = Assist(origin, f"{pages_url}/.gateway/step-up", passage.asked.language, self.shows)
        return assisted(body, headers, assist) or (body, headers)
