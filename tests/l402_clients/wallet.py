"""What the programs of all Python clients share."""

import asyncio
import json
import os

import httpx


async def pay(invoice):
    """Pays an invoice; answers the preimage."""
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(os.environ["W0"] + "/v1/pay", json={"invoice": invoice})
    return answer.raise_for_status().json()["preimage"]


def each(ask):
    """Asks for one URL after the other, and prints a line of JSON for each."""

    async def run():
        for url in os.environ["URLS"].split(" "):
            try:
                status, body = await ask(url)
                said = {"status": status, "body": body}
            except Exception as error:
                said = {"failed": f"{type(error).__name__}: {error}"}
            print(json.dumps(said), flush=True)

    asyncio.run(run())
