"""Asks for each of URLS with le-agent-sdk, and pays from the wallet at W0."""

from le_agent_sdk.l402.client import L402Client

from wallet import each, pay

client = L402Client(pay_invoice_callback=pay, max_amount_sats=10)


async def ask(url):
    answer = await client.access(url)
    return answer.status_code, answer.text


each(ask)
