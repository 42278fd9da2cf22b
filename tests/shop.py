"""Buys from a store and claims the order, with the standard library alone.

usage: shop.py STORE-URL WALLET-URL

Every request is sent twice, as a program does that lost an answer: the same order must come of it. The wallet is asked
over HTTP to pay an invoice, and answers with the preimage.
"""

import json
import sys
import urllib.error
import urllib.request

store, wallet = sys.argv[1], sys.argv[2]


def ask(url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **named})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def twice(*asked, same=True, **headers):
    first, second = ask(*asked, **headers), ask(*asked, **headers)
    if same:
        assert first[:2] == second[:2], (first[:2], second[:2])
    return first, second


(status, catalogue, _), _ = twice(store + "/catalog")
assert status == 200, catalogue
variant = next(v for p in catalogue["products"] for v in p["variants"] if v["available"])
cart = {"items": [{"variantId": variant["variantId"], "quantity": 2}]}
checkout, place = store + "/checkout", {"X_Buyer_Location": "US-CA-94107"}

(status, order, headers), _ = twice(checkout, cart, X_Idempotency_Key="script-5f0c9d1e7a2b4c63", **place)
assert status == 402, order
assert headers["WWW-Authenticate"].startswith('L402 macaroon="' + order["macaroonBase64"] + '", invoice="'), headers
assert order["items"][0]["variantId"] == variant["variantId"]

wrong = f"L402 {order['macaroonBase64']}:{'00' * 32}"
status, refused, _ = ask(checkout, cart, Authorization=wrong, **place)
assert status == 402 and "claimToken" not in refused and refused["orderId"] != order["orderId"], refused

status, paid, _ = ask(wallet + "/v1/pay", {"invoice": order["invoice"]})
assert status == 200, paid
right = f"L402 {order['macaroonBase64']}:{paid['preimage']}"
(status, bought, _), _ = twice(checkout, cart, Authorization=right, **place)
assert status == 200 and bought["orderId"] == order["orderId"], bought
other = {"items": [{"variantId": variant["variantId"], "quantity": 1}]}
status, refused, _ = ask(checkout, other, Authorization=right, **place)
assert status == 409 and refused["code"] == "ORDER_MISMATCH", refused

claim = {
    "claimToken": bought["claimToken"],
    "email": "ada@example.com",
    "shippingAddress": {
        "firstName": "Ada", "lastName": "Lovelace", "address1": "1 Main St", "city": "San Francisco",
        "province": "CA", "zip": "94107", "country": "US",
    },
}
first, again = twice(store + "/claim", claim, same=False)
assert first[0] == 200 and first[1]["orderId"] == order["orderId"], first
assert again[0] == 409 and again[1]["code"] == "ALREADY_CLAIMED", again
look = f"{store}/orders/{order['orderId']}?claimToken={bought['claimToken']}"
(status, shown, _), _ = twice(look)
assert status == 200 and shown["status"] == "Processing", shown
status, refused, _ = ask(f"{store}/orders/{order['orderId']}?claimToken=0000")
assert status == 404, refused
print(json.dumps({"paymentHash": order["paymentHash"], "number": shown["shopifyOrderNumber"], "paidSats": shown["paidSats"]}))
