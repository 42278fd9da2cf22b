// What the programs of all JavaScript clients share.

// Pays an invoice; answers the preimage.
export async function pay(invoice) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${process.env.W0}/v1/pay`, { method: "POST", headers, body: JSON.stringify({ invoice }) });
  if (!answer.ok) throw new Error(`the wallet: ${answer.status}`);
  return (await answer.json()).preimage;
}

// Asks for one URL after the other, and prints a line of JSON for each.
export async function each(ask) {
  for (const url of process.env.URLS.split(" ")) {
    const said = await ask(url).catch((error) => ({ failed: String(error) }));
    console.log(JSON.stringify(said));
  }
}
