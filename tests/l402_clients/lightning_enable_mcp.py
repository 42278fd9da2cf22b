"""Asks for each of URLS with the client of lightning-enable-mcp, and pays from the wallet at W0."""

import httpx
from lightning_enable_mcp.l402_client import L402Client
from lightning_enable_mcp.ssrf_transport import build_ssrf_safe_async_transport

from wallet import each, pay


class Wallet:
    async def pay_invoice(self, invoice):
        return await pay(invoice)


client = L402Client(Wallet())
# It refuses addresses of this machine, where all of a test network is. Its own way round that, for tests.
here = build_ssrf_safe_async_transport(is_blocked=lambda address: False)
client._http_client = httpx.AsyncClient(timeout=30, transport=here)


async def ask(url):
    # Anything but success is an exception.
    body, _paid, _receipt = await client.fetch(url, max_sats=10)
    return 200, body


each(ask)
