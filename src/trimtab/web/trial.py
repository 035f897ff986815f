"""Passes what the page "Try it" asks on to the data plane, which has an address of its own that pages may not call."""

import ssl
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import msgspec

from trimtab.domains.deploy import DeployService
from trimtab.infra.http import Request, Route, route
from trimtab.infra.http.edge import COOKIE
from trimtab.kernel.errors import Invalid, TrimtabError, Unavailable

_TIMEOUT_S = 30.0


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """Rows by column name, for one version or for whichever the traffic's split gives them to."""

    inputs: list[dict[str, Any]]
    version: str | None = None


class Answer(msgspec.Struct):
    """What the endpoint answered, who answered, and the id that finds it again."""

    outputs: Any
    prediction_id: str | None
    version: str | None
    latency_us: int


def routes(deploy: DeployService, *, inference_url: str, certificate: str = "") -> list[Route]:
    """Return the route; it counts as a real request under the caller's own credential.

    ``certificate`` is the inference port's own where it speaks TLS: it is trusted as it is, whoever signed it.
    """

    @route("POST", "/api/v1/endpoints/{name}/predict", body=Trial, returns=Answer, tags=["endpoints"])
    def predict(request: Request, body: Trial) -> Answer:
        """Send rows to an endpoint and return its answer."""
        endpoint = deploy.endpoint(request.who, request.path["name"])
        path, key = f"/endpoints/{endpoint.name}/invocations", "dataframe_records"
        if body.version is not None:
            endpoint.find(body.version)
            path, key = f"/v1/models/{endpoint.name}/versions/{body.version}:predict", "instances"
        given = ask(request, "POST", path, {key: body.inputs})
        return Answer(
            outputs=given.json()["predictions"],
            prediction_id=given.headers.get("x-prediction-id"),
            version=given.headers.get("x-model-version"),
            latency_us=round(given.elapsed.total_seconds() * 1e6),
        )

    @route("GET", "/api/v1/endpoints/{name}/openapi", returns=dict[str, Any], tags=["endpoints"])
    def openapi(request: Request) -> dict[str, Any]:
        """Return the OpenAPI document of an endpoint's addresses on the inference port, from its signature."""
        endpoint = deploy.endpoint(request.who, request.path["name"])
        document: dict[str, Any] = ask(request, "GET", f"/endpoints/{endpoint.name}/openapi.json").json()
        return {**document, "servers": [{"url": inference_url}]}

    kept: dict[int, Any] = {}

    def client() -> Any:
        """Return the client whose connections are kept, so that what is shown is the time of the answer alone."""
        import httpx2

        stamp = Path(certificate).expanduser().stat().st_mtime_ns if certificate else 0
        found = kept.get(stamp)
        if found is None:
            kept.clear()
            found = kept[stamp] = httpx2.Client(
                verify=_trusting(certificate) if certificate else False, timeout=_TIMEOUT_S
            )
        return found

    def ask(request: Request, method: str, path: str, body: Any = None) -> Any:
        import httpx2

        try:
            given = client().request(method, inference_url + path, json=body, headers=_credential(request))
        except httpx2.HTTPError as failure:
            raise Unavailable(f"The inference port did not answer: {failure}.") from failure
        if given.status_code >= 400:
            raise _problem(given.status_code, given.text)
        return given

    return [predict, openapi]


def _trusting(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts one certificate alone; its name may be another than this machine's address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(Path(certificate).expanduser())
    return context


def _credential(request: Request) -> dict[str, str]:
    """Return the caller's own authorization; the page's cookie holds the same token as the header would."""
    if given := request.headers.get("authorization"):
        return {"authorization": given}
    cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    return {"authorization": f"Bearer {cookie.value}"} if cookie else {}


def _problem(status: int, text: str) -> TrimtabError:
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError:
        said = {}
    detail = said.get("detail") or said.get("message") or said.get("error") or text[:500]
    return Invalid(str(detail)) if status < 500 else Unavailable(str(detail))
