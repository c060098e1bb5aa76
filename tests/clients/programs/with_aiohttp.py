"""aiohttp, which reads the proxy variables only when it is told to: trust_env=True."""

import asyncio

import aiohttp
from rows import HEADERS, print_rows, try_http


async def send(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, bytes]:
    async with session.post(url, data=body, headers=HEADERS) as answer:
        return answer.status, await answer.read()


with asyncio.Runner() as runner:
    session = aiohttp.ClientSession(trust_env=True, loop=runner.get_loop())
    print_rows(try_http(lambda url, body: runner.run(send(session, url, body))))
    runner.run(session.close())
