// Asks for each of URLS with fetchWithL402 of @getalby/lightning-tools, and pays from the wallet at W0. A credential
// that was paid for is handed back to it by whoever calls; it keeps none.
import { fetchWithL402 } from "@getalby/lightning-tools/402/l402";
import { each, pay } from "./wallet.mjs";

const credentials = new Map();

await each(async (url) => {
  const wallet = { payInvoice: async ({ invoice }) => ({ preimage: await pay(invoice) }) };
  const answer = await fetchWithL402(url, {}, { wallet, credentials: credentials.get(url) });
  if (answer.payment) credentials.set(url, answer.payment.credentials);
  return { status: answer.status, body: await answer.text() };
});
