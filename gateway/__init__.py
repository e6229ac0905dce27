"""A step-up gateway: a reverse proxy that counts the persons whose records a caller takes.

A request's path, in the order in which it goes through the files::

    pipeline     THE path, first byte to last          passage      what is known of one request so far
    asked        what a request says beforehand        incoming     its body
    outgoing     headers in both directions            upstream/    the connector to the application behind
    keeping      a form interrupted by a question      refusing     a "no" on its way out
    sealing      an answer that waits for a proof      claiming     a proof that serves one answer
    answering    which way an answer is released       release, release_stream, websocket
    charges      from persons found to a charge        means, recording    and to a record on disk
    assisting    our script in an application's page

What decides is pure and stands in ``core/`` (canonical, classify, extraction, charging, assurance, decide); what reads
answers in ``reading/``; what remembers in ``stores/`` (Redis) and ``ledger/`` (disk); what people and machines call in
``edge/``. ``app`` joins everything in one worker; ``serve``, ``admin`` and ``reaper`` keep workers alive;
``commands/`` is the command line; ``demo/`` is a whole world to try it in.
"""
