"""Lists the tools of a satchel and calls some, over standard input and output or over HTTP."""

import asyncio
import json
import os

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

CALLS = json.loads(os.environ["CALLS"])
KEY = os.environ["KEY"]


async def use(server):
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        print(json.dumps({"tools": [tool.name for tool in tools], "schemas": [tool.input_schema for tool in tools]}))
        for name, arguments in CALLS:
            result = await client.call_tool(name, arguments)
            print(json.dumps({"error": bool(result.is_error), "told": result.structured_content}))


async def main():
    if "URL" in os.environ:
        async with create_mcp_http_client(headers={"Authorization": f"Bearer {KEY}"}) as http:
            await use(streamable_http_client(os.environ["URL"], http_client=http))
    else:
        environment = {"SATCHEL_KEY": KEY, "SATCHEL_DATA_DIR": os.environ["SATCHEL_DATA_DIR"]}
        await use(StdioServerParameters(command=os.environ["SATCHEL_BIN"], args=["mcp"], env=environment))


asyncio.run(main())
