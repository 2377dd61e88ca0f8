"""Answers digest challenges by the code of Python's own library (urllib.request), for tests/differential/digest.rs.

Reads one JSON object a line: {"user", "password", "method", "uri", "challenge", "cnonce"}; writes the value of the Authorization field a
line. What is computed over what is the library's; the hashes are handed to it, as its own take ASCII alone and know no SHA-256 (Python 3.11)."""
import hashlib
import json
import sys
import urllib.request


class Account:
    def add_password(self, *_):
        pass

    def find_user_password(self, realm, uri):
        return self.user, self.password


class Request:
    """What the library asks of a request."""

    def __init__(self, method, uri):
        self.method, self.selector, self.full_url, self.data = method, uri, uri, None

    def get_method(self):
        return self.method


class Handler(urllib.request.AbstractDigestAuthHandler):
    def get_cnonce(self, nonce):
        return self.cnonce

    def get_algorithm_impls(self, algorithm):
        hashed = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]
        H = lambda text: hashed(text.encode()).hexdigest()
        return H, lambda secret, data: H(f"{secret}:{data}")


for line in sys.stdin:
    asked = json.loads(line)
    account = Account()
    account.user, account.password = asked["user"], asked["password"]
    handler = Handler(account)
    handler.cnonce = asked["cnonce"]
    challenge = urllib.request.parse_keqv_list(urllib.request.parse_http_list(asked["challenge"].split(" ", 1)[1]))
    print("Digest " + handler.get_authorization(Request(asked["method"], asked["uri"]), challenge), flush=True)
