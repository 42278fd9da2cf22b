"""One agent publishes and is found, asked, paid and rated by another: with the agent manager of le-agent-sdk, its
relay, and satchel for challenges, proxies and ratings. Prints a line of JSON with what each step saw."""

import asyncio
import json
import os
import uuid

import httpx
from le_agent_sdk import AgentManager
from le_agent_sdk.models import AgentCapability, AgentPricing, AgentServiceAgreement, AgentServiceRequest
from le_agent_sdk.nostr.event import NostrEvent

from wallet import pay

SATCHEL, RELAY = os.environ["S"], os.environ["RELAY"]
SELLER_KEY, BUYER_KEY = os.environ["SELLER_KEY"], os.environ["BUYER_KEY"]


def addressed(tags_of):
    """The SDK gives requests and agreements no `d` tag. Relays that keep to NIP-01 keep one such event of a key, and the
    one here refuses it."""
    return lambda model: [["d", uuid.uuid4().hex], *tags_of(model)]


for model in (AgentServiceRequest, AgentServiceAgreement):
    model.to_nostr_tags = addressed(model.to_nostr_tags)


def manager(secret, key):
    return AgentManager(
        private_key=secret * 32,
        relay_urls=[RELAY],
        pay_invoice_callback=pay,
        le_api_key=key,
        le_api_base_url=SATCHEL,
    )


async def api(method, path, key=None, body=None):
    headers = {"X-Api-Key": key} if key else {}
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.request(method, SATCHEL + path, json=body, headers=headers)
    assert answer.is_success, (path, answer.status_code, answer.text)
    return answer.json()


async def register(agent, key, name):
    await api("POST", "/api/agents/register", key, {"pubkey": agent.pubkey, "name": name})
    challenge = await api("GET", f"/api/agents/challenge?pubkey={agent.pubkey}", key)
    signature = NostrEvent.sign(challenge["challenge"], agent.private_key)
    proof = {"pubkey": agent.pubkey, "challenge": challenge["challenge"], "signature": signature}
    assert (await api("POST", "/api/agents/verify", key, proof))["isVerified"]


async def soon(look):
    """Asks until there is something."""
    for _ in range(200):
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.1)
    raise TimeoutError(look)


async def on_relays(seller, buyer):
    """All of it between the two, on the relay; satchel makes the challenge and says whether it was paid."""
    offered = AgentCapability(
        service_id="summaries",
        categories=["summaries"],
        content="Sums up",
        pricing=[AgentPricing(amount=5)],
    )
    await seller.publish_capability(offered)
    (found,) = await soon(lambda: buyer.discover(categories=["summaries"]))
    assert found.pubkey == seller.pubkey

    async def first_request():
        async for request in seller.listen_requests():
            return request

    listening = asyncio.create_task(first_request())
    await asyncio.sleep(0.5)
    await buyer.request_service(found.event_id, found.pubkey, budget_sats=5, params={"text": "long"})
    request = await asyncio.wait_for(listening, 30)
    assert (request.pubkey, request.params) == (buyer.pubkey, {"text": "long"})
    agreement = await seller.publish_agreement(request.event_id, found.event_id, request.pubkey, 5)
    await seller.create_challenge(agreement)
    preimage = await pay(agreement.invoice)
    assert await seller.verify_payment(agreement.macaroon, preimage)
    assert not await seller.verify_payment(agreement.macaroon, "00" * 32)
    await buyer.publish_attestation(seller.pubkey, agreement.event_id, 5, "Short", proof=agreement.payment_hash)


async def by_satchel(seller, buyer):
    """What satchel publishes is found on the relay, and sold by its proxy."""
    body = {
        "serviceId": "translate",
        "categories": ["translation"],
        "content": "Translates",
        "priceSats": 7,
        "targetUrl": os.environ["TARGET"],
        "hashtags": ["german"],
    }
    listing = await api("POST", "/api/agents/capabilities", SELLER_KEY, body)
    (found,) = await soon(lambda: buyer.discover(categories=["translation"], hashtags=["german"]))
    assert found.event_id == listing["eventId"], found
    assert (found.l402_endpoint, found.pricing[0].amount) == (listing["l402Endpoint"], 7)
    asked = {"capabilityEventId": found.event_id, "budgetSats": 7, "parameters": '{"text":"Guten Tag"}'}
    request = await api("POST", "/api/agents/requests", BUYER_KEY, asked)
    agreement = AgentServiceAgreement(l402_endpoint=request["l402Endpoint"])
    answer = await buyer.settle(agreement)
    assert answer.status_code == 200, answer.text
    seen = await api("GET", "/api/agents/requests", SELLER_KEY)
    rating = {
        "subjectPubkey": seller.pubkey,
        "agreementId": request["agreementEventId"],
        "rating": 4,
        "content": "Good",
        "proof": None,
        "attestationId": f"att-{request['agreementEventId'][:16]}-1",
    }
    await api("POST", "/api/agents/attestations", BUYER_KEY, rating)
    both = await soon(lambda: two_ratings(seller))
    said = await api("GET", f"/api/agents/attestations?pubkey={seller.pubkey}")
    proxy = listing["l402Endpoint"].rsplit("/", 1)[1]
    await api("POST", f"/api/proxy/{proxy}/unpublish", SELLER_KEY, {"reason": "done"})

    async def gone():
        return not await buyer.discover(categories=["translation"])

    await soon(gone)
    return {
        "body": answer.text,
        "status": seen["items"][0]["status"],
        "ratings": sorted(attestation.rating for attestation in both),
        "score": await seller.get_reputation_score(seller.pubkey),
        "verified": [item["verified"] for item in said["items"]],
        "left": (await api("GET", "/api/agents/capabilities"))["total"],
        "stats": await api("GET", f"/api/agents/{seller.pubkey}/stats"),
    }


async def two_ratings(seller):
    found = await seller.get_attestations(seller.pubkey)
    return found if len(found) == 2 else None


async def main():
    seller, buyer = manager("01", SELLER_KEY), manager("02", BUYER_KEY)
    await register(seller, SELLER_KEY, "Seller")
    await register(buyer, BUYER_KEY, "Buyer")
    await on_relays(seller, buyer)
    print(json.dumps(await by_satchel(seller, buyer)))


asyncio.run(main())
