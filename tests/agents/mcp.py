"""The agents' part of lightning-enable-mcp's client, one key for all of it. Prints a line of JSON."""

import asyncio
import json
import os

from lightning_enable_mcp.lightning_enable_api import LightningEnableApiClient

os.environ["LIGHTNING_ENABLE_API_KEY"] = os.environ["SELLER_KEY"]
os.environ["LIGHTNING_ENABLE_API_URL"] = os.environ["S"]


async def main():
    client = LightningEnableApiClient()
    published = await client.publish_capability(
        "weather", ["data"], "Tomorrow's weather", 7, None, os.environ["TARGET"], ["forecast"]
    )
    assert published["success"], published
    found = await client.discover_capabilities("data", ["forecast"], "weather", 20)
    asked = await client.request_service(published["eventId"], 10, "Berlin")
    subject = found["capabilities"][0]["pubkey"]
    rated = await client.publish_attestation(subject, asked["requestEventId"], 5, "Sunny", None)
    ratings = await client.get_attestations(subject, 10)
    proxy = published["l402Endpoint"].rsplit("/", 1)[1]
    unpublished = await client.unpublish_capability(proxy, "over")
    again = await client.unpublish_capability(proxy, None)
    left = await client.discover_capabilities("data", None, None, 20)
    print(
        json.dumps(
            {
                "found": found,
                "published": published,
                "asked": asked,
                "rated": rated,
                "ratings": ratings,
                "unpublished": unpublished,
                "again": again,
                "left": left,
            }
        )
    )


asyncio.run(main())
