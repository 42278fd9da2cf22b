"""Asks for each of URLS with l402-requests, and pays from the wallet at W0."""

from l402_requests import AsyncL402Client, WalletBase

from wallet import each, pay


class Wallet(WalletBase):
    async def pay_invoice(self, bolt11):
        return await pay(bolt11)


client = AsyncL402Client(wallet=Wallet())


async def ask(url):
    answer = await client.get(url)
    return answer.status_code, answer.text


each(ask)
