// Asks for each of URLS with axios and the interceptor of l402, and pays from the wallet at W0.
import axios from "axios";
import l402 from "l402";
import { each, pay } from "./wallet.mjs";

const http = axios.create({ responseType: "text", transformResponse: (body) => body });
const wallet = { payInvoice: async (invoice) => ({ success: true, preimage: await pay(invoice) }) };
l402.setupL402Interceptor(http, wallet, new l402.MemoryTokenStore());

await each(async (url) => {
  const answer = await http.get(url).catch((error) => {
    if (!error.response) throw error;
    return error.response;
  });
  return { status: answer.status, body: answer.data };
});
