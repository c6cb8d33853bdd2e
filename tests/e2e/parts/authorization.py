"""How receivers of remote_write check who sends: by bearer token, by user name and password, or by AWS's signature."""

import base64
import hmac
import re
from hashlib import sha256

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})")


def bearer(token):
    return lambda request: request.headers["Authorization"] == f"Bearer {token}"


def basic(username, password):
    expected = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    return lambda request: request.headers["Authorization"] == expected


def sigv4(session, service, region):
    """Verifies the signature as AWS does: computes it again from the request and the secret key of the session."""
    credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    def verified(request):
        found = SIGNED.fullmatch(request.headers["Authorization"] or "")
        if not found or request.headers["X-Amz-Security-Token"] != session["SessionToken"]:
            return False
        scope, names, signature = found.groups()
        time = request.headers["X-Amz-Date"]
        if scope != f"{session['AccessKeyId']}/{time[:8]}/{region}/{service}/aws4_request":
            return False
        names = names.split(";")
        if not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
            return False
        body = sha256(request.body).hexdigest()
        if request.headers.get("X-Amz-Content-Sha256", body) != body:
            return False
        # With the signed headers only, all of which botocore signs again.
        signed = AWSRequest("POST", request.url, {name: request.headers[name] for name in names}, request.body)
        signed.context["timestamp"] = time
        signer = SigV4Auth(credentials, service, region)
        text = signer.string_to_sign(signed, signer.canonical_request(signed))
        return hmac.compare_digest(signer.signature(text, signed), signature)

    return verified
