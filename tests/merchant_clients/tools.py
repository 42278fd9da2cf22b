"""The tools of lightning-enable-mcp, called through its own MCP server object: a line of JSON in for each call, a line
of JSON out. It pays from the wallet at W0."""

import asyncio
import json
import os
import sys
from decimal import Decimal
from urllib.parse import urlparse

from lightning_enable_mcp import l402_client, price_service, server, ssrf_transport
from lightning_enable_mcp.nwc_wallet import NWCWallet
from lightning_enable_mcp.tools import _ssrf_guard, discover_api, settle_agent_service  # noqa: F401
from mcp.types import CallToolRequest, CallToolRequestParams

from wallet import pay

# It refuses addresses of this machine, where all of a test network is, and plain http where it settles.
modules = sys.modules


def here(**_):
    return ssrf_transport.build_ssrf_safe_async_transport(is_blocked=lambda address: False)


l402_client.build_ssrf_safe_async_transport = here
modules["lightning_enable_mcp.tools.discover_api"].build_ssrf_safe_async_transport = here
_ssrf_guard.is_blocked_ip = lambda address: False
_ssrf_guard._BLOCKED_HOSTNAMES = frozenset()
modules["lightning_enable_mcp.tools.settle_agent_service"].urlparse = lambda url: urlparse(url)._replace(scheme="https")


# Its budget is in dollars, whose price it asks public servers for.
async def price(_):
    return Decimal(50_000)


price_service.PriceService.get_btc_price = price
price_service.PriceService.get_cached_btc_price = lambda _: Decimal(50_000)


class Wallet(NWCWallet):
    """A wallet of the kind that it knows, which pays over HTTP."""

    def __init__(self, _connection):
        pass

    async def connect(self):
        pass

    async def pay_invoice(self, bolt11):
        return await pay(bolt11)


server.NWCWallet = Wallet
os.environ["NWC_CONNECTION_STRING"] = f"nostr+walletconnect://{'ab' * 32}?relay=wss://relay.example&secret={'cd' * 32}"


async def run():
    mcp = server.LightningEnableServer()
    await mcp._initialize_services()
    call = mcp.server.request_handlers[CallToolRequest]
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        params = CallToolRequestParams(name=asked["tool"], arguments=asked["arguments"])
        answer = await call(CallToolRequest(method="tools/call", params=params))
        text = answer.root.content[0].text
        try:
            said = json.loads(text)
        except ValueError:
            said = {"success": False, "text": text}
        print(json.dumps(said), flush=True)


asyncio.run(run())
