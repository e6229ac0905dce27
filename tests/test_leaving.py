"""Who has gone is not waited for."""

import asyncio

import pytest

from gateway.incoming import ClientGone
from gateway.leaving import Leaving


async def test_what_is_under_way_is_broken_off_once_the_client_has_gone() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    leaving = Leaving(receive)
    with pytest.raises(ClientGone):
        async with leaving:
            await asyncio.Event().wait()


async def test_who_waits_for_the_clients_leaving_goes_on_with_it_and_ends_with_a_fault() -> None:
    asked = asyncio.Event()

    async def receive() -> dict[str, object]:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    leaving = Leaving(receive)
    async with leaving:
        await asked.wait()
    assert leaving.gone is not None
    assert not leaving.gone.done()
    leaving.gone.cancel()
    asked.clear()
    broken = Leaving(receive)
    with pytest.raises(ZeroDivisionError):
        async with broken:
            await asked.wait()
            raise ZeroDivisionError
    assert broken.gone is not None
    await asyncio.wait([broken.gone])
    assert broken.gone.cancelled()


async def test_an_answer_that_comes_soon_is_spared_the_look() -> None:
    async def receive() -> dict[str, object]:
        raise AssertionError

    async with Leaving(receive) as leaving:
        pass
    assert leaving.gone is None
